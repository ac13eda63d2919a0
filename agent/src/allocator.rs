//! The allocator that a program installs: forwards every call and tells the hooks.

use std::alloc::{GlobalAlloc, Layout, System};

use crate::allocator_stats::{self, AllocatorStats, Source};
use crate::{hook, reserve};

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
/// Around another allocator: `static ALLOC: plimsoll::Allocator<MiMalloc> = plimsoll::Allocator::with_stats(MiMalloc);`
/// with the crate's feature `mimalloc` (`jemalloc` for that one), or [`Allocator::new`] for one that gives no
/// statistics. With statistics, captures tell what the allocator keeps from what the program holds.
#[derive(Debug, Default, Clone, Copy)]
pub struct Allocator<A = System> {
    inner: A,
    /// Who says what the inner allocator holds.
    stats: Option<Source>,
}

impl Allocator<System> {
    /// Around the system's allocator, with its statistics where it has any.
    pub const fn system() -> Allocator<System> {
        Allocator::with_stats(System)
    }
}

impl<A> Allocator<A> {
    /// Around `inner`, of which nothing is known.
    pub const fn new(inner: A) -> Allocator<A> {
        Allocator { inner, stats: None }
    }

    /// Around `inner`, which says how much memory it holds.
    pub const fn with_stats(inner: A) -> Allocator<A>
    where
        A: AllocatorStats,
    {
        Allocator { inner, stats: Some(Source::of::<A>()) }
    }
}

/// Whether a block must be aligned to more than the system's allocator aligns to by itself, or than its size. Asked
/// first, since the answer "no" leaves the system's own test nothing to decide.
#[inline(always)]
fn is_unusual(align: usize, size: usize) -> bool {
    align > 16 || align > size
}

// SAFETY: every method returns what the inner allocator's own method returned for the same arguments, so its
// guarantees are ours; the hooks never unwind and never touch the block.
//
// `inline` matters: callers get these bodies, not a call. What is rare stays out of line, to keep them small.
unsafe impl<A: GlobalAlloc> GlobalAlloc for Allocator<A> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        if is_unusual(layout.align(), size) {
            // SAFETY: the caller's obligations are the same.
            return unsafe { unusual::alloc(size, layout.align(), self) };
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        hook::allocated(unsafe { self.inner.alloc(layout) }, size)
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let size = layout.size();
        if is_unusual(layout.align(), size) {
            // SAFETY: the caller's obligations are the same.
            return unsafe { unusual::alloc_zeroed(size, layout.align(), &self.inner) };
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        hook::allocated(unsafe { self.inner.alloc_zeroed(layout) }, size)
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let size = layout.size();
        if hook::freeing(block, size) {
            // SAFETY: the caller's obligations are the same.
            return unsafe { unusual::dealloc(block, size, layout.align(), &self.inner) };
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        unsafe { self.inner.dealloc(block, layout) };
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let size = layout.size();
        if hook::sees_free(block) || is_unusual(layout.align(), new_size) {
            // SAFETY: the caller's obligations are the same.
            return unsafe { unusual::realloc(block, size, layout.align(), new_size, &self.inner) };
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        hook::reallocated(unsafe { self.inner.realloc(block, layout, new_size) }, size, new_size)
    }
}

/// What is rare, out of line. Arguments come in the order in which the allocator's own entry points get them, so that
/// nobody has to move them.
mod unusual {
    use super::{Allocator, GlobalAlloc, Layout, allocator_stats, hook, reserve};

    /// # Safety
    /// `size` and `align` are those of a layout.
    #[inline(always)]
    unsafe fn layout(size: usize, align: usize) -> Layout {
        // SAFETY: the caller says so.
        unsafe { Layout::from_size_align_unchecked(size, align) }
    }

    /// # Safety
    /// As for [`GlobalAlloc::alloc`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn alloc<A: GlobalAlloc>(size: usize, align: usize, allocator: &Allocator<A>) -> *mut u8 {
        allocator_stats::answer(allocator.stats);
        // SAFETY: the caller's obligations are the inner allocator's.
        allocated(unsafe { allocator.inner.alloc(layout(size, align)) }, size, align)
    }

    /// # Safety
    /// As for [`GlobalAlloc::alloc_zeroed`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn alloc_zeroed<A: GlobalAlloc>(size: usize, align: usize, inner: &A) -> *mut u8 {
        // SAFETY: the caller's obligations are the inner allocator's.
        allocated(unsafe { inner.alloc_zeroed(layout(size, align)) }, size, align)
    }

    /// Where the agent's reserve has to mind the alignment.
    fn allocated(block: *mut u8, size: usize, align: usize) -> *mut u8 {
        if block.is_null() { hook::refused(size, align) } else { hook::allocated(block, size) }
    }

    /// After `hook::freeing` has said that the slow path is due.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::dealloc`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn dealloc<A: GlobalAlloc>(block: *mut u8, size: usize, align: usize, inner: &A) {
        if hook::free_due(block, size) {
            return;
        }
        // SAFETY: the caller's obligations are the inner allocator's.
        unsafe { inner.dealloc(block, layout(size, align)) };
    }

    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn realloc<A: GlobalAlloc>(
        block: *mut u8,
        size: usize,
        align: usize,
        new_size: usize,
        inner: &A,
    ) -> *mut u8 {
        if hook::is_agents() {
            // SAFETY: the caller's obligations are the same.
            return unsafe { of_agents(block, layout(size, align), new_size, inner) };
        }
        let retired = hook::reallocating(block, size);
        // SAFETY: the caller's obligations are the inner allocator's.
        let new = unsafe { inner.realloc(block, layout(size, align), new_size) };
        if new.is_null() {
            hook::realloc_failed(block, retired.as_ref());
        }
        hook::reallocated(new, size, new_size)
    }

    /// A reallocation of the agent's, whose block may be in its reserve, or has to move there.
    ///
    /// # Safety
    /// As for [`GlobalAlloc::realloc`].
    #[cold]
    #[inline(never)]
    unsafe fn of_agents<A: GlobalAlloc>(block: *mut u8, old: Layout, new_size: usize, inner: &A) -> *mut u8 {
        if !reserve::holds(block) {
            // SAFETY: the caller's obligations are the inner allocator's, whose block it is.
            let new = unsafe { inner.realloc(block, old, new_size) };
            if !new.is_null() {
                return hook::reallocated(new, old.size(), new_size);
            }
        }
        // SAFETY: the new size is that of a layout with the old alignment, says the caller, and is not 0.
        let mut new = unsafe { inner.alloc(layout(new_size, old.align())) };
        if new.is_null() {
            new = reserve::take(new_size, old.align());
        }
        if new.is_null() {
            return new;
        }
        // SAFETY: two different blocks, each of at least that size; the old one goes back where it came from.
        unsafe {
            new.copy_from_nonoverlapping(block, old.size().min(new_size));
            if !reserve::give_back(block, old.size()) {
                inner.dealloc(block, old);
            }
        }
        hook::reallocated(new, old.size(), new_size)
    }
}
