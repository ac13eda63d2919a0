//! Allocations and frees one by one, in order, for readers that want more than sums.

use crate::model::Profile;

use super::block::Block;
use super::figure::Figure;
use super::ledger::Ledger;

/// A block came, or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// When, nanoseconds after the session's start.
    pub at_ns: u64,
    /// Tells blocks apart; the same when the block comes and when it goes. No address.
    pub block: u64,
    /// Position in [`Heap::sites`](super::Heap::sites) of the site that allocated it.
    pub site: usize,
    /// Bytes that it stands for: more than 0 when it comes, less when it goes.
    pub bytes: i64,
}

/// What came and went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Trace {
    /// In order.
    pub moved: Vec<Moved>,
    /// How many more there were than could be kept.
    pub left_out: u64,
    /// Samples that stand for more since the interval was raised: their blocks came a second time here.
    pub thinned: u64,
}

/// A move, with the site as the replay numbers it, and the block by what it was born with.
struct Step {
    ticks: u64,
    born: (u64, u32, u64),
    bytes: i64,
}

/// A trace under way.
pub(super) struct Tracing {
    steps: Vec<Step>,
    most: usize,
    left_out: u64,
    thinned: u64,
    /// By the replay's number of a site, its position in the heap.
    places: Vec<usize>,
}

impl Tracing {
    pub(super) fn new(most: usize) -> Tracing {
        Tracing { steps: Vec::new(), most, left_out: 0, thinned: 0, places: Vec::new() }
    }

    fn push(&mut self, step: Step) {
        if self.steps.len() < self.most { self.steps.push(step) } else { self.left_out += 1 }
    }

    /// Site `index` of the replay comes to stand at `position`.
    pub(super) fn place(&mut self, index: usize, position: usize) {
        self.places.resize(index.max(self.places.len()), usize::MAX);
        self.places.push(position);
    }

    pub(super) fn finish(mut self, profile: &Profile) -> Trace {
        // What was freed by a reallocation is told when that is over.
        self.steps.sort_by_key(|step| step.ticks);
        let mut numbers = std::collections::HashMap::new();
        let mut moved = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            let Some(site) = self.places.get(step.born.1 as usize).copied().filter(|site| *site != usize::MAX) else {
                continue;
            };
            let next = numbers.len() as u64 + 1;
            let block = *numbers.entry(step.born).or_insert(next);
            moved.push(Moved { at_ns: profile.ns(step.ticks), block, site, bytes: step.bytes });
        }
        Trace { moved, left_out: self.left_out, thinned: self.thinned }
    }
}

impl<F: Figure> Ledger<'_, F> {
    #[inline]
    pub(super) fn trace_birth(&mut self, block: &Block<F>, ticks: u64) {
        if let Some(trace) = &mut self.trace {
            trace.push(step(block, ticks, 1));
        }
    }

    #[inline]
    pub(super) fn trace_death(&mut self, block: &Block<F>, ticks: u64) {
        if self.trace.is_some() && self.counts(block) {
            self.trace.iter_mut().for_each(|trace| trace.push(step(block, ticks, -1)));
        }
    }

    /// A sample stands for more from now on.
    pub(super) fn trace_thinned(&mut self, before: &Block<F>, after: &Block<F>, ticks: u64) {
        if self.trace.is_some() && self.counts(before) {
            self.trace_death(before, ticks);
            self.trace_birth(after, ticks);
            self.trace.iter_mut().for_each(|trace| trace.thinned += 1);
        }
    }
}

fn step<F: Figure>(block: &Block<F>, ticks: u64, sign: i64) -> Step {
    let bytes = i64::try_from(F::estimate(&block.weight())).unwrap_or(i64::MAX);
    Step { ticks, born: (block.ticks, block.site, block.birth()), bytes: bytes * sign }
}
