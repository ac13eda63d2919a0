//! An allocator that counts every call with plain atomics: the independent witness below Plimsoll.
//!
//! It shares no code with the agent. A program passes it as the inner allocator,
//! `plimsoll::Allocator::new(Counted::new(System))`, so it sees what reaches the real allocator: the program's calls
//! and the agent's own.

use std::alloc::{GlobalAlloc, Layout};
use std::sync::atomic::{AtomicU64, Ordering};

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);
static FREES: AtomicU64 = AtomicU64::new(0);
static FREED_BYTES: AtomicU64 = AtomicU64::new(0);

/// What reached the allocator since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Successful allocations; a successful reallocation counts as one.
    pub allocations: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frees; a successful reallocation counts as one.
    pub frees: u64,
    /// Bytes of these.
    pub freed_bytes: u64,
}

impl Counts {
    /// The counts now. Consistent only while no other thread allocates.
    pub fn now() -> Counts {
        Counts {
            allocations: ALLOCATIONS.load(Ordering::Relaxed),
            bytes: BYTES.load(Ordering::Relaxed),
            frees: FREES.load(Ordering::Relaxed),
            freed_bytes: FREED_BYTES.load(Ordering::Relaxed),
        }
    }
}

/// Counts what passes through to `A`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Counted<A>(A);

impl<A> Counted<A> {
    /// Counts the calls that reach `inner`.
    pub const fn new(inner: A) -> Counted<A> {
        Counted(inner)
    }
}

fn allocated(bytes: usize) {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

fn freed(bytes: usize) {
    FREES.fetch_add(1, Ordering::Relaxed);
    FREED_BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
}

// SAFETY: every method forwards to the same method of the inner allocator with the arguments that it was given, and
// returns what that returned. Counting touches four atomics: it neither allocates nor panics.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Counted<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is handed on.
        let block = unsafe { self.0.alloc(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is handed on.
        let block = unsafe { self.0.alloc_zeroed(layout) };
        if !block.is_null() {
            allocated(layout.size());
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: the caller's promise about `block` and `layout` is handed on.
        unsafe { self.0.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise about `block`, `layout` and `new_size` is handed on.
        let new = unsafe { self.0.realloc(block, layout, new_size) };
        if !new.is_null() {
            freed(layout.size());
            allocated(new_size);
        }
        new
    }
}
