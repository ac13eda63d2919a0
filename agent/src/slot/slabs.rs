//! Where slots are: in two mappings, made when they are needed, so that threads add no mappings of their own. (A process
//! may have 65,530 of them, and a thread of Rust's takes four.)
//!
//! The second is for 64,512 slots at once: 84 MiB of addresses, of which only what threads use is ever touched.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use super::{FREE, Slot, USED};
use crate::arena::Arena;

/// Slots of each slab, and of all.
const SIZES: [usize; 2] = [1024, SLOTS - 1024];
const SLOTS: usize = 1 << 16;

static SLABS: [AtomicPtr<Slot>; SIZES.len()] = [const { AtomicPtr::new(std::ptr::null_mut()) }; SIZES.len()];
/// Slots handed out at least once; all live ones are below.
static HANDED_OUT: AtomicUsize = AtomicUsize::new(0);

/// All slots that were ever handed out.
pub(super) fn handed_out() -> impl Iterator<Item = &'static Slot> {
    (0..HANDED_OUT.load(Ordering::Acquire).min(SLOTS)).filter_map(at)
}

/// Slab of a slot, and its place in it.
fn place(mut index: usize) -> Option<(usize, usize)> {
    for (slab, size) in SIZES.into_iter().enumerate() {
        if index < size {
            return Some((slab, index));
        }
        index -= size;
    }
    None
}

fn at(index: usize) -> Option<&'static Slot> {
    let (slab, place) = place(index)?;
    let start = SLABS.get(slab)?.load(Ordering::Acquire);
    if start.is_null() {
        return None;
    }
    // SAFETY: a non-null slab is a leaked arena of as many zero-initialised slots as its size says, and the place lies
    // within.
    Some(unsafe { &*start.add(place) })
}

/// A slot given up by a thread of the same side: counters stay with the slot, so sides must not mix.
pub(super) fn claim_free(is_agent: bool) -> Option<&'static Slot> {
    handed_out().find(|slot| {
        slot.is_agents() == is_agent
            && slot.state.load(Ordering::Relaxed) == FREE
            && slot.state.compare_exchange(FREE, USED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })
}

/// A slot that was never used.
pub(super) fn claim_new(is_agent: bool) -> Option<&'static Slot> {
    loop {
        let index = HANDED_OUT.load(Ordering::Acquire);
        let (slab, _) = place(index)?;
        if SLABS.get(slab)?.load(Ordering::Acquire).is_null() {
            add_slab(slab)?;
        }
        // A slot above the count is nobody's; raising the count makes it visible, claiming it makes it ours.
        let slot = at(index)?;
        if slot.state.compare_exchange(FREE, USED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            slot.is_agent.store(is_agent, Ordering::Relaxed);
            HANDED_OUT.fetch_max(index + 1, Ordering::AcqRel);
            return Some(slot);
        }
        HANDED_OUT.fetch_max(index + 1, Ordering::AcqRel);
    }
}

fn add_slab(slab: usize) -> Option<()> {
    let arena = Arena::<Slot>::map(*SIZES.get(slab)?)?;
    let start = arena.as_ptr().cast_mut();
    let entry = SLABS.get(slab)?;
    if entry.compare_exchange(std::ptr::null_mut(), start, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        std::mem::forget(arena);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut places: Vec<_> = (0..SLOTS).map_while(place).collect();
        assert_eq!((places.len(), place(SLOTS)), (SLOTS, None));
        assert!(places.is_sorted());
        places.dedup();
        assert_eq!(places.len(), SLOTS);
        assert_eq!(SIZES.iter().sum::<usize>(), SLOTS);
    }
}
