//! Live samples by address (sampled mode): which frees matter, and what a new segment must state again.
//!
//! Hooks insert and remove without locks. For one address the program itself orders insertion (after the allocation)
//! and removal (before the free); different addresses meet only in the index and in the list of free entries.
//!
//! When full: [`LiveTable::insert`] refuses. The writer thins the table well before that.

use crate::arena::{Arena, Zeroed};
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Entries; 32 bytes each, 1.75 MiB in all.
const ENTRIES: usize = 56 << 10;
/// Positions of the index, 256 KiB.
const INDEX: usize = 64 << 10;
/// Positions of a cache line, probed together.
const LINE: usize = if cfg!(loom) { 2 } else { 16 };
/// The writer thins when this many samples are live.
pub(crate) const THIN_AT: u32 = 52_000;

/// A live sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) address: usize,
    pub(crate) size: u64,
    pub(crate) ticks: u64,
    pub(crate) stack: u32,
    pub(crate) thread: u32,
    pub(crate) tag: u32,
    /// Which of the session's intervals chose it.
    pub(crate) step: u8,
}

/// What thinning makes of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It goes on as it is.
    Stays,
    /// It stands for more from now on: as many as one chosen at the new step.
    Raised,
    /// It is forgotten.
    Dropped,
}

/// An address and a size take 48 bits each on every platform Linux has, unless asked otherwise; the rest is packed.
#[derive(Default)]
struct Entry {
    /// Address, and above bit 48 the step. While free: the next free entry's id.
    address: AtomicU64,
    /// Size, and tag above bit 48.
    size: AtomicU64,
    ticks: AtomicU64,
    /// Stack, and thread above bit 32.
    stack: AtomicU64,
}

// SAFETY: four integers.
unsafe impl Zeroed for Entry {}

const LOW_48: u64 = (1 << 48) - 1;

impl Entry {
    fn store(&self, sample: &Sample) {
        self.address.store(sample.address as u64 & LOW_48 | u64::from(sample.step) << 48, Ordering::Relaxed);
        self.size.store(sample.size & LOW_48 | u64::from(sample.tag & 0xFFFF) << 48, Ordering::Relaxed);
        self.ticks.store(sample.ticks, Ordering::Relaxed);
        self.stack.store(u64::from(sample.stack) | u64::from(sample.thread) << 32, Ordering::Relaxed);
    }

    fn load(&self) -> Sample {
        let address = self.address.load(Ordering::Relaxed);
        let size = self.size.load(Ordering::Relaxed);
        let stack = self.stack.load(Ordering::Relaxed);
        Sample {
            address: (address & LOW_48) as usize,
            size: size & LOW_48,
            ticks: self.ticks.load(Ordering::Relaxed),
            stack: stack as u32,
            thread: (stack >> 32) as u32,
            tag: (size >> 48) as u32,
            step: (address >> 48) as u8,
        }
    }
}

/// See the module's description.
pub(crate) struct LiveTable {
    entries: Arena<Entry>,
    /// Id of an entry (from 1) in the low 16 bits, a fingerprint of its address above; 0 is empty.
    index: Arena<AtomicU32>,
    /// Entries given back: id in the low half, a count against ABA in the high half.
    free: AtomicU64,
    /// Entries handed out at least once.
    used: AtomicU32,
    live: AtomicU32,
    /// Of each line: entries that would stand there had it not been full. Lookups go no further than a line with none.
    passed: Arena<AtomicU32>,
}

