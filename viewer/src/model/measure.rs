//! A number with its 95 % interval.

/// A measured number: the best value, and the interval that holds the truth with 95 % confidence (for sampled
/// figures) or for certain (for counters that were read while threads ran). Exact numbers have all three equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measure {
    /// Best value.
    pub value: u64,
    /// The truth is at least this.
    pub low: u64,
    /// The truth is at most this; `None` when nothing bounds it.
    pub high: Option<u64>,
}

impl Measure {
    /// A number without error.
    pub const fn exact(value: u64) -> Measure {
        Measure { value, low: value, high: Some(value) }
    }

    /// A number known to lie between two bounds, whichever way round they come; the value is their middle.
    pub fn between(one: u64, other: u64) -> Measure {
        let (low, high) = (one.min(other), one.max(other));
        Measure { value: low + (high - low) / 2, low, high: Some(high) }
    }

    /// Whether the number has no error.
    pub fn is_exact(self) -> bool {
        self.low == self.value && self.high == Some(self.value)
    }
}
