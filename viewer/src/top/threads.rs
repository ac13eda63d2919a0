//! Who allocated what lives: by thread and by tag.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Text;
use ratatui::widgets::{Row, Table, TableState};

use crate::follow::Look;
use crate::present::units;
use crate::view::GroupBy;

use super::app::App;
use super::draw::note;
use super::words::head;

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let Some(look) = app.look() else { return note(app, frame, area) };
    let tags = rows(&look, GroupBy::Tag, area.width);
    let threads = rows(&look, GroupBy::Thread, area.width);
    let below = u16::try_from(tags.len() + 1).unwrap_or(u16::MAX).min(area.height / 2);
    let [top, bottom] = Layout::vertical([Constraint::Min(2), Constraint::Length(below)]).areas(area);
    let cursor = app.cursor(threads.len());
    frame.render_stateful_widget(table(app, "thread", threads), top, &mut TableState::new().with_selected(cursor));
    frame.render_widget(table(app, "tag", tags), bottom);
}

/// Those with live blocks first, most bytes first.
fn rows(look: &Look, by: GroupBy, width: u16) -> Vec<Row<'static>> {
    let Some(view) = look.view(by, 0).filter(|view| view.by == by) else { return Vec::new() };
    let right = |text: String| Text::from(text).right_aligned();
    let row = |group: &crate::view::Group| {
        Row::new([
            right(units::measured_bytes(group.live.measure_bytes())),
            right(units::measured_count(group.live.measure_blocks())),
            right(units::bytes(group.total.estimated_bytes())),
            Text::from(head(&group.name, usize::from(width.saturating_sub(53)))),
        ])
    };
    view.ranked_with_past().into_iter().map(row).collect()
}

fn table(app: &App, name: &'static str, rows: Vec<Row<'static>>) -> Table<'static> {
    let right = |text: &'static str| Text::from(text).right_aligned();
    let header = Row::new([right("live"), right("blocks"), right("total"), Text::from(name)]);
    let widths = [19, 18, 10].map(Constraint::Length).into_iter().chain([Constraint::Min(8)]);
    Table::new(rows, widths).header(header.style(app.theme.heading())).row_highlight_style(app.theme.chosen())
}
