//! The table of live blocks: most of the time of a large replay goes into finding a block by its address.
//!
//! Programs allocate and free in runs of neighbours, so blocks of one page of the program's memory lie side by side here, in
//! their order; only pages are scattered. An entry is half a cache line, and one that is looked for is found where it
//! should be or just behind. (The map of the standard library was measured first: two or three lines a look-up, and
//! twice the time on heaps that outgrow the processor's caches.)

use std::hash::BuildHasher;

use foldhash::fast::RandomState;

use super::block::Block;
use super::figure::Figure;

/// Bits of an address within its page.
const PAGE_BITS: u32 = 12;
/// Bits of an address that one place in the table stands for.
const GRAIN_BITS: u32 = 4;
/// 2^64 divided by the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;
/// Places of the smallest table, a power of two.
const MIN_PLACES: usize = 1 << 6;

#[derive(Clone, Copy)]
struct Entry<F: Figure> {
    address: u64,
    block: Block<F>,
}

/// Where an address belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its block is here.
    Taken(usize),
    /// It has no block; one would go here.
    Free(usize),
}

/// Live blocks by address.
pub(super) struct LiveBlocks<F: Figure> {
    /// A power of two of them; at most half hold a block.
    entries: Vec<Entry<F>>,
    blocks: usize,
    /// Odd, and no capture can know it: which pages collide is left to chance.
    secret: u64,
}

impl<F: Figure> LiveBlocks<F> {
    pub(super) fn new() -> LiveBlocks<F> {
        let secret = RandomState::default().hash_one(MULTIPLIER) | 1;
        LiveBlocks { entries: vec![Entry { address: 0, block: Block::NONE }; MIN_PLACES], blocks: 0, secret }
    }

    pub(super) fn len(&self) -> usize {
        self.blocks
    }

    /// Where an address would be if nothing stood in its way. Addresses that share a grain, as only a made-up capture has
    /// them, are kept apart as if they were of different pages: 4,096 neighbours in 256 places would be searched in a row.
    #[inline]
    fn home(&self, address: u64) -> usize {
        let within_grain = address << (u64::BITS - GRAIN_BITS);
        let product = u128::from((address >> PAGE_BITS | within_grain) ^ self.secret)
            * u128::from(self.secret.wrapping_mul(MULTIPLIER));
        let page = product as u64 ^ (product >> 64) as u64;
        let grain = (address >> GRAIN_BITS) & ((1 << (PAGE_BITS - GRAIN_BITS)) - 1);
        page.wrapping_add(grain) as usize & (self.entries.len() - 1)
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.entries.len() - 1)
    }

    /// Where the block of an address is, or where it would go.
    #[inline]
    pub(super) fn find(&self, address: u64) -> Place {
        let mut place = self.home(address);
        loop {
            match self.entries.get(place) {
                Some(entry) if entry.block.is_none() => return Place::Free(place),
                Some(entry) if entry.address == address => return Place::Taken(place),
                _ => place = self.after(place),
            }
        }
    }

    #[inline]
    pub(super) fn get(&self, address: u64) -> Option<&Block<F>> {
        match self.find(address) {
            Place::Taken(place) => self.at(place),
            Place::Free(_) => None,
        }
    }

    /// The block at a place that was found taken.
    #[inline]
    pub(super) fn at(&self, place: usize) -> Option<&Block<F>> {
        self.entries.get(place).map(|entry| &entry.block)
    }

    /// Puts a block at a place that was found free.
    #[inline]
    pub(super) fn put(&mut self, place: usize, address: u64, block: Block<F>) {
        if let Some(entry) = self.entries.get_mut(place) {
            *entry = Entry { address, block };
            self.blocks += 1;
        }
        if self.blocks * 2 > self.entries.len() {
            self.grow();
        }
    }

    /// Adds a block and returns the one that it takes the place of.
    pub(super) fn insert(&mut self, address: u64, block: Block<F>) -> Option<Block<F>> {
        match self.find(address) {
            Place::Taken(place) => self.entries.get_mut(place).map(|entry| std::mem::replace(&mut entry.block, block)),
            Place::Free(place) => {
                self.put(place, address, block);
                None
            }
        }
    }

    pub(super) fn remove(&mut self, address: u64) -> Option<Block<F>> {
        match self.find(address) {
            Place::Taken(place) => self.take(place),
            Place::Free(_) => None,
        }
    }

    /// Takes out the block at a place that was found taken. Blocks behind it that were kept from their homes move up.
    #[inline]
    pub(super) fn take(&mut self, place: usize) -> Option<Block<F>> {
        let taken = self.entries.get(place)?.block;
        self.blocks = self.blocks.saturating_sub(1);
        let mask = self.entries.len() - 1;
        let (mut hole, mut next) = (place, self.after(place));
        while let Some(entry) = self.entries.get(next).copied().filter(|entry| !entry.block.is_none()) {
            let from_home = next.wrapping_sub(self.home(entry.address)) & mask;
            let from_hole = next.wrapping_sub(hole) & mask;
            if from_home >= from_hole {
                if let Some(free) = self.entries.get_mut(hole) {
                    *free = entry;
                }
                hole = next;
            }
            next = self.after(next);
        }
        if let Some(free) = self.entries.get_mut(hole) {
            free.block = Block::NONE;
        }
        Some(taken)
    }

    fn grow(&mut self) {
        let empty = vec![Entry { address: 0, block: Block::NONE }; self.entries.len() * 2];
        let old = std::mem::replace(&mut self.entries, empty);
        for entry in old.into_iter().filter(|entry| !entry.block.is_none()) {
            if let Place::Free(place) = self.find(entry.address)
                && let Some(free) = self.entries.get_mut(place)
            {
                *free = entry;
            }
        }
    }

    /// All blocks with their addresses, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, &Block<F>)> {
        self.entries.iter().filter(|entry| !entry.block.is_none()).map(|entry| (entry.address, &entry.block))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::super::block::Origin;
    use super::super::figure::Plain;
    use super::*;

    fn block(ticks: u64) -> Block<Plain> {
        Block::new(ticks, 1, (), 0, 0, Origin::Allocated)
    }

    #[test]
    fn an_entry_is_half_a_cache_line() {
        assert_eq!(size_of::<Entry<Plain>>(), 32);
    }

    /// Near and far addresses, many of them of one page and grain, and both ends of the range.
    fn address() -> impl Strategy<Value = u64> {
        prop_oneof![0..300u64, any::<u64>(), (0..200u64).prop_map(|at| 0x7000_0000 + at * 16), Just(u64::MAX), Just(0)]
    }

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((address(), any::<bool>()), 0..500)) {
            let (mut table, mut model) = (LiveBlocks::<Plain>::new(), HashMap::new());
            for (ticks, (address, comes)) in steps.into_iter().enumerate() {
                let ticks = ticks as u64;
                if comes {
                    let old = table.insert(address, block(ticks)).map(|block| block.ticks);
                    prop_assert_eq!(old, model.insert(address, ticks));
                } else {
                    prop_assert_eq!(table.remove(address).map(|block| block.ticks), model.remove(&address));
                }
                prop_assert_eq!(table.len(), model.len());
            }
            for (address, ticks) in &model {
                prop_assert_eq!(table.get(*address).map(|block| block.ticks), Some(*ticks));
            }
            let all: HashMap<u64, u64> = table.iter().map(|(address, block)| (address, block.ticks)).collect();
            prop_assert_eq!(all, model);
        }
    }
}
