//! jemalloc's statistics, of all its arenas as of the moment that its epoch was moved on, and its purge.

use tikv_jemalloc_ctl::{epoch, stats};
use tikv_jemallocator::Jemalloc;

use super::{AllocatorStats, HeapStats};

impl AllocatorStats for Jemalloc {
    const NAME: &'static str = "jemalloc";

    fn read() -> Option<HeapStats> {
        epoch::advance().ok()?;
        let bytes = |read: Result<usize, _>| read.ok().map(|bytes| bytes as u64);
        Some(HeapStats {
            allocated_bytes: bytes(stats::allocated::read()),
            mapped_bytes: bytes(stats::mapped::read()),
            resident_bytes: bytes(stats::resident::read()),
            active_bytes: bytes(stats::active::read()),
            metadata_bytes: bytes(stats::metadata::read()),
            ..HeapStats::default()
        })
    }

    fn purge() -> bool {
        // Of all arenas: MALLCTL_ARENAS_ALL. Caches of other threads stay theirs.
        let (name, no) = (c"arena.4096.purge", std::ptr::null_mut());
        // SAFETY: the name is a C string; this control neither reads nor writes a value.
        let error = unsafe { tikv_jemalloc_sys::mallctl(name.as_ptr(), no, std::ptr::null_mut(), no, 0) };
        error == 0
    }
}
