//! What is live, ranked.

use std::cmp::Reverse;

use crate::model::Measure;
use crate::replay::{AgeRange, Heap};

/// What the evidence says of a site's live blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Grows without bound.
    Leak,
    /// Grew, then stayed.
    Bounded,
    /// Allocated early and kept.
    WarmUp,
    /// Comes and goes.
    Churn,
    /// A few blocks, never freed, without a trend.
    OneShot,
    /// Too few births and deaths to say.
    TooLittleEvidence,
}

/// A site with live blocks. That they are live is a fact, not a verdict.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leak {
    /// Position in [`Heap::sites`].
    pub site: usize,
    /// Bytes live at the moment of the replay.
    pub live_bytes: Measure,
    /// Blocks live then.
    pub live_allocations: Measure,
    /// Their ages, `None` when not known.
    pub ages: Option<AgeRange>,
    /// `None` until it is judged.
    pub verdict: Option<Verdict>,
}

/// All sites with live blocks, most bytes first; sites that are equal stay in order of first allocation.
pub fn leaks(heap: &Heap) -> Vec<Leak> {
    let live = heap.sites.iter().enumerate().filter(|(_, site)| !site.live.is_empty());
    let mut leaks: Vec<Leak> = live
        .map(|(at, site)| Leak {
            site: at,
            live_bytes: site.live.measure_bytes(),
            live_allocations: site.live.measure_blocks(),
            ages: site.ages,
            verdict: None,
        })
        .collect();
    leaks.sort_by_key(|leak| Reverse(leak.live_bytes.value));
    leaks
}
