//! An inner allocator that refuses what it is told to refuse.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

/// See the module's description.
pub(crate) struct Heap;

/// The agent's allocation that is refused, counted from 1; 0 for none.
pub(crate) static AGENTS: AtomicU64 = AtomicU64::new(0);
/// From that one on all are.
pub(crate) static FOR_GOOD: AtomicBool = AtomicBool::new(false);
/// Every so many of the program's are refused, of the threads that are [`brave`]; 0 for none.
pub(crate) static PROGRAMS: AtomicU64 = AtomicU64::new(0);

/// Calls of either so far, and how many were refused.
pub(crate) static CALLS: AtomicU64 = AtomicU64::new(0);
pub(crate) static REFUSED: AtomicU64 = AtomicU64::new(0);
/// What the program was given and gave back.
pub(crate) static GIVEN: [AtomicU64; 4] = [const { AtomicU64::new(0) }; 4];

thread_local! {
    static BRAVE: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs what takes null for an answer.
pub(crate) fn brave<R>(work: impl FnOnce() -> R) -> R {
    BRAVE.with(|brave| brave.set(true));
    let result = work();
    BRAVE.with(|brave| brave.set(false));
    result
}

fn refuses() -> bool {
    let refused = if plimsoll::is_agents_work() {
        let at = AGENTS.load(SeqCst);
        let number = if at > 0 { CALLS.fetch_add(1, SeqCst) + 1 } else { 0 };
        at > 0 && (number == at || number > at && FOR_GOOD.load(SeqCst))
    } else {
        let every = PROGRAMS.load(SeqCst);
        every > 0 && BRAVE.with(std::cell::Cell::get) && (CALLS.fetch_add(1, SeqCst) + 1).is_multiple_of(every)
    };
    REFUSED.fetch_add(u64::from(refused), SeqCst);
    refused
}

/// Counts what the program got and gave back.
fn given(allocated: usize, freed: Option<usize>) {
    if plimsoll::is_agents_work() {
        return;
    }
    if freed.is_none() || allocated > 0 {
        GIVEN[0].fetch_add(1, SeqCst);
        GIVEN[1].fetch_add(allocated as u64, SeqCst);
    }
    if let Some(freed) = freed {
        GIVEN[2].fetch_add(1, SeqCst);
        GIVEN[3].fetch_add(freed as u64, SeqCst);
    }
}

fn counted(block: *mut u8, layout: Layout) -> *mut u8 {
    if !block.is_null() {
        given(layout.size(), None);
    }
    block
}

// SAFETY: forwards to the system's allocator; a refused call returns null, as the trait allows.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations.
        if refuses() { std::ptr::null_mut() } else { counted(unsafe { System.alloc(layout) }, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations.
        if refuses() { std::ptr::null_mut() } else { counted(unsafe { System.alloc_zeroed(layout) }, layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        given(0, Some(layout.size()));
        // SAFETY: the caller's obligations.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if refuses() {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's obligations.
        let new = unsafe { System.realloc(block, layout, size) };
        if !new.is_null() {
            given(size, Some(layout.size()));
        }
        new
    }
}
