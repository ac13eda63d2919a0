//! How are sizes, lifetimes and ages spread?

use plimsoll_format::SizeClass;

use crate::model::{Measure, Profile, Tally};
use crate::replay::{Heap, bucket_end, bucket_start};

/// What to sort blocks by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Requested size in bytes, of everything allocated.
    Size,
    /// Time from allocation to free in nanoseconds.
    Lifetime,
    /// Time since allocation in nanoseconds, of live blocks.
    Age,
}

/// Blocks of one power of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// Smallest size in bytes, or time in nanoseconds.
    pub from: u64,
    /// Largest one.
    pub to: u64,
    /// Blocks.
    pub allocations: Measure,
    /// Their bytes.
    pub bytes: Measure,
    /// By lifetime: blocks not freed, in the bucket of the age they had reached; their lifetimes are longer. None elsewhere.
    pub unfreed_allocations: Option<Measure>,
    /// Bytes of these.
    pub unfreed_bytes: Option<Measure>,
}

/// The histogram from the first bucket that holds something to the last; empty buckets between them are kept.
///
/// Sizes are counted by the always-on counters where a capture of the whole run has them: numbers are then exact in
/// both modes and cover the process from its start, and only bytes are estimates when sampled.
pub fn histogram(profile: &Profile, heap: &Heap, by: By) -> Vec<Bucket> {
    let buckets = match by {
        By::Size => sizes(profile, heap),
        By::Lifetime => {
            let completed = heap.lifetimes.completed.buckets();
            let censored = heap.lifetimes.censored.buckets();
            completed.iter().zip(censored).enumerate().map(|(at, (done, not))| bucket(at, done, Some(not))).collect()
        }
        By::Age => heap.ages.0.buckets().iter().enumerate().map(|(at, tally)| bucket(at, tally, None)).collect(),
    };
    trim(buckets)
}

fn bucket(at: usize, tally: &Tally, unfreed: Option<&Tally>) -> Bucket {
    Bucket {
        from: bucket_start(at),
        to: bucket_end(at),
        allocations: tally.measure_blocks(),
        bytes: tally.measure_bytes(),
        unfreed_allocations: unfreed.map(Tally::measure_blocks),
        unfreed_bytes: unfreed.map(Tally::measure_bytes),
    }
}

fn sizes(profile: &Profile, heap: &Heap) -> Vec<Bucket> {
    let estimates = heap.sizes.0.buckets().iter().enumerate().map(|(at, tally)| bucket(at, tally, None));
    let classes = profile.counters.last().map(|counters| counters.classes.as_slice()).unwrap_or_default();
    // The counters know the whole process only: in an exact capture and of a part the events are the answer.
    if heap.interval_bytes <= 1 || !heap.options.is_whole() || classes.is_empty() {
        return estimates.collect();
    }
    let counted = |at: usize| classes.get(at).copied().unwrap_or_default();
    estimates.enumerate().map(|(at, estimate)| with_count(estimate, counted(at))).collect()
}

/// Puts the exact count of a size class beside its estimated bytes, and holds the bytes to what that count allows.
fn with_count(estimate: Bucket, class: SizeClass) -> Bucket {
    let least = class.allocations.saturating_mul(estimate.from);
    let most = class.allocations.saturating_mul(estimate.to);
    let high = estimate.bytes.high.map_or(most, |high| high.clamp(least, most));
    let bytes = Measure {
        value: estimate.bytes.value.clamp(least, most),
        low: estimate.bytes.low.clamp(least, most),
        high: Some(high),
    };
    Bucket { allocations: Measure::exact(class.allocations), bytes, ..estimate }
}

fn trim(buckets: Vec<Bucket>) -> Vec<Bucket> {
    let holds = |bucket: &Bucket| {
        bucket.allocations.value > 0 || bucket.unfreed_allocations.is_some_and(|unfreed| unfreed.value > 0)
    };
    let first = buckets.iter().position(holds).unwrap_or(buckets.len());
    let last = buckets.iter().rposition(holds).map_or(first, |last| last + 1);
    buckets.get(first..last).unwrap_or_default().to_vec()
}
