//! Shows answers to people and programs: text screens, JSON, flame graphs. Nothing here computes a figure.

mod advice;
mod explain;
mod flamegraph;
mod histogram;
pub mod json;
mod leaks;
mod memory;
mod report;
mod safe;
mod screen;
mod sites;
mod sparkline;
mod style;
pub mod units;
mod verdict;

pub use explain::explain_text;
pub use flamegraph::{FlameGraph, Of};
pub use histogram::histogram_text;
pub use leaks::leaks_text;
pub use report::{advice_text, report_text};
pub use safe::safe;
pub use screen::{Screen, View};
