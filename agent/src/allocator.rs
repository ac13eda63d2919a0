//! The allocator that a program installs: forwards every call and tells the hooks.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::hook;

/// A global allocator that passes every call on to `A` and counts it; while a [`Session`](crate::Session) records, it
/// also records where blocks come from.
///
/// The four methods of [`GlobalAlloc`] go to the inner allocator's own four, so growth in place and lazily zeroed
/// pages stay what they were. Nothing is added to any block, and a failed call returns null as before.
///
/// ```
/// #[global_allocator]
/// static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();
///
/// let before = plimsoll::stats();
/// let block = std::hint::black_box(vec![0u8; 1000]);
/// assert!(plimsoll::stats().live_bytes >= before.live_bytes + 1000);
/// drop(block);
/// ```
///
/// Around another allocator: `static ALLOC: plimsoll::Allocator<MiMalloc> = plimsoll::Allocator::new(MiMalloc);`
#[derive(Debug, Default, Clone, Copy)]
pub struct Allocator<A = System> {
    inner: A,
}

impl Allocator<System> {
    /// Around the system's allocator.
    pub const fn system() -> Allocator<System> {
        Allocator { inner: System }
    }
}

impl<A> Allocator<A> {
    /// Around `inner`.
    pub const fn new(inner: A) -> Allocator<A> {
        Allocator { inner }
    }
}

// SAFETY: every method returns what the inner allocator's own method returned for the same arguments, so its
// guarantees are ours; the hooks never unwind and never touch the block.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations are the inner allocator's.
        let block = unsafe { self.inner.alloc(layout) };
        if !block.is_null() {
            hook::allocated(block, layout.size());
        }
        block
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations are the inner allocator's.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            hook::allocated(block, layout.size());
        }
        block
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        hook::freeing(block, layout.size());
        // SAFETY: the caller's obligations are the inner allocator's.
        unsafe { self.inner.dealloc(block, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let retired = hook::reallocating(block, layout.size());
        // SAFETY: the caller's obligations are the inner allocator's.
        let new = unsafe { self.inner.realloc(block, layout, new_size) };
        if !new.is_null() {
            hook::reallocated(new, layout.size(), new_size);
        } else if let Some(retired) = &retired {
            hook::realloc_failed(block, retired);
        }
        new
    }
}
