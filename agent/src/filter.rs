//! Tells in one load whether a freed address may belong to a live sample.
//!
//! A byte per hashed address counts the live samples there. The table is static and all zero until samples exist, so
//! that the free path needs no pointer, no mode and no branch more when nothing is recorded; untouched pages are the
//! kernel's zero page and cost no memory. With 50,000 live samples 4.7 % of its bytes are taken.

use std::sync::atomic::{AtomicU8, Ordering};

const SLOTS: usize = 1 << 20;
/// A count that reached this stays: it can no longer be told how many samples it stands for.
const STUCK: u8 = u8::MAX;

static COUNTS: [AtomicU8; SLOTS] = [const { AtomicU8::new(0) }; SLOTS];

/// The upper 20 of the lower 32 bits of the product, which is the sum of three numbers: of the block's 16-byte unit,
/// so that neighbours share cache lines of the table, as they do in the heap; of its page, so that blocks that are
/// mapped page-aligned spread over the whole table; and of its 256 bytes, so that it stays one multiplication.
#[inline(always)]
fn slot(address: usize) -> &'static AtomicU8 {
    const UNITS_AND_PAGES: u32 = (1 << 8) + (1 << 4) + 1;
    const { assert!(SLOTS == 1 << 20) };
    &COUNTS[((address as u32).wrapping_mul(UNITS_AND_PAGES) >> 12) as usize]
}

/// Whether a live sample may have this address. Never wrong when it says no.
#[inline(always)]
pub(crate) fn may_be_sampled(address: usize) -> bool {
    slot(address).load(Ordering::Relaxed) != 0
}

/// Counts a live sample.
pub(crate) fn insert(address: usize) {
    let _ = slot(address).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| count.checked_add(1));
}

/// Takes a sample out again.
pub(crate) fn remove(address: usize) {
    let _ = slot(address).fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| match count {
        0 | STUCK => None,
        count => Some(count - 1),
    });
}

/// Forgets everything; for the end of a session, when no hook records any more.
pub(crate) fn clear() {
    for count in &COUNTS {
        if count.load(Ordering::Relaxed) != 0 {
            count.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_samples_per_address_and_sticks_when_full() {
        let address = 0x7f00_1234_5670;
        assert!(!may_be_sampled(address));
        insert(address);
        insert(address);
        remove(address);
        assert!(may_be_sampled(address));
        remove(address);
        assert!(!may_be_sampled(address));
        // 300 samples overflow a byte: from then on the slot must say "maybe" for ever.
        (0..300).for_each(|_| insert(address));
        (0..300).for_each(|_| remove(address));
        assert!(may_be_sampled(address));
        clear();
        assert!(!may_be_sampled(address));
    }
}
