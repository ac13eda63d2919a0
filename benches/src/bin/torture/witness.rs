//! What all allocations of the tortured process go through: Plimsoll, below it the witness that counts every call, and
//! below that the system's allocator or one that is safe in signal handlers.
//!
//! The witness shares no code with the agent. In mode `bare` Plimsoll is passed by, to tell what is the agent's.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst, compiler_fence};

use serde::{Deserialize, Serialize};

use crate::inner::Inner;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static FREES: AtomicU64 = AtomicU64::new(0);
static FREED_BYTES: AtomicU64 = AtomicU64::new(0);
static PAST_PLIMSOLL: AtomicBool = AtomicBool::new(false);

/// What was allocated and freed since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    /// Successful allocations; a successful reallocation counts as one.
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
    /// Frees; a successful reallocation counts as one.
    pub(crate) frees: u64,
    pub(crate) freed_bytes: u64,
}

impl Counts {
    /// What has reached the inner allocator. Consistent only while no other thread allocates.
    pub(crate) fn of_witness() -> Counts {
        Counts {
            allocations: ALLOCATIONS.load(Relaxed),
            bytes: BYTES.load(Relaxed),
            frees: FREES.load(Relaxed),
            freed_bytes: FREED_BYTES.load(Relaxed),
        }
    }
}

/// Lets all further calls go past Plimsoll.
pub(crate) fn pass_plimsoll_by() {
    PAST_PLIMSOLL.store(true, Relaxed);
}

thread_local! {
    /// The calling thread is in the inner allocator. Has no destructor, so that it is there to a thread's very end.
    static INSIDE: AtomicBool = const { AtomicBool::new(false) };
}

/// Whether the calling thread is in the allocator below Plimsoll, or a signal handler that has interrupted it there.
pub(crate) fn is_inside() -> bool {
    INSIDE.with(|inside| inside.load(Relaxed))
}

/// Does the inner allocator's work.
#[inline(always)]
fn inside<R>(work: impl FnOnce() -> R) -> R {
    // The fences are for the compiler: a handler on this thread must find what it has interrupted.
    INSIDE.with(|inside| {
        let before = inside.load(Relaxed);
        inside.store(true, Relaxed);
        compiler_fence(SeqCst);
        let result = work();
        compiler_fence(SeqCst);
        inside.store(before, Relaxed);
        result
    })
}

/// Counts what passes through.
struct Witness(Inner);

fn allocated(block: *mut u8, bytes: usize) -> *mut u8 {
    if !block.is_null() {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(bytes as u64, Relaxed);
    }
    block
}

fn freed(bytes: usize) {
    FREES.fetch_add(1, Relaxed);
    FREED_BYTES.fetch_add(bytes as u64, Relaxed);
}

// SAFETY: every method forwards to the same method of the inner allocator with the arguments that it was given, and
// returns what that returned. Counting touches four atomics.
unsafe impl GlobalAlloc for Witness {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        inside(|| allocated(unsafe { self.0.alloc(layout) }, layout.size()))
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        inside(|| allocated(unsafe { self.0.alloc_zeroed(layout) }, layout.size()))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        inside(|| {
            freed(layout.size());
            // SAFETY: as above.
            unsafe { self.0.dealloc(block, layout) }
        });
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        inside(|| {
            // SAFETY: as above.
            let new = unsafe { self.0.realloc(block, layout, size) };
            if !new.is_null() {
                freed(layout.size());
            }
            allocated(new, size)
        })
    }
}

/// The witness, through Plimsoll or not.
pub(crate) struct Tortured(plimsoll::Allocator<Witness>);

const BARE: Witness = Witness(Inner);

// SAFETY: both ways end in the same method of the same allocator, so a block may be freed the other way than it was
// allocated.
unsafe impl GlobalAlloc for Tortured {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are handed on.
        unsafe { if PAST_PLIMSOLL.load(Relaxed) { BARE.alloc(layout) } else { self.0.alloc(layout) } }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { if PAST_PLIMSOLL.load(Relaxed) { BARE.alloc_zeroed(layout) } else { self.0.alloc_zeroed(layout) } }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { if PAST_PLIMSOLL.load(Relaxed) { BARE.dealloc(block, layout) } else { self.0.dealloc(block, layout) } }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe {
            match PAST_PLIMSOLL.load(Relaxed) {
                true => BARE.realloc(block, layout, size),
                false => self.0.realloc(block, layout, size),
            }
        }
    }
}

#[global_allocator]
pub(crate) static ALLOC: Tortured = Tortured(plimsoll::Allocator::new(Witness(Inner)));
