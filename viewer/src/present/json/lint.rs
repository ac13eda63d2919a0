//! Lints in the JSON of reports.

use serde::Serialize;

use crate::analysis::{Lint, lints};
use crate::present::lints::{remedy, sentence};
use crate::present::screen::View;

/// A pattern that costs more than it has to.
#[derive(Debug, Serialize)]
pub struct LintJson {
    /// `temporary-churn`, `growth-by-realloc`, `small-blocks` or `one-thread`.
    pub lint: &'static str,
    /// The site's function; of a thread its name.
    pub name: String,
    /// `file:line` of the site.
    pub place: Option<String>,
    /// What was found, with its numbers.
    pub sentence: String,
    /// What to try.
    pub remedy: &'static str,
}

impl LintJson {
    /// All of a view's.
    pub fn all(view: &View<'_>) -> Vec<LintJson> {
        let json = |lint: Lint| LintJson {
            lint: lint.pattern.name(),
            sentence: sentence(&lint),
            remedy: remedy(&lint.pattern),
            name: lint.name,
            place: lint.place,
        };
        lints(view.profile, view.heap, view.grouping).into_iter().map(json).collect()
    }
}
