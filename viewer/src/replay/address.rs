//! Hashes addresses so that neighbours in the program's memory are neighbours in the table of live blocks.
//!
//! Programs allocate and free in runs of neighbours. A hash that scatters them makes each event of a large heap wait for
//! memory; this one scatters pages, and keeps the order within a page.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::RandomState;

/// Bytes of a page: its blocks lie side by side in the table.
const PAGE_BITS: u32 = 10;
/// Bytes that one place in the table stands for.
const GRAIN_BITS: u32 = 4;
/// 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// Builds [`AddressHasher`]s with one secret: a capture cannot choose which pages collide.
#[derive(Debug, Clone)]
pub(super) struct AddressHash {
    secret: u64,
}

impl Default for AddressHash {
    fn default() -> AddressHash {
        AddressHash { secret: RandomState::default().hash_one(MULTIPLIER) | 1 }
    }
}

impl BuildHasher for AddressHash {
    type Hasher = AddressHasher;

    #[inline]
    fn build_hasher(&self) -> AddressHasher {
        AddressHasher { secret: self.secret, hash: 0 }
    }
}

/// Hashes one address.
#[derive(Debug)]
pub(super) struct AddressHasher {
    secret: u64,
    hash: u64,
}

impl Hasher for AddressHasher {
    #[inline]
    fn write_u64(&mut self, address: u64) {
        let product = u128::from((address >> PAGE_BITS) ^ self.secret) * u128::from(self.secret.wrapping_mul(MULTIPLIER) | 1);
        let page = product as u64 ^ (product >> 64) as u64;
        let grain = (address >> GRAIN_BITS) & ((1 << (PAGE_BITS - GRAIN_BITS)) - 1);
        // The table takes places from the low bits, and from the top seven what tells entries apart that lie close.
        self.hash = page.wrapping_add(grain) ^ address.wrapping_mul(MULTIPLIER) >> 57 << 57;
    }

    /// Nothing but addresses is hashed.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(MULTIPLIER);
        }
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.hash
    }
}
