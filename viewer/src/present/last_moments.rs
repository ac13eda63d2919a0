//! The last moments of a process that was killed, which its report leads with.

use crate::analysis::{LastMoments, last_moments};

use super::safe::safe;
use super::screen::View;
use super::style::heading;
use super::units;

/// The lines; empty for a process that was not killed.
pub(crate) fn last_moments_lines(view: &View<'_>) -> String {
    let Some(last) = last_moments(view.profile, view.heap, view.grouping) else { return String::new() };
    let (from, to) = (units::duration(last.from_ns), units::duration(last.to_ns));
    let mut text = format!("{}\n", heading(format!("Last moments, from {from} to {to}")));
    for (name, value) in rows(&last) {
        text.push_str(&format!("  {name:<16}{value}\n"));
    }
    text
}

fn rows(last: &LastMoments<'_>) -> Vec<(&'static str, String)> {
    let mut rows = Vec::new();
    if let Some((first, now)) = last.rss_bytes {
        rows.push(("Resident (RSS)", format!("{} → {}", units::bytes(first), units::bytes(now))));
    }
    if let Some((used, limit)) = last.of_limit {
        let share = units::share(used, limit);
        rows.push(("Of the limit", format!("{} of {} ({share})", units::bytes(used), units::bytes(limit))));
    }
    if let Some((first, now)) = last.live_bytes {
        rows.push(("Live heap", format!("{} → {}", units::measured_bytes(first), units::measured_bytes(now))));
    }
    for (number, (group, growth)) in last.grew.iter().enumerate() {
        let name = if number == 0 { "Grew most" } else { "" };
        rows.push((name, format!("+{} at {}", units::measured_bytes(*growth), safe(&group.name))));
    }
    if last.grew.is_empty() {
        rows.push(("Grew most", "no site that can be named grew".to_owned()));
    }
    rows
}
