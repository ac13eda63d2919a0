//! What could be done about what a capture shows: patterns that cost more than they have to. `docs/lints.md` has the rules.

use crate::model::{Measure, Profile, Tally};
use crate::replay::Heap;
use crate::view::{Group, Grouping};

/// Lints at most, the weightiest first.
const MAX_LINTS: usize = 5;
/// Allocations, or bytes, of all that make a pattern worth a line.
const WORTH: f64 = 0.10;
/// Temporary allocations of a site's that make it churn.
const MOSTLY: f64 = 0.5;
/// Fewer temporary allocations cost no time that could be measured: a millisecond at 100 ns each.
const MANY_ALLOCATIONS: u64 = 10_000;
/// Fewer bytes are not worth moving with more care.
const MANY_BYTES: u64 = 1 << 20;
/// Live blocks of a site that are many.
const MANY_BLOCKS: u64 = 100_000;
/// Blocks of this size are small: what an allocator adds is a good part of them.
const SMALL_BYTES: u64 = 64;
/// Bytes that an allocator adds to a block, at least, and rounds its size up to.
const OVERHEAD_BYTES: u64 = 16;
/// Part of all bytes allocated that makes one thread's a hot spot.
const HOT: f64 = 0.8;
/// Threads that have to allocate before one can be the hot one.
const MANY_THREADS: usize = 4;

/// A pattern, and the numbers that show it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pattern {
    /// Blocks that are freed at once.
    TemporaryChurn {
        /// Temporary allocations of the site.
        temporary: Measure,
        /// All of its allocations.
        allocations: Measure,
    },
    /// Blocks that are reallocated again and again as they grow.
    GrowthByRealloc {
        /// Bytes allocated by reallocations.
        moved: Measure,
        /// Reallocations.
        reallocations: Measure,
        /// All bytes of the site.
        bytes: Measure,
    },
    /// Many live blocks that are hardly larger than what each of them costs.
    SmallBlocks {
        /// Live blocks.
        blocks: Measure,
        /// Their bytes.
        bytes: Measure,
        /// What an allocator adds to these, bytes at least.
        overhead_bytes: u64,
    },
    /// One thread allocates nearly everything.
    OneThread {
        /// Its bytes.
        bytes: Measure,
        /// Those of all threads.
        all: Measure,
        /// Threads that allocate.
        threads: usize,
    },
}

/// A pattern and where it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Lint {
    /// What it is.
    pub pattern: Pattern,
    /// The site's function; of a thread its name.
    pub name: String,
    /// `file:line` of the site, where it is known.
    pub place: Option<String>,
    /// Share of the process that it is about: lints are sorted by it.
    pub weight: f64,
}

/// The patterns of a capture whose sites are grouped so.
pub fn lints(profile: &Profile, heap: &Heap, grouping: &Grouping) -> Vec<Lint> {
    let total = heap.sum(|site| site.total);
    let live = heap.sum(|site| site.live);
    let mut lints: Vec<Lint> = Vec::new();
    for group in &grouping.groups {
        lints.extend(temporary_churn(group, &total));
        lints.extend(growth_by_realloc(group, &total));
        lints.extend(small_blocks(group, &live));
    }
    lints.extend(one_thread(profile, heap, &total));
    lints.sort_by(|one, other| other.weight.total_cmp(&one.weight));
    lints.truncate(MAX_LINTS);
    lints
}

/// What of the whole a part is for certain, as far as its interval says so.
fn share(part: Measure, whole: Measure) -> f64 {
    whole.high.map_or(0.0, |high| part.low as f64 / (high.max(1)) as f64)
}

fn lint(pattern: Pattern, group: &Group, weight: f64) -> Option<Lint> {
    let place = group.frames.first().and_then(|frame| frame.place());
    (weight >= WORTH).then(|| Lint { pattern, name: group.name.clone(), place, weight })
}

fn temporary_churn(group: &Group, total: &Tally) -> Option<Lint> {
    // Sampled captures cannot tell.
    let temporary = group.temporary?.measure_blocks();
    let allocations = group.total.measure_blocks();
    if temporary.low < MANY_ALLOCATIONS || share(temporary, allocations) < MOSTLY {
        return None;
    }
    lint(Pattern::TemporaryChurn { temporary, allocations }, group, share(temporary, total.measure_blocks()))
}

fn growth_by_realloc(group: &Group, total: &Tally) -> Option<Lint> {
    let (moved, bytes) = (group.reallocated.measure_bytes(), group.total.measure_bytes());
    if moved.low < MANY_BYTES || share(moved, bytes) < MOSTLY {
        return None;
    }
    let reallocations = group.reallocated.measure_blocks();
    lint(Pattern::GrowthByRealloc { moved, reallocations, bytes }, group, share(moved, total.measure_bytes()))
}

fn small_blocks(group: &Group, live: &Tally) -> Option<Lint> {
    let (blocks, bytes) = (group.live.measure_blocks(), group.live.measure_bytes());
    if blocks.low < MANY_BLOCKS || bytes.value / blocks.value.max(1) > SMALL_BYTES {
        return None;
    }
    let overhead_bytes = blocks.low.saturating_mul(OVERHEAD_BYTES);
    let weight = (overhead_bytes as f64 / live.measure_bytes().high?.max(1) as f64).min(1.0);
    lint(Pattern::SmallBlocks { blocks, bytes, overhead_bytes }, group, weight)
}

fn one_thread(profile: &Profile, heap: &Heap, total: &Tally) -> Option<Lint> {
    let mut threads: std::collections::BTreeMap<u32, Tally> = std::collections::BTreeMap::new();
    for site in heap.sites.iter().filter(|site| !site.total.is_empty()) {
        *threads.entry(site.thread.0).or_insert_with(|| Tally::new(heap.interval_bytes)) += site.total;
    }
    let all = total.measure_bytes();
    let (thread, most) = threads.iter().max_by_key(|(_, tally)| tally.estimated_bytes())?;
    let bytes = most.measure_bytes();
    let is_hot =
        threads.len() >= MANY_THREADS && share(bytes, all) >= HOT && most.measure_blocks().low >= MANY_ALLOCATIONS;
    is_hot.then(|| Lint {
        pattern: Pattern::OneThread { bytes, all, threads: threads.len() },
        name: profile.thread_name(crate::model::ThreadId(*thread)),
        place: None,
        // Worth less than what says where.
        weight: WORTH,
    })
}

impl Pattern {
    /// The name in JSON.
    pub fn name(&self) -> &'static str {
        match self {
            Pattern::TemporaryChurn { .. } => "temporary-churn",
            Pattern::GrowthByRealloc { .. } => "growth-by-realloc",
            Pattern::SmallBlocks { .. } => "small-blocks",
            Pattern::OneThread { .. } => "one-thread",
        }
    }
}
