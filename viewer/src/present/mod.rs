//! Shows answers to people and programs: text screens, JSON, flame graphs. Nothing here computes a figure.

mod advice;
mod check;
mod check_markdown;
mod check_words;
mod control;
mod diff;
mod diff_flamegraph;
mod explain;
mod flamegraph;
mod histogram;
pub mod json;
mod last_moments;
mod leaks;
mod lints;
mod markdown;
mod memory;
mod report;
mod rss;
mod safe;
mod screen;
mod sites;
mod sparkline;
mod style;
mod suppressed;
pub mod units;
mod verdict;

pub use check::check_text;
pub use check_markdown::check_markdown;
pub use check_words::{Checked, headline, sentence};
pub use control::answer_text;
pub use diff::{Comparison, DiffOf, diff_markdown, diff_text};
pub use diff_flamegraph::DiffFlameGraph;
pub use explain::explain_text;
pub(crate) use flamegraph::folded_name;
pub use flamegraph::{FlameGraph, Of};
pub use histogram::histogram_text;
pub use leaks::leaks_text;
pub use report::{advice_text, report_text};
pub use rss::{Verdict, rss_text, verdict};
pub(crate) use safe::is_safe;
pub use safe::safe;
pub use screen::{Screen, View};
pub(crate) use sites::place as site_place;
pub(crate) use verdict::rate_text;

use crate::symbolize::Frame;

/// A name in every way that names are shown, for tests.
pub(crate) fn shown_names(name: &str) -> Vec<String> {
    let frame = Frame { function: Some(name.into()), file: Some(name.into()), ..Frame::marker(name) };
    let place = sites::place(&frame).unwrap_or_default();
    let crates = crate::view::crate_of(&frame).map(|name| safe(name).into_owned());
    let json = json::to_line(&name).unwrap_or_default();
    let shown = [safe(name).into_owned(), markdown::plain(name), flamegraph::folded_name(name), place, json];
    shown.into_iter().chain(crates).collect()
}
