//! What is live, ranked.

use std::cmp::Reverse;

use crate::model::Measure;
use crate::replay::{AgeRange, Heap};

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
        })
        .collect();
    leaks.sort_by_key(|leak| Reverse(leak.live_bytes.value));
    leaks
}
