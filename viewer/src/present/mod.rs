//! Shows answers to people and programs: text screens, JSON, flame graphs. Nothing here computes a figure.

mod advice;
mod check;
mod check_markdown;
mod check_words;
mod diff;
mod diff_flamegraph;
mod explain;
mod flamegraph;
mod histogram;
pub mod json;
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
pub mod units;
mod verdict;

pub use check::check_text;
pub use check_markdown::check_markdown;
pub use check_words::{Checked, headline, sentence};
pub use diff::{Comparison, DiffOf, diff_markdown, diff_text};
pub use diff_flamegraph::DiffFlameGraph;
pub use explain::explain_text;
pub use flamegraph::{FlameGraph, Of};
pub use histogram::histogram_text;
pub use leaks::leaks_text;
pub use report::{advice_text, report_text};
pub use rss::{Verdict, rss_text, verdict};
pub use safe::safe;
pub use screen::{Screen, View};
