//! What was suppressed, counted and listed: it is accepted, and no secret.

use crate::model::Tally;
use crate::view::Suppressed;

use super::safe::safe;
use super::screen::View;
use super::style::{faint, heading};
use super::units;

/// A line for all, and one for each rule that took something live; nothing without rules.
pub(super) fn suppressed_lines(view: &View<'_>) -> String {
    let taken = view.grouping.suppressed.iter().filter(|taken| taken.live_sites > 0);
    let taken: Vec<&Suppressed> = taken.collect();
    let Some(first) = taken.first() else { return String::new() };
    let mut sum = Tally::new(view.heap.interval_bytes);
    taken.iter().for_each(|taken| sum += taken.live);
    let sites = taken.iter().map(|taken| taken.live_sites).sum();
    let mut text = format!(
        "{} {} in {} by {}\n",
        heading("Suppressed:"),
        units::measured_bytes(sum.measure_bytes()),
        units::things(sites, "live stack"),
        safe(&first.file)
    );
    for taken in taken {
        let line = format!(
            "  {}: {} in {}{}",
            safe(&taken.rule.text),
            units::measured_bytes(taken.live.measure_bytes()),
            units::things(taken.live_sites, "stack"),
            because(taken)
        );
        text.push_str(&format!("{}\n", faint(line)));
    }
    text
}

/// Reason and date, as far as the rule has them.
pub(super) fn because(taken: &Suppressed) -> String {
    let reason = taken.rule.reason.as_deref().map(|reason| format!(" – {}", safe(reason))).unwrap_or_default();
    let until = taken.rule.until.map(|until| format!(" (until {until})")).unwrap_or_default();
    format!("{reason}{until}")
}
