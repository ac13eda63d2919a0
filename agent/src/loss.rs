//! Counts of what could not be recorded. Hooks add, the writer takes.

use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_format::{Event, Loss, LossCause};

#[derive(Default)]
struct Counts {
    allocations: AtomicU64,
    bytes: AtomicU64,
    frees: AtomicU64,
    freed_bytes: AtomicU64,
}

/// See the module's description.
#[derive(Default)]
pub(crate) struct Losses {
    writer_behind: Counts,
    stack_table_full: Counts,
    live_table_full: Counts,
    reentered: Counts,
    write_failed: Counts,
}

impl Losses {
    fn counts(&self, cause: LossCause) -> &Counts {
        match cause {
            LossCause::WriterBehind => &self.writer_behind,
            LossCause::StackTableFull => &self.stack_table_full,
            LossCause::LiveTableFull => &self.live_table_full,
            LossCause::Reentered => &self.reentered,
            LossCause::WriteFailed(_) => &self.write_failed,
        }
    }

    /// Counts a lost allocation, or one that lost part of its stack.
    pub(crate) fn alloc(&self, cause: LossCause, size: u64) {
        self.counts(cause).allocations.fetch_add(1, Ordering::Relaxed);
        self.counts(cause).bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Counts a lost free.
    pub(crate) fn free(&self, cause: LossCause, size: u64) {
        self.counts(cause).frees.fetch_add(1, Ordering::Relaxed);
        self.counts(cause).freed_bytes.fetch_add(size, Ordering::Relaxed);
    }

    /// Counts a lost event. Taking a free back is a lost free that did not happen: it leaves live figures too low.
    pub(crate) fn event(&self, cause: LossCause, event: &Event) {
        if event.kind.is_alloc() || event.kind == plimsoll_format::EventKind::ReallocUndo {
            self.alloc(cause, event.size_bytes);
        } else {
            self.free(cause, event.size_bytes);
        }
    }

    /// Counts again what was taken and could not be written.
    pub(crate) fn put_back(&self, loss: &Loss) {
        let counts = self.counts(loss.cause);
        counts.allocations.fetch_add(loss.allocations, Ordering::Relaxed);
        counts.bytes.fetch_add(loss.bytes, Ordering::Relaxed);
        counts.frees.fetch_add(loss.frees, Ordering::Relaxed);
        counts.freed_bytes.fetch_add(loss.freed_bytes, Ordering::Relaxed);
    }

    /// Takes what was counted since the last call, as records for the time between two moments.
    pub(crate) fn take(&self, from_ticks: u64, to_ticks: u64, write_error: i32) -> Vec<Loss> {
        let causes = [
            LossCause::WriterBehind,
            LossCause::StackTableFull,
            LossCause::LiveTableFull,
            LossCause::Reentered,
            LossCause::WriteFailed(write_error),
        ];
        let take = |cause: LossCause| {
            let counts = self.counts(cause);
            let loss = Loss {
                from_ticks,
                to_ticks,
                cause,
                allocations: counts.allocations.swap(0, Ordering::Relaxed),
                bytes: counts.bytes.swap(0, Ordering::Relaxed),
                frees: counts.frees.swap(0, Ordering::Relaxed),
                freed_bytes: counts.freed_bytes.swap(0, Ordering::Relaxed),
            };
            (loss.allocations + loss.frees > 0).then_some(loss)
        };
        causes.into_iter().filter_map(take).collect()
    }
}
