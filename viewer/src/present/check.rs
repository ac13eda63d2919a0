//! Checks on a terminal: a table, then a sentence for what needs one.

use super::check_words::{Checked, found, headline, limit, name, sentence, subject};
use super::report::title;
use super::safe::safe;
use super::screen::Screen;
use super::style::{bad, faint, good, heading, warning};
use super::suppressed::suppressed_lines;
use super::verdict::why;
use crate::analysis::Status;

/// The whole screen.
pub fn check_text(checked: &Checked<'_>) -> String {
    let view = checked.view;
    let mut text = title(view.profile);
    let line = headline(checked);
    text.push_str(&format!("\n{}\n", if checked.has_passed() { good(line) } else { bad(line) }));
    text.push_str(&table(checked));
    for check in checked.checks.iter().filter(|check| check.status != Status::Passed || check.doubt.is_some()) {
        text.push_str(&format!("{} --{}: {}\n", coloured(check.status, 0), option(name(check.gate)), sentence(check)));
    }
    text.push_str(&sites(checked));
    text.push_str(&suppressed_lines(view));
    for step in checked.next_steps() {
        text.push_str(&format!("{} {}\n", heading("Next:"), safe(&step)));
    }
    text.push_str(&view.warning_lines());
    text
}

/// The option that a check was asked for with.
fn option(name: &str) -> &str {
    if name.starts_with("max-regression") { "max-regression" } else { name }
}

fn table(checked: &Checked<'_>) -> String {
    let mut table = Screen::table(&[1, 2]);
    table.set_header(["check", "found", "limit", ""]);
    for check in checked.checks {
        table.add_row([subject(check.gate).to_owned(), found(check), limit(check), String::new()]);
    }
    let mut text = String::new();
    // The header is the first line; the colour of a status would count as width inside of the table.
    let statuses = std::iter::once(None).chain(checked.checks.iter().map(|check| Some(check.status)));
    for (row, status) in table.lines().zip(statuses) {
        let status = status.map_or_else(|| " ".repeat(7), |status| coloured(status, 7));
        text.push_str(&format!("  {status} {}\n", row.trim_end()));
    }
    text
}

/// The status in its colour, filled up to a width.
fn coloured(status: Status, width: usize) -> String {
    let name = format!("{:<width$}", status.name());
    match status {
        Status::Passed => good(name),
        Status::Failed => bad(name),
        Status::Unknown => warning(name),
    }
}

/// The sites that leak, and those that may.
fn sites(checked: &Checked<'_>) -> String {
    let mut text = String::new();
    let listed = checked.listed();
    for group in &listed {
        let Some(verdict) = &group.verdict else { continue };
        text.push_str(&format!("  {:<20} {}\n", verdict.class.name(), heading(safe(&group.name))));
        text.push_str(&format!("  {:<20} {}\n", "", why(verdict, None)));
    }
    let more = checked.suspects().len().saturating_sub(listed.len());
    if more > 0 {
        text.push_str(&format!("  {}\n", faint(format!("{more} more with too little evidence"))));
    }
    text
}
