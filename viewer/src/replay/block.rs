//! A live block, as small as it goes: there may be as many as the program has.

use super::figure::Figure;

/// How a block came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Allocated,
    /// By a reallocation, so that it is never temporary.
    Reallocated,
    /// Listed at the opening of a segment; its own event may still come, and so may those of the address's former blocks.
    Listed,
}

/// Bits of [`Block::number`] that count.
const NUMBER_BITS: u32 = 30;
const NUMBER_MASK: u32 = (1 << NUMBER_BITS) - 1;
/// A site that cannot be: its number would be the last of four thousand million.
const NO_SITE: u32 = u32::MAX;

/// A live block.
#[derive(Clone, Copy)]
pub(super) struct Block<F: Figure> {
    pub(super) ticks: u64,
    pub(super) size_bytes: u64,
    pub(super) interval: F::Interval,
    pub(super) site: u32,
    /// Allocations of its thread up to and including this one, modulo 2^30; above them the origin.
    number: u32,
}

impl<F: Figure> Block<F> {
    /// No block.
    pub(super) const NONE: Block<F> =
        Block { ticks: 0, size_bytes: 0, interval: F::NO_INTERVAL, site: NO_SITE, number: 0 };

    #[inline]
    pub(super) fn new(
        ticks: u64,
        size_bytes: u64,
        interval: F::Interval,
        site: u32,
        number: u32,
        origin: Origin,
    ) -> Block<F> {
        let origin = match origin {
            Origin::Allocated => 0,
            Origin::Reallocated => 1,
            Origin::Listed => 2,
        };
        Block { ticks, size_bytes, interval, site, number: origin << NUMBER_BITS | number & NUMBER_MASK }
    }

    #[inline]
    pub(super) fn is_none(&self) -> bool {
        self.site == NO_SITE
    }

    #[inline]
    pub(super) fn origin(&self) -> Origin {
        match self.number >> NUMBER_BITS {
            0 => Origin::Allocated,
            1 => Origin::Reallocated,
            _ => Origin::Listed,
        }
    }

    /// Which allocation of its thread it is, modulo 2^30, and how it came to be known.
    pub(super) fn birth(&self) -> u64 {
        self.number.into()
    }

    /// Allocations of its thread since, when the thread has made `now`, modulo 2^30.
    #[inline]
    pub(super) fn allocations_since(&self, now: u32) -> u32 {
        now.wrapping_sub(self.number) & NUMBER_MASK
    }

    #[inline]
    pub(super) fn weight(&self) -> F::Weight {
        F::weigh(self.size_bytes, self.interval)
    }
}
/// An old block between the begin of its reallocation and its outcome.
#[derive(Clone, Copy)]
pub(super) struct Held<F: Figure> {
    pub(super) address: u64,
    /// `None` when the block was not known.
    pub(super) block: Option<Block<F>>,
    pub(super) ticks: u64,
}
