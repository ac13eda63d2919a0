//! Histograms that a replay fills: power-of-two buckets of tallies.

use crate::model::Tally;

use super::figure::Figure;

/// Buckets of a histogram of 64-bit numbers.
pub const BUCKETS: usize = 64;

/// The bucket of a number: bucket k holds 2^k to 2^(k+1) − 1, bucket 0 also 0.
pub fn bucket_of(value: u64) -> usize {
    value.checked_ilog2().unwrap_or(0) as usize
}

/// Smallest number of a bucket.
pub fn bucket_start(bucket: usize) -> u64 {
    if bucket == 0 { 0 } else { 1 << bucket.min(BUCKETS - 1) }
}

/// Largest number of a bucket.
pub fn bucket_end(bucket: usize) -> u64 {
    if bucket >= BUCKETS - 1 { u64::MAX } else { (2 << bucket) - 1 }
}

/// Tallies by power of two.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    buckets: Vec<Tally>,
}

impl Histogram {
    /// All buckets, smallest first.
    pub fn buckets(&self) -> &[Tally] {
        &self.buckets
    }
}

/// A histogram under way.
#[derive(Debug, Clone)]
pub(super) struct Buckets<F>([F; BUCKETS]);

impl<F: Figure> Buckets<F> {
    /// An empty histogram of a capture with this mean interval (1 in exact mode).
    pub(super) fn new(interval_bytes: u64) -> Buckets<F> {
        Buckets([F::none(interval_bytes); BUCKETS])
    }

    /// Counts a block under `value`.
    #[inline]
    pub(super) fn add(&mut self, value: u64, weight: &F::Weight) {
        self.add_to(bucket_of(value), weight);
    }

    /// Counts a block in a bucket.
    #[inline]
    pub(super) fn add_to(&mut self, bucket: usize, weight: &F::Weight) {
        if let Some(bucket) = self.0.get_mut(bucket) {
            bucket.add(weight);
        }
    }

    pub(super) fn finish(&self) -> Histogram {
        Histogram { buckets: self.0.iter().map(F::tally).collect() }
    }
}

/// Lifetimes in nanoseconds.
#[derive(Debug, Clone, PartialEq)]
pub struct Lifetimes {
    /// Of blocks that were freed: allocation to free.
    pub completed: Histogram,
    /// Of blocks that were not: how old they had become. Their lifetimes are longer than this.
    pub censored: Histogram,
}

/// Ages in nanoseconds of the blocks live at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Ages(pub Histogram);

/// Requested sizes in bytes of everything allocated.
#[derive(Debug, Clone, PartialEq)]
pub struct Sizes(pub Histogram);
