//! What becomes of what a thread's hooks hold, when the thread ends, and when a signal handler jumps out of one of them.

use std::sync::atomic::Ordering;

use plimsoll_format::{LossCause, Totals};

use super::Recorder;
use crate::slot::Slot;
use crate::sys::{Errno, SignalsBlocked};
use crate::{clock, sys};

/// Ends of threads that may wait for the writer; more lose their per-thread totals and nothing else.
pub(super) const THREAD_ENDS: usize = 512;

/// What a thread leaves behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ThreadEnd {
    pub(crate) thread: u32,
    pub(crate) os_thread: u32,
    pub(crate) name: [u8; 16],
    pub(crate) ticks: u64,
    pub(crate) totals: Totals,
}

impl Recorder {
    /// Gives up what a hook of the calling thread held that a signal handler jumped out of.
    pub(crate) fn give_up(&self, slot: &Slot) {
        let _signals = SignalsBlocked::new();
        // The chunk's state may be ahead of what was published: the next event begins a new one.
        self.chunks.leave(self.session, &slot.cursor);
        self.unwinders.leave(self.session, &slot.walk);
        self.losses.free(LossCause::Reentered, 0);
    }

    /// Hands over what a thread holds when it ends.
    pub(crate) fn leave(&self, slot: &Slot) {
        let (_errno, _signals) = (Errno::save(), SignalsBlocked::new());
        self.chunks.leave(self.session, &slot.cursor);
        self.unwinders.leave(self.session, &slot.walk);
        let end = ThreadEnd {
            thread: slot.thread.load(Ordering::Relaxed),
            os_thread: slot.os_thread.load(Ordering::Relaxed),
            name: sys::thread_name(),
            ticks: clock::now(),
            totals: slot.thread_totals(),
        };
        // When even the woken writer is late, the thread loses its name and its own totals, and nothing else.
        if self.thread_ends.0.try_send(end).is_err() || self.thread_ends.0.len() > THREAD_ENDS / 2 {
            self.wake_writer();
        }
    }
}
