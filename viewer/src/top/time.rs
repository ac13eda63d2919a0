//! How the process went: a chart of RSS, live bytes and the limit.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Style;
use ratatui::symbols::Marker;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Axis, Chart, Dataset, GraphType};

use crate::follow::{Followed, Values};
use crate::present::{safe, units};

use super::app::App;
use super::draw::note;

type Points = Vec<(f64, f64)>;

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let Some(followed) = app.followed().filter(|followed| followed.series.newest().is_some()) else {
        return note(app, frame, area);
    };
    let rss = points(&followed, app.whole_run, |values| values.rss_bytes);
    let live = points(&followed, app.whole_run, |values| values.live_bytes);
    let highest = |points: &Points| points.iter().map(|point| point.1).fold(0.0, f64::max);
    let most = highest(&rss).max(highest(&live)).max(1.0) * 1.05;
    // A limit that is far away would make everything else flat.
    let limit = points(&followed, app.whole_run, |values| values.limit_bytes);
    let limit: Points = limit.into_iter().filter(|point| point.1 <= most * 1.5).collect();
    let most = most.max(highest(&limit) * 1.02);
    let ends = |points: &Points| points.first().zip(points.last()).map(|(first, last)| (first.0, last.0));
    let (from, to) = ends(&rss).or(ends(&live)).unwrap_or_default();
    let [top, chart, below] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(3), Constraint::Length(1)]).areas(area);
    frame.render_widget(title(app), top);
    let series =
        [("RSS", &rss, app.theme.rss()), ("live", &live, app.theme.live()), ("limit", &limit, app.theme.limit())];
    let datasets = series.iter().filter(|(_, points, _)| !points.is_empty()).map(|(name, points, style)| {
        let marker = if *name == "live" { Marker::Dot } else { Marker::Braille };
        Dataset::default().name(*name).marker(marker).graph_type(GraphType::Line).style(*style).data(points)
    });
    let seconds = |at: f64| units::duration((at * 1e9) as u64);
    let chart_widget = Chart::new(datasets.collect())
        .x_axis(axis(app, [from, to.max(from + 1e-9)], [seconds(from), seconds((from + to) / 2.0), seconds(to)]))
        .y_axis(axis(app, [0.0, most], [0.0, most / 2.0, most].map(|bytes| units::bytes(bytes as u64))));
    frame.render_widget(chart_widget, chart);
    frame.render_widget(markers(&followed, area.width, app.theme.faint()), below);
}

fn title(app: &App) -> Line<'static> {
    let shown =
        if app.whole_run { "the whole run, z for the last samples:" } else { "the last samples, z for the whole run:" };
    Line::from(vec![
        Span::styled(shown, app.theme.faint()),
        Span::styled("  ─ RSS", app.theme.rss()),
        Span::styled("  • live", app.theme.live()),
        Span::styled("  ─ limit, where it is near", app.theme.limit()),
    ])
}

fn axis(app: &App, bounds: [f64; 2], labels: [String; 3]) -> Axis<'static> {
    Axis::default().bounds(bounds).labels(labels).style(app.theme.faint())
}

/// Seconds and bytes: of the whole run each span's largest value, else the last samples as they were.
fn points(followed: &Followed, whole: bool, number: impl Fn(&Values) -> Option<u64>) -> Points {
    let point = |at_ns: u64, values: &Values| Some((at_ns as f64 / 1e9, number(values)? as f64));
    let series = &followed.series;
    if whole {
        return series.whole().iter().filter_map(|span| point(span.to_ns, &span.most)).collect();
    }
    series.recent().filter_map(|sample| point(sample.at_ns, &sample.values)).collect()
}

/// The last markers, as many as there is room for.
fn markers(followed: &Followed, width: u16, style: Style) -> Line<'static> {
    let mut text = String::new();
    for (at, name) in followed.markers.iter().rev() {
        let marker = format!("{} at {}", safe(name), units::duration(*at));
        if text.chars().count() + marker.chars().count() + 12 > usize::from(width) {
            break;
        }
        text = if text.is_empty() { marker } else { format!("{marker}, {text}") };
    }
    let text = if text.is_empty() { text } else { format!("markers: {text}") };
    Line::styled(text, style)
}
