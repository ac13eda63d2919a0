//! What a replay adds up. In exact captures each block stands for itself, so that two numbers do what takes a whole
//! [`Tally`] in sampled ones; at a hundred million events that is most of the time.

use crate::model::{Tally, Weight};

/// A sum of blocks under way.
pub(super) trait Figure: Copy {
    /// What one block adds.
    type Weight: Copy;

    /// What a block keeps of the interval that chose it.
    type Interval: Copy;

    /// What stands in place of an interval where there is no block.
    const NO_INTERVAL: Self::Interval;

    /// Each block stands for itself: the capture is exact.
    const EXACT: bool;

    /// An empty sum of a capture with this mean interval.
    fn none(interval_bytes: u64) -> Self;

    /// What a block keeps of its interval.
    fn interval(bytes: u64) -> Self::Interval;

    /// What a block of this size, chosen with this interval, adds.
    fn weigh(size_bytes: u64, interval: Self::Interval) -> Self::Weight;

    fn add(&mut self, weight: &Self::Weight);

    /// Takes out a block that was added before.
    fn remove(&mut self, weight: &Self::Weight);

    /// Blocks that one block stands for.
    fn blocks(weight: &Self::Weight) -> f64;

    /// Best value of the bytes that one block stands for.
    fn estimate(weight: &Self::Weight) -> u64;

    /// Best value of the bytes.
    fn estimated_bytes(&self) -> u64;

    /// The sum as the rest of the program knows it.
    fn tally(&self) -> Tally;
}

impl Figure for Tally {
    type Weight = Weight;
    type Interval = u64;

    const NO_INTERVAL: u64 = 0;
    const EXACT: bool = false;

    fn none(interval_bytes: u64) -> Tally {
        Tally::new(interval_bytes)
    }

    fn interval(bytes: u64) -> u64 {
        bytes
    }

    fn weigh(size_bytes: u64, interval: u64) -> Weight {
        Weight::new(size_bytes, interval)
    }

    fn add(&mut self, weight: &Weight) {
        Tally::add(self, weight);
    }

    fn remove(&mut self, weight: &Weight) {
        Tally::remove(self, weight);
    }

    fn blocks(weight: &Weight) -> f64 {
        weight.blocks()
    }

    fn estimate(weight: &Weight) -> u64 {
        weight.estimated_bytes()
    }

    fn estimated_bytes(&self) -> u64 {
        Tally::estimated_bytes(self)
    }

    fn tally(&self) -> Tally {
        *self
    }
}

/// Blocks and bytes of an exact capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Plain {
    blocks: u64,
    bytes: u64,
}

impl Figure for Plain {
    /// Its size in bytes.
    type Weight = u64;
    type Interval = ();

    const NO_INTERVAL: () = ();
    const EXACT: bool = true;

    fn none(_interval_bytes: u64) -> Plain {
        Plain::default()
    }

    fn interval(_bytes: u64) {}

    #[inline]
    fn weigh(size_bytes: u64, _interval: ()) -> u64 {
        size_bytes
    }

    #[inline]
    fn add(&mut self, weight: &u64) {
        self.blocks += 1;
        self.bytes = self.bytes.saturating_add(*weight);
    }

    #[inline]
    fn remove(&mut self, weight: &u64) {
        self.blocks = self.blocks.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(*weight);
    }

    #[inline]
    fn blocks(_weight: &u64) -> f64 {
        1.0
    }

    #[inline]
    fn estimate(weight: &u64) -> u64 {
        *weight
    }

    #[inline]
    fn estimated_bytes(&self) -> u64 {
        self.bytes
    }

    fn tally(&self) -> Tally {
        Tally::exact(self.blocks, self.bytes)
    }
}
