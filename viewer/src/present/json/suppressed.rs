//! What rules of `--suppress` took.

use serde::Serialize;

use super::parts::MeasureJson;
use crate::present::View;

/// A rule that took something.
#[derive(Debug, Serialize)]
pub struct SuppressedJson {
    /// Kind and pattern, as written.
    pub rule: String,
    /// Line of the file.
    pub line: usize,
    /// Why, as written.
    pub reason: Option<String>,
    /// The last day that it holds.
    pub until: Option<String>,
    /// Stacks with live blocks that it took.
    pub sites: usize,
    /// What they hold.
    pub live_bytes: MeasureJson,
    /// In how many blocks.
    pub live_allocations: MeasureJson,
}

impl SuppressedJson {
    /// Rules that took something live; `None` where there are no rules at all.
    pub fn all(view: &View<'_>) -> Option<Vec<SuppressedJson>> {
        let all = &view.grouping.suppressed;
        let taken = all.iter().filter(|taken| taken.live_sites > 0).map(|taken| SuppressedJson {
            rule: taken.rule.text.clone(),
            line: taken.rule.line,
            reason: taken.rule.reason.clone(),
            until: taken.rule.until.map(|until| until.to_string()),
            sites: taken.live_sites,
            live_bytes: taken.live.measure_bytes().into(),
            live_allocations: taken.live.measure_blocks().into(),
        });
        (!all.is_empty()).then(|| taken.collect())
    }
}
