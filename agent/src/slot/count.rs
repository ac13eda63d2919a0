//! The fast path: what every allocation and every free does, and all that most of them do.
//!
//! One increment of a counter per size class, whose sum is the number of events, and one subtraction from a countdown of
//! bytes, which holds the bytes in total. `docs/hot-path.md` shows what becomes of it.

use std::mem::offset_of;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Slot;
use crate::byte_counter::ByteCounter;

/// Where the size class of `size` is counted: one above the class, and 0 for size 0, which class 0 counts too.
#[inline(always)]
pub(super) fn class_index(size: usize) -> usize {
    // At most 63, so the array access needs no check.
    ((size as u64) << 1 | 1).ilog2() as usize
}

/// Adds one to a counter that only this thread writes, in a single instruction where there is one: a signal handler that
/// counts in between must not be undone. Code that is not optimised would take three, and locks the bus instead.
#[inline(always)]
fn add_one(counter: &AtomicU64) {
    if cfg!(any(debug_assertions, not(target_arch = "x86_64"))) {
        counter.fetch_add(1, Ordering::Relaxed);
        return;
    }
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

/// Takes `size` from the signed word that lies `AT` bytes into the slot, which only the calling thread counts down;
/// true when it is negative then.
#[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
#[inline(always)]
fn spend<const AT: usize>(slot: &Slot, size: usize) -> bool {
    const { assert!(AT.is_multiple_of(8) && AT + 8 <= size_of::<Slot>()) };
    // SAFETY: the word lies in the slot, which is never freed. To readers on other threads the instruction is a relaxed
    // load and a relaxed store of an aligned word; from an atomic the compiler would make four instructions, and other
    // threads' `stop` counts on there being no moment between the two at which this thread can be made to pass a barrier.
    unsafe {
        std::arch::asm!(
            "sub qword ptr [{slot} + {at}], {size}",
            "js {due}",
            slot = in(reg) slot,
            at = const AT,
            size = in(reg) size,
            due = label { return true },
            options(nostack),
        );
    }
    false
}

/// As above, where a subtraction in memory is not one instruction: `stop` must not get lost.
#[cfg(not(all(target_arch = "x86_64", target_pointer_width = "64")))]
#[inline(always)]
fn spend<const AT: usize>(slot: &Slot, size: usize) -> bool {
    // SAFETY: the callers' offsets are those of 64-bit atomic fields.
    let word = unsafe { &*std::ptr::from_ref(slot).byte_add(AT).cast::<AtomicI64>() };
    word.fetch_sub(size as i64, Ordering::Relaxed).wrapping_sub(size as i64) < 0
}

const BYTES_LEFT: usize = offset_of!(Slot, bytes) + ByteCounter::LEFT;
const FREED_LEFT: usize = offset_of!(Slot, freed_bytes) + ByteCounter::LEFT;
const WATCHED_LEFT: usize = offset_of!(Slot, watched);

impl Slot {
    /// Counts an allocation; true when the slow path is due.
    #[inline(always)]
    pub(crate) fn count_alloc(&self, size: usize) -> bool {
        add_one(&self.allocations[class_index(size)]);
        spend::<BYTES_LEFT>(self, size)
    }

    /// Counts a free; true when the slow path is due, or when it is if the block may be a sample.
    #[inline(always)]
    pub(crate) fn count_free(&self, size: usize, may_be_sampled: impl FnOnce() -> bool) -> bool {
        add_one(&self.frees[class_index(size)]);
        // Idle, the first word is all: it counts to the next publishing.
        spend::<FREED_LEFT>(self, size) && (spend::<WATCHED_LEFT>(self, size) || may_be_sampled())
    }

    /// Counts a successful reallocation; its free and its allocation are counted as such.
    #[inline(always)]
    pub(crate) fn count_realloc(&self) {
        add_one(&self.reallocations);
    }

    /// Whether a free is to be looked at: its thread takes the slow path with every one, or the block may be a sample.
    #[inline(always)]
    pub(crate) fn sees_free(&self, may_be_sampled: impl FnOnce() -> bool) -> bool {
        self.freed_bytes.is_due() && (self.sees_every_free() || may_be_sampled())
    }

    /// Of frees that are looked at: whether the slow path is due whatever the block. Exact mode, or a stop.
    #[inline(always)]
    pub(crate) fn sees_every_free(&self) -> bool {
        self.watched.load(Ordering::Relaxed) < 0
    }
}
