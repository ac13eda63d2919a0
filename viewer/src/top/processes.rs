//! All captures, and the processes that were asked for.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row, Table, TableState};

use crate::follow::{Process, Strip};
use crate::present::units;

use super::app::App;
use super::draw::note;
use super::words::head;

/// Columns of everything but names.
const FIXED: u16 = 10 + 9 + 9 + 9 + 7 + 5;

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let picture = app.picture.clone();
    if picture.captures.is_empty() && picture.processes.is_empty() {
        return note(app, frame, area);
    }
    let captures = u16::try_from(picture.captures.len() + 1).unwrap_or(u16::MAX).min(area.height / 2);
    let [top, list, bottom] =
        Layout::vertical([Constraint::Length(captures), Constraint::Min(1), Constraint::Length(1)]).areas(area);
    let rows: Vec<Row<'_>> = picture
        .captures
        .iter()
        .map(|followed| {
            let state = Span::styled(followed.state.name(), app.theme.state(followed.state));
            let name = match followed.program.as_str() {
                "" => followed.path.to_string_lossy().into_owned(),
                program => program.to_owned(),
            };
            row(app, &followed.rss, Line::from(state), followed.pid, &name, area.width)
        })
        .collect();
    let cursor = app.cursor(rows.len());
    let table = table(app, "state", "capture (Enter shows it)", rows);
    frame.render_stateful_widget(table, top, &mut TableState::new().with_selected(cursor));
    let rows = picture.processes.iter().map(|process| process_row(app, process, area.width));
    let rows: Vec<Row<'_>> = rows.collect();
    frame.render_widget(self::table(app, "CPU", "process", rows), list);
    let sum = &picture.sum;
    let unreadable = if sum.unreadable > 0 { format!(", {} not read", sum.unreadable) } else { String::new() };
    let text = format!(
        " {} in {}{unreadable}, CPU {:.1} %; RAM {} used",
        units::bytes(sum.rss_bytes),
        if sum.processes == 1 { "1 process".to_owned() } else { format!("{} processes", sum.processes) },
        sum.cpu_percent,
        units::share(picture.system.used_bytes(), picture.system.total_bytes),
    );
    let name = Span::styled("sum  ", app.theme.heading());
    frame.render_widget(Line::from(vec![name, app.theme.strip(&sum.strip), Span::raw(text)]), bottom);
}

fn process_row(app: &App, process: &Process, width: u16) -> Row<'static> {
    if process.memory.is_err() {
        let pid = Text::from(process.pid.to_string()).right_aligned();
        let name = Text::from(head(&process.name, usize::from(width.saturating_sub(FIXED))));
        let text = Text::styled(process.memory_text(), app.theme.warning());
        return Row::new([Cell::new(text).column_span(4), Cell::new(pid), Cell::new(name)]);
    }
    let cpu = process.cpu_percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1} %"));
    let name = if process.command.is_empty() { &process.name } else { &process.command };
    row(app, &process.strip, Line::from(cpu), process.pid, name, width)
}

/// Strip, now, peak, what the table is about, number and name.
fn row(app: &App, strip: &Strip, what: Line<'static>, pid: u32, name: &str, width: u16) -> Row<'static> {
    let right = |text: String| Text::from(text).right_aligned();
    Row::new([
        Text::from(Line::from(app.theme.strip(strip))),
        right(strip.current_bytes.map_or_else(|| "–".to_owned(), units::bytes)),
        right(units::bytes(strip.peak_bytes)),
        Text::from(what),
        right(if pid == 0 { "–".to_owned() } else { pid.to_string() }),
        Text::from(head(name, usize::from(width.saturating_sub(FIXED)))),
    ])
}

fn table(app: &App, what: &'static str, name: &'static str, rows: Vec<Row<'static>>) -> Table<'static> {
    let right = |text: &'static str| Text::from(text).right_aligned();
    let header =
        Row::new([Text::from("RSS"), right("now"), right("peak"), Text::from(what), right("pid"), Text::from(name)]);
    let widths = [10, 9, 9, 9, 7].map(Constraint::Length).into_iter().chain([Constraint::Min(8)]);
    Table::new(rows, widths).header(header.style(app.theme.heading())).row_highlight_style(app.theme.chosen())
}
