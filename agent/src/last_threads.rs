//! Which thread last allocated or freed at an address: tells in exact mode whether a time stamp needs a fence.
//!
//! A fence keeps a stamp from being read before the CPU has seen what another thread did. When the last event at an
//! address was this thread's own, the order of the two is that of the thread's events, and no fence is needed.
//!
//! The mark of one address can be overwritten by this thread's event at another one with the same place in the table.
//! An event is then stamped as if it were this thread's matter alone, and may come a few nanoseconds too early, as
//! 210 in 10⁶ hand-overs do without any fence; the viewer mends such inversions.

use std::sync::atomic::{AtomicU16, Ordering};

use crate::arena::Arena;

/// 1 MiB.
const PLACES: usize = 512 << 10;

/// See the module's description.
pub(crate) struct LastThreads {
    marks: Arena<AtomicU16>,
}

impl LastThreads {
    /// An empty table, of no size in a session that needs none; `None` when the system has no memory for it.
    pub(crate) fn map(exact: bool) -> Option<LastThreads> {
        Some(LastThreads { marks: Arena::map(if exact { PLACES } else { 0 })? })
    }

    /// Whether the last event at `address` was one of `thread`; it is from now on.
    #[inline(always)]
    pub(crate) fn was_touched_by(&self, address: usize, thread: u32) -> bool {
        let Some(mark) = self.marks.get(address >> 4 & (PLACES - 1)) else { return false };
        // Threads 65,536 apart are one here; that is as good as one place for two addresses.
        let thread = thread as u16;
        if mark.load(Ordering::Relaxed) == thread {
            return true;
        }
        mark.store(thread, Ordering::Relaxed);
        false
    }

    /// Bytes touched at most.
    pub(crate) fn touched_bytes(&self) -> u64 {
        (self.marks.len() * 2) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_belongs_to_the_thread_that_touched_it_last() {
        let table = LastThreads::map(true).expect("memory");
        assert!(!table.was_touched_by(0x5000, 1));
        assert!(table.was_touched_by(0x5000, 1));
        assert!(!table.was_touched_by(0x5000, 2), "handed over");
        assert!(!table.was_touched_by(0x5000, 1), "and back");
        assert!(!table.was_touched_by(0x5010, 1));
        assert!(!LastThreads::map(false).expect("memory").was_touched_by(0x5000, 1));
    }
}
