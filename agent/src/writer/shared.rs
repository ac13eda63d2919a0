//! What the session, its watcher and the writer share.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use plimsoll_format::{EndReason, Record};

use super::asked::Desk;
use crate::reserve::{self, WhenEmpty};
use crate::watcher::ModuleList;
use crate::{clock, sys};

/// What the session and the writer tell each other.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) modules: Mutex<ModuleList>,
    /// Markers and changes of phase, to be written as they are.
    pub(crate) notes: Mutex<Vec<Record>>,
    /// Set once when the session is to end.
    pub(crate) ending: Mutex<Option<EndReason>>,
    pub(crate) outcome: Mutex<Option<Outcome>>,
    /// What the control thread asks of the writer.
    pub(crate) desk: Desk,
}

/// Notes that may wait for the writer: what they take must not grow with how long its disk is stuck.
const MOST_NOTES: usize = 4096;

impl Shared {
    /// Leaves records for the writer, unless it has left far too many unread. The lock is one that the program's threads
    /// take as well, so nobody parks while holding it.
    pub(crate) fn note(&self, records: impl IntoIterator<Item = Record>) {
        reserve::when_empty(WhenEmpty::TakeHeldBack, || {
            let mut notes = lock(&self.notes);
            let room = MOST_NOTES.saturating_sub(notes.len());
            notes.extend(records.into_iter().take(room));
        });
    }

    /// What became of the capture, as soon as the writer has said it; `None` when it has not after `longest`, or a moment
    /// after it may have given up.
    pub(crate) fn wait_for_outcome(&self, longest: Duration) -> Option<Outcome> {
        const PARKED_WAIT: Duration = Duration::from_millis(200);
        let start = clock::monotonic_ns();
        loop {
            if let Some(outcome) = lock(&self.outcome).take() {
                return Some(outcome);
            }
            let longest = if reserve::has_parked() { PARKED_WAIT.min(longest) } else { longest };
            if clock::monotonic_ns().saturating_sub(start) > longest.as_nanos() as u64 {
                return None;
            }
            sys::sleep(Duration::from_micros(200));
        }
    }
}

/// What became of the capture.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) written_bytes: u64,
    pub(crate) events: u64,
    pub(crate) lost_allocations: u64,
    pub(crate) lost_frees: u64,
    pub(crate) write_error: Option<String>,
}

/// Locks without minding a panic elsewhere: the data is a list, whole at any moment.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whatever ends the writer, even a bug, whoever waits for it learns of it.
pub(super) struct LeavesAnOutcome(pub(super) Arc<Shared>);

impl Drop for LeavesAnOutcome {
    fn drop(&mut self) {
        lock(&self.0.outcome).get_or_insert_with(|| Outcome {
            write_error: Some("the writer stopped by itself, which is a bug in plimsoll".to_owned()),
            ..Outcome::default()
        });
    }
}
