//! How sizes and lifetimes are spread.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Row, Table, TableState};

use crate::analysis::{By, histogram};
use crate::model::Measure;
use crate::present::units;
use crate::replay::{bucket_end, bucket_start};

use super::app::App;
use super::draw::note;
use super::words::bar;

/// A row: from, to, what is counted, and what of it stays.
struct Bar {
    from: u64,
    to: u64,
    all: Measure,
    rest: Option<Measure>,
}

/// Sizes by the always-on counters: exact, and as new as the picture.
pub(super) fn sizes(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let Some(counters) = app.followed().and_then(|followed| followed.latest.counters.clone()) else {
        return note(app, frame, area);
    };
    let bars = counters.classes.iter().enumerate().map(|(at, class)| Bar {
        from: bucket_start(at),
        to: bucket_end(at),
        all: Measure::exact(class.allocations),
        rest: Some(Measure::exact(class.allocations.saturating_sub(class.frees))),
    });
    let title = "requested sizes since the process started, by the always-on counters";
    table(app, (frame, area), title, ["size", "allocations", "live"], bars.collect(), units::bytes);
}

/// Lifetimes by the last look.
pub(super) fn lifetimes(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let Some(look) = app.look() else { return note(app, frame, area) };
    let buckets = histogram(&look.profile, &look.heap, By::Lifetime);
    let bars = buckets.iter().map(|bucket| Bar {
        from: bucket.from,
        to: bucket.to,
        all: bucket.allocations,
        rest: bucket.unfreed_allocations,
    });
    let basis = if look.profile.is_exact() { "exact" } else { "estimates with their 95 % interval" };
    let title = format!("lifetimes, allocation to free ({basis}); live ones by their age");
    table(app, (frame, area), &title, ["lifetime", "freed", "still live"], bars.collect(), units::duration);
}

fn table(
    app: &mut App,
    (frame, area): (&mut Frame<'_>, Rect),
    title: &str,
    header: [&'static str; 3],
    bars: Vec<Bar>,
    unit: fn(u64) -> String,
) {
    let holds = |bar: &Bar| bar.all.value > 0 || bar.rest.is_some_and(|rest| rest.value > 0);
    let first = bars.iter().position(holds).unwrap_or(bars.len());
    let last = bars.iter().rposition(holds).map_or(first, |last| last + 1);
    let bars = bars.get(first..last).unwrap_or_default();
    let most = bars.iter().map(|bar| bar.all.value).max().unwrap_or(0);
    let [top, list] = Layout::vertical([Constraint::Length(1), Constraint::Min(1)]).areas(area);
    frame.render_widget(Line::styled(title.to_owned(), app.theme.faint()), top);
    let widths = [24, 20, 16].map(Constraint::Length).into_iter().chain([Constraint::Min(4)]);
    let room = usize::from(area.width).saturating_sub(24 + 20 + 16 + 3);
    let right = |text: String| Text::from(text).right_aligned();
    let rows = bars.iter().map(|shown| {
        Row::new([
            right(format!("{} … {}", unit(shown.from), unit(shown.to))),
            right(units::measured_count(shown.all)),
            right(shown.rest.map(units::measured_count).unwrap_or_default()),
            Text::from(bar(shown.all.value, most, room)),
        ])
    });
    let header = Row::new(header.map(|name| right(name.to_owned()))).style(app.theme.heading());
    let cursor = app.cursor(bars.len());
    let table = Table::new(rows, widths).header(header).row_highlight_style(app.theme.chosen());
    frame.render_stateful_widget(table, list, &mut TableState::new().with_selected(cursor));
}
