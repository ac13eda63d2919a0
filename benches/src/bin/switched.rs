//! Workloads under an allocator that goes to the system's directly or through Plimsoll, as is chosen at run time: code
//! layout is the same for all modes, which run in turns in one process.
//!
//! Between two builds, layout alone moves the bare allocator by more than what is to be measured.

use std::alloc::{GlobalAlloc, Layout, System};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use plimsoll_benches::plimsoll_modes::MODES;
use plimsoll_benches::row::BARE;
use plimsoll_benches::runner::{self, Mode, Subject, Written};

/// The system's allocator, through Plimsoll or not.
struct Switched(plimsoll::Allocator);

static THROUGH_PLIMSOLL: AtomicBool = AtomicBool::new(true);

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

#[global_allocator]
static ALLOC: Switched = Switched(plimsoll::Allocator::system());

/// Goes past Plimsoll until the run is over.
const PAST: Mode = Mode {
    name: BARE,
    start: |_| {
        THROUGH_PLIMSOLL.store(false, Relaxed);
        Ok(Box::new(|| {
            THROUGH_PLIMSOLL.store(true, Relaxed);
            Ok(Written::default())
        }))
    },
};

const ALL: [Mode; 4] = [PAST, MODES[0], MODES[1], MODES[2]];

fn main() -> ExitCode {
    runner::main(Subject { allocator: "switched", modes: &ALL, allocations: || None })
}
