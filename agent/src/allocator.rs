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

/// Whether a block must be aligned to more than the system's allocator aligns to by itself, or than its size. Asked
/// first, since the answer "no" leaves the system's own test nothing to decide.
#[inline(always)]
fn is_unusual(layout: Layout) -> bool {
    layout.align() > 16 || layout.align() > layout.size()
}

// SAFETY: every method returns what the inner allocator's own method returned for the same arguments, so its
// guarantees are ours; the hooks never unwind and never touch the block.
//
// `inline` matters: callers get these bodies, not a call. What is rare stays out of line, to keep them small.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_unusual(layout) {
            // SAFETY: the caller's obligations are the same.
            return unsafe { self.alloc_unusual(layout) };
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        hook::allocated(unsafe { self.inner.alloc(layout) }, layout.size())
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_unusual(layout) {
            // SAFETY: the caller's obligations are the same.
            return unsafe { self.alloc_zeroed_unusual(layout) };
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        hook::allocated(unsafe { self.inner.alloc_zeroed(layout) }, layout.size())
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if hook::freeing(block, layout.size()) {
            // SAFETY: the caller's obligations are the same.
            return unsafe { self.dealloc_due(block, layout) };
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        unsafe { self.inner.dealloc(block, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let retired = hook::reallocating(block, layout.size());
        // SAFETY: the caller's obligations are the inner allocator's.
        let new = unsafe { self.inner.realloc(block, layout, new_size) };
        if !new.is_null() {
            return hook::reallocated(new, layout.size(), new_size);
        }
        if let Some(retired) = &retired {
            hook::realloc_failed(block, retired);
        }
        new
    }
}

impl<A: GlobalAlloc> Allocator<A> {
    /// # Safety
    /// As for [`GlobalAlloc::alloc`].
    #[cold]
    #[inline(never)]
    unsafe fn alloc_unusual(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations are the inner allocator's.
        hook::allocated(unsafe { self.inner.alloc(layout) }, layout.size())
    }

    /// # Safety
    /// As for [`GlobalAlloc::alloc_zeroed`].
    #[cold]
    #[inline(never)]
    unsafe fn alloc_zeroed_unusual(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations are the inner allocator's.
        hook::allocated(unsafe { self.inner.alloc_zeroed(layout) }, layout.size())
    }

    /// # Safety
    /// As for [`GlobalAlloc::dealloc`].
    #[cold]
    #[inline(never)]
    unsafe fn dealloc_due(&self, block: *mut u8, layout: Layout) {
        hook::free_due(block, layout.size());
        // SAFETY: the caller's obligations are the inner allocator's.
        unsafe { self.inner.dealloc(block, layout) };
    }
}
