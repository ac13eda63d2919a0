//! Checks as Markdown, for the page of a pull request. Names come from a capture, and must stay text there.

use super::check_words::{Checked, found, headline, limit, name, sentence, subject};
use super::markdown::plain;
use super::suppressed::because;
use super::units;
use super::verdict::why;
use crate::analysis::Status;
use crate::view::Suppressed;

/// The whole text.
pub fn check_markdown(checked: &Checked<'_>) -> String {
    let profile = checked.view.profile;
    let mark = if checked.has_passed() { "✅" } else { "❌" };
    let program = plain(&profile.header.program);
    let mut text = format!("### {mark} Heap of {program}: {}\n\n", lower(&headline(checked)));
    text.push_str("| | check | found | limit |\n|---|---|---:|---:|\n");
    for check in checked.checks {
        let mark = match check.status {
            Status::Passed => "✅ passed",
            Status::Failed => "❌ failed",
            Status::Unknown => "❔ unknown",
        };
        text.push_str(&format!("| {mark} | {} | {} | {} |\n", subject(check.gate), found(check), limit(check)));
    }
    let said: Vec<String> = checked
        .checks
        .iter()
        .filter(|check| check.status != Status::Passed || check.doubt.is_some())
        .map(|check| format!("- **{}** ({}): {}\n", check.status.name(), name(check.gate), sentence(check)))
        .collect();
    text.push_str(&section(said));
    text.push_str(&section(sites(checked)));
    text.push_str(&section(suppressed(checked)));
    text.push_str(&section(checked.next_steps().iter().map(|step| format!("- {}\n", plain(step))).collect()));
    let warnings = checked.view.warnings.iter().map(|warning| format!("- warning: {}\n", plain(warning)));
    text.push_str(&section(warnings.collect()));
    text
}

fn section(lines: Vec<String>) -> String {
    if lines.is_empty() { String::new() } else { format!("\n{}", lines.concat()) }
}

/// The sites that leak, and those that may.
fn sites(checked: &Checked<'_>) -> Vec<String> {
    let listed = checked.listed();
    if listed.is_empty() {
        return Vec::new();
    }
    let mut rows = vec!["| verdict | site | why |\n|---|---|---|\n".to_owned()];
    for group in &listed {
        let Some(verdict) = &group.verdict else { continue };
        rows.push(format!("| {} | {} | {} |\n", verdict.class.name(), plain(&group.name), why(verdict, None)));
    }
    let more = checked.suspects().len().saturating_sub(listed.len());
    if more > 0 {
        rows.push(format!("\n{more} more with too little evidence.\n"));
    }
    rows
}

/// What was suppressed, by rule.
fn suppressed(checked: &Checked<'_>) -> Vec<String> {
    let taken = checked.view.grouping.suppressed.iter().filter(|taken| taken.live_sites > 0);
    let line = |taken: &Suppressed| {
        let (live, sites) = (taken.live.measure_bytes(), units::things(taken.live_sites, "stack"));
        let (rule, because) = (plain(&taken.rule.text), plain(&because(taken)));
        format!("- suppressed by {rule}: {} in {sites}{because}\n", units::measured_bytes(live))
    };
    taken.map(line).collect()
}

/// The first letter small: a headline goes on in a sentence.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}
