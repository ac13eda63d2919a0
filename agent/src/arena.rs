//! Memory for the agent's own tables, straight from the system and never from the profiled heap.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Mappings that are known by address; a session makes about a dozen. What does not fit is counted as anybody's.
const PLACES: usize = 64;

/// Where the agent's mappings are: start (0 for a free place) and bytes.
static MAPPED: [(AtomicUsize, AtomicUsize); PLACES] = [const { (AtomicUsize::new(0), AtomicUsize::new(0)) }; PLACES];

/// Notes a mapping.
fn note(start: usize, bytes: usize) {
    let place = MAPPED.iter().find(|(place, _)| {
        place.load(Ordering::Relaxed) == 0
            && place.compare_exchange(0, start, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    });
    if let Some((_, len)) = place {
        len.store(bytes, Ordering::Relaxed);
    }
}

/// Forgets a mapping that goes.
fn forget(start: usize) {
    if let Some((place, len)) = MAPPED.iter().find(|(place, _)| place.load(Ordering::Relaxed) == start) {
        len.store(0, Ordering::Relaxed);
        place.store(0, Ordering::Relaxed);
    }
}

/// The agent's mappings as they are now: start, bytes, and how many of them are resident.
pub(crate) fn mapped() -> Vec<(u64, u64, u64)> {
    let known = MAPPED.iter().map(|(start, len)| (start.load(Ordering::Relaxed), len.load(Ordering::Relaxed)));
    known
        .filter(|(start, len)| *start != 0 && *len != 0)
        .map(|(start, len)| (start as u64, len as u64, crate::sys::resident_bytes(start, len)))
        .collect()
}

/// A zeroed private mapping that holds `len` values of `T`. Pages cost nothing until they are touched.
///
/// When the system refuses, [`Arena::map`] gives `None` and the session does not start.
#[derive(Debug)]
pub(crate) struct Arena<T> {
    start: NonNull<T>,
    len: usize,
}

// SAFETY: an arena owns its mapping, and only hands out shared references to `T`.
unsafe impl<T: Send + Sync> Send for Arena<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for Arena<T> {}

/// Types for which all-zero bytes are a valid value.
///
/// # Safety
/// The implementer vouches for that, and that the type needs no `Drop`.
#[allow(dead_code, reason = "a marker: used as a bound, which the lint does not count")]
pub(crate) unsafe trait Zeroed {}

// SAFETY: atomics are plain integers.
unsafe impl Zeroed for std::sync::atomic::AtomicU16 {}
// SAFETY: atomics are plain integers.
unsafe impl Zeroed for std::sync::atomic::AtomicU32 {}
// SAFETY: atomics are plain integers.
unsafe impl Zeroed for std::sync::atomic::AtomicU64 {}

impl<T: Zeroed> Arena<T> {
    /// Maps room for `len` zeroed values.
    pub(crate) fn map(len: usize) -> Option<Arena<T>> {
        let bytes = len.checked_mul(size_of::<T>())?.max(1);
        // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        Arena::mapped(start, bytes, len)
    }

    /// Maps room for `len` values in `file`, from the byte `at` on, a multiple of the page size. The file's bytes there
    /// are to be zeros, or valid values, and all present; nobody may cut it.
    pub(crate) fn map_file(file: &File, at: u64, len: usize) -> Option<Arena<T>> {
        let bytes = len.checked_mul(size_of::<T>())?.max(1);
        // SAFETY: a new mapping at an address of the kernel's choice touches no existing memory. It is shared with whoever
        // else maps the file, which nobody does while the process lives; values are atomics, for which any bytes are valid.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                bytes,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_POPULATE,
                file.as_raw_fd(),
                i64::try_from(at).ok()?,
            )
        };
        Arena::mapped(start, bytes, len)
    }

    fn mapped(start: *mut libc::c_void, bytes: usize, len: usize) -> Option<Arena<T>> {
        if start == libc::MAP_FAILED {
            return None;
        }
        note(start as usize, bytes);
        Some(Arena { start: NonNull::new(start.cast())?, len })
    }
}

impl<T> std::ops::Deref for Arena<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: the mapping holds `len` values that are valid as zeros (`Zeroed`), lives as long as the arena, is
        // page-aligned (no table here asks for more), and is never handed out mutably.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl<T> Drop for Arena<T> {
    fn drop(&mut self) {
        forget(self.start.as_ptr() as usize);
        // SAFETY: the mapping is ours, and references into it cannot outlive the arena.
        unsafe { libc::munmap(self.start.as_ptr().cast(), (self.len * size_of::<T>()).max(1)) };
    }
}
