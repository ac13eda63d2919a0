//! What could not be recorded or read, and everything else that a reader should know.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::{Paragraph, Wrap};

use crate::present::json::LostJson;
use crate::present::{safe, units};

use super::app::App;
use super::draw::note;

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let Some(followed) = app.followed() else { return note(app, frame, area) };
    let mut lines = vec![Line::styled("Lost so far; totals by the counters hold all of it", app.theme.heading())];
    let lost = lost(&followed.lost);
    if lost.is_empty() {
        lines.push(Line::from("  nothing"));
    }
    lines.extend(lost.into_iter().map(|line| Line::styled(format!("  {line}"), app.theme.warning())));
    let look = followed.look.as_ref().map(|look| look.warnings.as_slice()).unwrap_or_default();
    let said: Vec<&String> = app.picture.warnings.iter().chain(&followed.warnings).chain(look).collect();
    if !said.is_empty() {
        lines.push(Line::default());
        lines.push(Line::styled("What to know", app.theme.heading()));
        lines.extend(said.into_iter().map(|warning| Line::from(format!("  {}", safe(warning)))));
    }
    let scroll = app.cursor(lines.len());
    let scroll = u16::try_from(scroll).unwrap_or(u16::MAX);
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }).scroll((scroll, 0)), area);
}

/// What was lost, a line for each kind.
fn lost(lost: &LostJson) -> Vec<String> {
    let mut lines = Vec::new();
    let mut say = |number: u64, sentence: String| {
        if number > 0 {
            lines.push(sentence);
        }
    };
    let count = units::count;
    let bytes = |bytes: u64| units::bytes(bytes);
    let of = |number: u64, size: u64| format!("{} of {}", count(number), bytes(size));
    say(lost.allocations, format!("allocations not recorded: {}", of(lost.allocations, lost.bytes)));
    say(lost.frees, format!("frees not recorded: {}; live figures carry bounds", of(lost.frees, lost.freed_bytes)));
    say(lost.short_stacks, format!("allocations with a part of their stack: {}", count(lost.short_stacks)));
    say(lost.missing_blocks, format!("missing blocks of the file: {}", count(lost.missing_blocks)));
    say(lost.damaged_bytes, format!("damaged: {}", bytes(lost.damaged_bytes)));
    say(lost.unread_blocks, format!("blocks that this version cannot read: {}", count(lost.unread_blocks)));
    say(lost.unread_records, format!("records that this version cannot read: {}", count(lost.unread_records)));
    say(lost.dropped_segments, format!("oldest segments dropped: {}", count(lost.dropped_segments)));
    lines
}
