//! The system's allocator, reached directly or through Plimsoll, as is chosen at run time: the code lies in the same places
//! for both.
//!
//! Between two builds, layout alone moves the bare allocator by more than what is to be measured.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// The system's allocator, through Plimsoll or not.
#[derive(Debug)]
pub struct Switched(plimsoll::Allocator);

static THROUGH_PLIMSOLL: AtomicBool = AtomicBool::new(true);

impl Switched {
    /// Goes through Plimsoll until told otherwise.
    pub const fn new() -> Switched {
        Switched(plimsoll::Allocator::system())
    }

    /// From now on, goes through Plimsoll or past it.
    pub fn through_plimsoll(through: bool) {
        THROUGH_PLIMSOLL.store(through, Relaxed);
    }
}

impl Default for Switched {
    fn default() -> Switched {
        Switched::new()
    }
}

// SAFETY: both ways end in the same method of the same allocator, so a block may be freed the other way than it was
// allocated.
unsafe impl GlobalAlloc for Switched {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations.
        if THROUGH_PLIMSOLL.load(Relaxed) { unsafe { self.0.alloc(layout) } } else { unsafe { System.alloc(layout) } }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if THROUGH_PLIMSOLL.load(Relaxed) {
            // SAFETY: the caller's obligations.
            unsafe { self.0.alloc_zeroed(layout) }
        } else {
            // SAFETY: the caller's obligations.
            unsafe { System.alloc_zeroed(layout) }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if THROUGH_PLIMSOLL.load(Relaxed) {
            // SAFETY: the caller's obligations.
            unsafe { self.0.dealloc(block, layout) }
        } else {
            // SAFETY: the caller's obligations.
            unsafe { System.dealloc(block, layout) }
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if THROUGH_PLIMSOLL.load(Relaxed) {
            // SAFETY: the caller's obligations.
            unsafe { self.0.realloc(block, layout, size) }
        } else {
            // SAFETY: the caller's obligations.
            unsafe { System.realloc(block, layout, size) }
        }
    }
}
