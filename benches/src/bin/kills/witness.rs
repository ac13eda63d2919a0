//! An allocator below Plimsoll that counts in a file that the killed process shared with nobody: it shares no code with
//! the agent.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Threads that are watched, numbered from 1.
pub(crate) const WORKERS: usize = 8;

/// What one thread did.
#[repr(C, align(64))]
pub(crate) struct Counts {
    pub(crate) allocations: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) frees: AtomicU64,
    _rest: [u64; 5],
}

const BYTES: usize = size_of::<Counts>() * (WORKERS + 1);

/// The counts in the file, null before they are mapped.
static COUNTS: AtomicPtr<Counts> = AtomicPtr::new(std::ptr::null_mut());

thread_local! {
    /// Number of the thread, 0 for one that is not watched.
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// Maps the file, which is made `BYTES` long.
pub(crate) fn map(path: &Path) -> io::Result<()> {
    let file = File::options().read(true).write(true).create_new(true).open(path)?;
    file.set_len(BYTES as u64)?;
    // SAFETY: a new shared mapping of a file that is long enough and that nobody cuts.
    let start = unsafe {
        libc::mmap(
            std::ptr::null_mut(),
            BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED,
            file.as_raw_fd(),
            0,
        )
    };
    if start == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    COUNTS.store(start.cast(), Ordering::Release);
    Ok(())
}

/// The calling thread is watched from here on.
pub(crate) fn watch(number: usize) {
    NUMBER.set(number);
}

/// What the file says of each thread: allocations, bytes, frees.
pub(crate) fn read(path: &Path) -> io::Result<Vec<[u64; 3]>> {
    let bytes = std::fs::read(path)?;
    let word =
        |at: usize| bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word));
    let counts = |thread: usize| [0, 8, 16].map(|at| word(thread * size_of::<Counts>() + at));
    Ok((1..=WORKERS).map(counts).collect())
}

/// Counts of the calling thread, if it is watched.
fn own() -> Option<&'static Counts> {
    let number = NUMBER.get();
    let counts = COUNTS.load(Ordering::Acquire);
    if number == 0 || number > WORKERS || counts.is_null() {
        return None;
    }
    // SAFETY: the mapping holds WORKERS + 1 counts of atomics, and is never unmapped.
    Some(unsafe { &*counts.add(number) })
}

fn add(counter: &AtomicU64, value: u64) {
    counter.store(counter.load(Ordering::Relaxed) + value, Ordering::Release);
}

fn allocated(size: usize) {
    if let Some(own) = own() {
        add(&own.bytes, size as u64);
        add(&own.allocations, 1);
    }
}

fn freed() {
    if let Some(own) = own() {
        add(&own.frees, 1);
    }
}

/// Counts what passes through to the system's allocator.
pub(crate) struct Witness;

// SAFETY: every method forwards to the same method of the system's allocator with the arguments that it was given, and
// returns what that returned. Counting touches atomics: it neither allocates nor panics.
unsafe impl GlobalAlloc for Witness {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is handed on.
        let block = unsafe { System.alloc(layout) };
        allocated(layout.size());
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise is handed on.
        let block = unsafe { System.alloc_zeroed(layout) };
        allocated(layout.size());
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        freed();
        // SAFETY: the caller's promise is handed on.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise is handed on.
        let new = unsafe { System.realloc(block, layout, new_size) };
        freed();
        allocated(new_size);
        new
    }
}
