//! mimalloc's statistics and clean-up. A release build of it counts what it has committed and nothing finer.

use std::ptr::null_mut;

use libmimalloc_sys::{mi_collect, mi_process_info};
use mimalloc::MiMalloc;

use super::{AllocatorStats, HeapStats};

impl AllocatorStats for MiMalloc {
    const NAME: &'static str = "mimalloc";

    fn read() -> Option<HeapStats> {
        let mut committed = 0usize;
        let no = null_mut();
        // SAFETY: it writes one number to each pointer that is not null.
        unsafe { mi_process_info(no, no, no, no, no, &raw mut committed, no, no) };
        let resident_bytes = Some(committed as u64).filter(|bytes| *bytes > 0);
        Some(HeapStats { resident_bytes, ..HeapStats::default() })
    }

    fn purge() -> bool {
        // SAFETY: any thread may call it. It takes what ended threads left and what is due in its arenas; what a running
        // thread keeps in its own heap stays there.
        unsafe { mi_collect(true) };
        true
    }
}
