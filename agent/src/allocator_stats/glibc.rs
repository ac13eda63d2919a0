//! glibc's statistics and forced clean-up: `mallinfo2` and `malloc_trim`, which are looked up, so that a program also links
//! where there are none (glibc before 2.33, musl).
//!
//! Either takes the lock of one arena after the other and walks its free lists while it holds it. No hook of ours runs
//! inside malloc, so no thread that waits for the agent holds such a lock.

use std::sync::atomic::{AtomicPtr, Ordering};

use super::HeapStats;

pub(super) const NAME: &str = "glibc";

type Mallinfo2 = unsafe extern "C" fn() -> libc::mallinfo2;

type MallocTrim = unsafe extern "C" fn(usize) -> libc::c_int;

/// What was found, null when nothing was.
static MALLINFO2: AtomicPtr<libc::c_void> = AtomicPtr::new(std::ptr::null_mut());
static MALLOC_TRIM: AtomicPtr<libc::c_void> = AtomicPtr::new(std::ptr::null_mut());

/// Looks the functions up, which takes the loader's lock: to be called where nobody waits for the caller.
pub(crate) fn find() {
    for (name, place) in [(c"mallinfo2", &MALLINFO2), (c"malloc_trim", &MALLOC_TRIM)] {
        // SAFETY: the name is a C string, and the default handle needs no opening.
        let found = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        place.store(found, Ordering::Relaxed);
    }
}

pub(super) fn purge() -> bool {
    let found = MALLOC_TRIM.load(Ordering::Relaxed);
    if found.is_null() {
        return false;
    }
    // SAFETY: a function of this name has had this type since it exists.
    let malloc_trim: MallocTrim = unsafe { std::mem::transmute::<*mut libc::c_void, MallocTrim>(found) };
    // SAFETY: it may be called by any thread that holds no lock of malloc's, with any number.
    unsafe { malloc_trim(0) };
    // What it returns says whether anything was given back, which the resident set says better.
    true
}

pub(super) fn read() -> Option<HeapStats> {
    let found = MALLINFO2.load(Ordering::Relaxed);
    if found.is_null() {
        return None;
    }
    // SAFETY: a function of this name has had this type since it exists.
    let mallinfo2: Mallinfo2 = unsafe { std::mem::transmute::<*mut libc::c_void, Mallinfo2>(found) };
    // SAFETY: it takes no arguments and may be called by any thread that holds no lock of malloc's.
    let info = unsafe { mallinfo2() };
    let sum = |one: usize, other: usize| Some(one.saturating_add(other) as u64);
    Some(HeapStats {
        allocated_bytes: sum(info.uordblks, info.hblkhd),
        large_bytes: Some(info.hblkhd as u64),
        free_bytes: Some(info.fordblks as u64),
        free_pieces: sum(info.ordblks, info.smblks),
        top_bytes: Some(info.keepcost as u64),
        mapped_bytes: sum(info.arena, info.hblkhd),
        ..HeapStats::default()
    })
}

#[cfg(all(test, target_env = "gnu"))]
mod tests {
    use super::*;

    #[test]
    fn sees_blocks_come_and_go() {
        find();
        let allocated = || read().and_then(|stats| stats.allocated_bytes).expect("glibc has mallinfo2");
        let before = allocated();
        let block = std::hint::black_box(vec![1u8; 100 << 20]);
        let with = allocated();
        drop(block);
        // Other tests allocate meanwhile, but not tens of MiB.
        assert!(with > before + (90 << 20) && allocated() < with - (90 << 20), "{before} {with}");
    }
}