fn hash(address: usize) -> u64 {
    ((address as u64) >> 3).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What the index holds for entry `id` of `address`.
fn key(id: u32, hash: u64) -> u32 {
    id | (hash as u32 & 0xFFFF_0000)
}

impl LiveTable {
    /// An empty table, `None` when the system has no memory for it.
    pub(crate) fn map() -> Option<LiveTable> {
        LiveTable::with_room(ENTRIES, INDEX)
    }

    /// A table of so many entries and positions of the index, which are whole lines.
    pub(crate) fn with_room(entries: usize, index: usize) -> Option<LiveTable> {
        Some(LiveTable {
            entries: Arena::map(entries)?,
            index: Arena::map(index)?,
            free: AtomicU64::new(0),
            used: AtomicU32::new(0),
            live: AtomicU32::new(0),
            passed: Arena::map(index / LINE)?,
        })
    }

    /// Positions of a line.
    fn line(&self, line: usize) -> &[AtomicU32] {
        self.index.get(line * LINE..(line + 1) * LINE).unwrap_or_default()
    }

    /// Lines in the order in which an entry looks for room, or is looked for.
    fn lines(&self, hash: u64) -> impl Iterator<Item = usize> {
        let lines = self.passed.len();
        (0..lines).map(move |step| ((hash >> 40) as usize + step) % lines)
    }

    /// An entry that stood in `line` is gone; without a line, one that found no room.
    fn forget_passing(&self, hash: u64, line: Option<usize>) {
        let passed = self.lines(hash).take_while(|passed| Some(*passed) != line);
        passed.filter_map(|line| self.passed.get(line)).for_each(|count| {
            count.fetch_sub(1, Ordering::Relaxed);
        });
    }

    fn entry(&self, id: u32) -> Option<&Entry> {
        self.entries.get((id as usize).checked_sub(1)?)
    }

    /// Adds a sample; false when the table is full.
    pub(crate) fn insert(&self, sample: &Sample) -> bool {
        let Some(id) = self.take_entry() else { return false };
        let Some(entry) = self.entry(id) else { return false };
        entry.store(sample);
        let hash = hash(sample.address);
        for line in self.lines(hash) {
            for position in self.line(line) {
                let empty = position.load(Ordering::Relaxed) == 0;
                if empty && position.compare_exchange(0, key(id, hash), Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                    self.live.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
            }
            // Lookups must be able to go on from here before the entry stands further on.
            let Some(passed) = self.passed.get(line) else { break };
            passed.fetch_add(1, Ordering::AcqRel);
        }
        self.forget_passing(hash, None);
        self.give_back(id);
        false
    }

    /// Removes the sample at `address`, if there is one.
    pub(crate) fn remove(&self, address: usize) -> Option<Sample> {
        let hash = hash(address);
        for line in self.lines(hash) {
            if let Some((position, key, sample)) = self.find(line, hash, address) {
                position.compare_exchange(key, 0, Ordering::AcqRel, Ordering::Relaxed).ok()?;
                self.live.fetch_sub(1, Ordering::Relaxed);
                self.forget_passing(hash, Some(line));
                self.give_back(key & 0xFFFF);
                return Some(sample);
            }
            if self.passed.get(line)?.load(Ordering::Acquire) == 0 {
                break;
            }
        }
        None
    }

    fn find(&self, line: usize, hash: u64, address: usize) -> Option<(&AtomicU32, u32, Sample)> {
        self.line(line).iter().find_map(|position| {
            let found = position.load(Ordering::Acquire);
            if found == 0 || (found ^ hash as u32) & 0xFFFF_0000 != 0 {
                return None;
            }
            let sample = self.entry(found & 0xFFFF)?.load();
            (sample.address == address).then_some((position, found, sample))
        })
    }

    fn take_entry(&self) -> Option<u32> {
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            let id = head as u32;
            if id == 0 {
                break;
            }
            let next = self.entry(id)?.address.load(Ordering::Relaxed) as u32;
            let replaced = u64::from(next) | (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(head, replaced, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return Some(id),
                Err(now) => head = now,
            }
        }
        if self.used.load(Ordering::Relaxed) as usize >= self.entries.len() {
            return None;
        }
        let id = self.used.fetch_add(1, Ordering::Relaxed) + 1;
        (id as usize <= self.entries.len()).then_some(id)
    }

    /// Makes an entry available again.
    pub(crate) fn give_back(&self, id: u32) {
        let Some(entry) = self.entry(id) else { return };
        let mut head = self.free.load(Ordering::Acquire);
        loop {
            entry.address.store(u64::from(head as u32), Ordering::Relaxed);
            let replaced = u64::from(id) | (head >> 32).wrapping_add(1) << 32;
            match self.free.compare_exchange_weak(head, replaced, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return,
                Err(now) => head = now,
            }
        }
    }

    /// Samples in the table.
    pub(crate) fn len(&self) -> u32 {
        self.live.load(Ordering::Relaxed)
    }

    /// Bytes touched at most: the index is hashed all over, the entries fill up in order.
    pub(crate) fn touched_bytes(&self) -> u64 {
        let used = u64::from(self.used.load(Ordering::Relaxed)).min(ENTRIES as u64);
        used * 32 + (used * 4096).min(INDEX as u64 * 4)
    }

    /// The samples that are live for the whole call, and some of those that come or go meanwhile.
    pub(crate) fn samples(&self) -> impl Iterator<Item = Sample> {
        self.index.iter().filter_map(|position| {
            let key = position.load(Ordering::Acquire);
            let sample = self.entry(key & 0xFFFF)?.load();
            // Unless the position still holds the same entry, the fields may belong to two samples.
            (position.load(Ordering::Acquire) == key).then_some(sample)
        })
    }

    /// Does to every sample of an earlier step than `step` what `fate` says. Returns the addresses kept, and those dropped with their entries, which the caller gives back
    /// once no hook can still be looking at them.
    pub(crate) fn thin(&self, step: u8, mut fate: impl FnMut(&Sample) -> Fate) -> (Vec<u64>, Vec<(u64, u32)>) {
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for (at, position) in self.index.iter().enumerate() {
            let key = position.load(Ordering::Acquire);
            let Some(entry) = self.entry(key & 0xFFFF) else { continue };
            let sample = entry.load();
            if position.load(Ordering::Acquire) != key || sample.step >= step {
                continue;
            }
            match fate(&sample) {
                Fate::Stays => {}
                Fate::Raised => {
                    let address = sample.address as u64;
                    let word = address & LOW_48 | u64::from(sample.step) << 48;
                    let raised = address & LOW_48 | u64::from(step) << 48;
                    if entry.address.compare_exchange(word, raised, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                        kept.push(address);
                    }
                }
                Fate::Dropped => {
                    if position.compare_exchange(key, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                        self.live.fetch_sub(1, Ordering::Relaxed);
                        self.forget_passing(hash(sample.address), Some(at / LINE));
                        dropped.push((sample.address as u64, key & 0xFFFF));
                    }
                }
            }
        }
        (kept, dropped)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::HashMap;

    fn sample(address: usize, size: u64) -> Sample {
        Sample { address, size, ticks: size + 1, stack: 3, thread: 4, tag: 5, step: 1 }
    }

    #[test]
    fn agrees_with_a_hash_map_over_random_operations() {
        let table = LiveTable::map().expect("memory");
        let mut model = HashMap::new();
        let mut random = crate::sampler::Random::new(7);
        let mut pick = |n: usize| (random.uniform() * n as f64) as usize % n;
        for step in 0..200_000u64 {
            let address = 0x7000_0000_0000 + pick(40_000) * 16;
            if let std::collections::hash_map::Entry::Vacant(free) = model.entry(address) {
                free.insert(step);
                assert!(table.insert(&sample(address, step)));
            } else {
                let size = model.remove(&address).expect("present");
                assert_eq!(table.remove(address), Some(sample(address, size)));
            }
            assert_eq!(table.remove(address + 8), None);
        }
        assert_eq!(table.len() as usize, model.len());
        assert_eq!(table.samples().count(), model.len());
    }

    #[test]
    fn full_table_refuses_and_keeps_what_it_has() {
        let table = LiveTable::map().expect("memory");
        let address = |n: usize| 0x5000_0000 + n * 48;
        let inserted = (0..60_000).filter(|n| table.insert(&sample(address(*n), *n as u64))).count();
        assert_eq!(inserted, ENTRIES);
        for n in 0..ENTRIES {
            assert_eq!(table.remove(address(n)), Some(sample(address(n), n as u64)));
        }
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn thinning_raises_the_kept_and_forgets_the_dropped() {
        let table = LiveTable::map().expect("memory");
        (0..100).for_each(|n| assert!(table.insert(&sample(0x1000 + n * 16, n as u64))));
        let fate = |sample: &Sample| match sample.size {
            60.. => Fate::Stays,
            size if size % 2 == 0 => Fate::Raised,
            _ => Fate::Dropped,
        };
        let (kept, dropped) = table.thin(2, fate);
        assert_eq!((kept.len(), dropped.len(), table.len()), (30, 30, 70));
        dropped.iter().for_each(|(_, id)| table.give_back(*id));
        assert!(table.samples().all(|sample| sample.step == if sample.size < 60 { 2 } else { 1 }));
        let (kept, dropped) = table.thin(2, |_| Fate::Dropped);
        assert_eq!((kept.len(), dropped.len()), (0, 40), "what is at the step already stays");
        assert_eq!(table.remove(0x1010), None);
        assert!(table.remove(0x1020).is_some());
    }
}
