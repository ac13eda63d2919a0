//! The allocator at the bottom: the system's, or after [`use_signal_safe`] one that signal handlers may call, whatever
//! they interrupt. It takes no lock: blocks of powers of two from one arena, given back to lists by compare-and-swap.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::AcqRel, Ordering::Acquire, Ordering::Relaxed};

const ARENA_BYTES: usize = 1 << 30;
/// The smallest block: 2^5 bytes.
const SMALLEST: u32 = 5;
const CLASSES: usize = 24;

static SIGNAL_SAFE: AtomicBool = AtomicBool::new(false);
static START: AtomicUsize = AtomicUsize::new(0);
static USED: AtomicUsize = AtomicUsize::new(0);
/// Per class: a count against ABA in the high half, the first free block's offset in units of 32 bytes in the low one.
static FREE: [AtomicU64; CLASSES] = [const { AtomicU64::new(0) }; CLASSES];

/// See the module's description.
pub(crate) struct Inner;

/// From now on blocks come from the arena. Older ones still go back to the system.
pub(crate) fn use_signal_safe() {
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory.
    let start = unsafe {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        libc::mmap(std::ptr::null_mut(), ARENA_BYTES, access, flags, -1, 0)
    };
    assert!(start != libc::MAP_FAILED, "no memory for the arena");
    START.store(start as usize, Relaxed);
    // Offset 0 stands for the end of a list.
    USED.store(1 << SMALLEST, Relaxed);
    SIGNAL_SAFE.store(true, Relaxed);
}

fn is_of_arena(block: *mut u8) -> bool {
    let start = START.load(Relaxed);
    start != 0 && (start..start + ARENA_BYTES).contains(&(block as usize))
}

/// Class of a layout: a block of class `k` has 2^(5 + k) bytes and is aligned to as many, up to a page.
fn class(layout: Layout) -> usize {
    let bytes = layout.size().max(layout.align()).max(1 << SMALLEST).next_power_of_two();
    (bytes.trailing_zeros() - SMALLEST) as usize
}

fn pop(list: &AtomicU64) -> Option<usize> {
    let mut head = list.load(Acquire);
    loop {
        let offset = (head as u32 as usize) << SMALLEST;
        if offset == 0 {
            return None;
        }
        // SAFETY: offsets in the list are of blocks in the arena, whose first word is the next offset. If another thread
        // has taken the block meanwhile, what is read is void and the exchange below fails by its count.
        let next = unsafe { (*((START.load(Relaxed) + offset) as *const AtomicU64)).load(Relaxed) };
        let new = (head >> 32).wrapping_add(1) << 32 | u64::from(next as u32);
        match list.compare_exchange(head, new, AcqRel, Acquire) {
            Ok(_) => return Some(START.load(Relaxed) + offset),
            Err(now) => head = now,
        }
    }
}

fn push(list: &AtomicU64, block: *mut u8) {
    let offset = ((block as usize - START.load(Relaxed)) >> SMALLEST) as u64;
    let mut head = list.load(Acquire);
    loop {
        // SAFETY: the block was given back, so its first word is ours; it is aligned to 32 bytes.
        unsafe { (*block.cast::<AtomicU64>()).store(u64::from(head as u32), Relaxed) };
        match list.compare_exchange(head, (head >> 32).wrapping_add(1) << 32 | offset, AcqRel, Acquire) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
}

fn take(layout: Layout) -> *mut u8 {
    let class = class(layout);
    let Some(list) = FREE.get(class) else { return std::ptr::null_mut() };
    if let Some(block) = pop(list) {
        return block as *mut u8;
    }
    let bytes = 1usize << (class as u32 + SMALLEST);
    let place = |used: usize| {
        let at = used.next_multiple_of(bytes.min(4096));
        (at + bytes <= ARENA_BYTES).then_some(at + bytes)
    };
    match USED.fetch_update(Relaxed, Relaxed, place) {
        Ok(used) => (START.load(Relaxed) + used.next_multiple_of(bytes.min(4096))) as *mut u8,
        Err(_) => std::ptr::null_mut(),
    }
}

// SAFETY: blocks come from the system's allocator or from the arena, and go back to where their address says they came
// from. Blocks of the arena are as large and as aligned as their class, which the layout gives again.
unsafe impl GlobalAlloc for Inner {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if SIGNAL_SAFE.load(Relaxed) {
            return take(layout);
        }
        // SAFETY: the caller's promises are handed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !SIGNAL_SAFE.load(Relaxed) {
            // SAFETY: the caller's promises are handed on.
            return unsafe { System.alloc_zeroed(layout) };
        }
        let block = take(layout);
        if !block.is_null() {
            // SAFETY: the block is at least as large as the layout.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match FREE.get(class(layout)) {
            Some(list) if is_of_arena(block) => push(list, block),
            // SAFETY: the caller's promises are handed on.
            _ => unsafe { System.dealloc(block, layout) },
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_of_arena(block) {
            // SAFETY: the caller's promises are handed on.
            return unsafe { System.realloc(block, layout, size) };
        }
        let Ok(wanted) = Layout::from_size_align(size, layout.align()) else { return std::ptr::null_mut() };
        if class(wanted) == class(layout) {
            return block;
        }
        let new = take(wanted);
        if !new.is_null() {
            // SAFETY: two different blocks, each at least as large as what is copied; the old one goes back after.
            unsafe {
                new.copy_from_nonoverlapping(block, layout.size().min(size));
                self.dealloc(block, layout);
            }
        }
        new
    }
}
