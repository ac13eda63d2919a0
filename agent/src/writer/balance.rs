//! The live blocks of an exact capture that is bounded in size: what a new segment must state.
//!
//! Kept only then, as it costs about 80 bytes a live block on the heap.

use std::collections::HashMap;

use plimsoll_format::{Event, EventKind, LiveBlock};

/// Waiting events that make a tick come early; 64 bytes each.
const MANY: usize = 1 << 20;

/// See the module's description.
#[derive(Default, Clone)]
pub(super) struct Balance {
    live: HashMap<u64, LiveBlock>,
    /// Old blocks of reallocations that have not succeeded or failed yet, by thread.
    retired: HashMap<u32, LiveBlock>,
    /// Events since the last tick, in the order of their threads.
    pending: Vec<Event>,
}

impl Balance {
    /// Remembers an event for the next [`Balance::apply`].
    pub(super) fn add(&mut self, event: Event) {
        self.pending.push(event);
    }

    /// Applies what was added and is not newer than `until`, in the order of time. Later events wait: one of another
    /// thread that belongs before them may still be on its way.
    pub(super) fn apply(&mut self, until: u64) {
        let mut events = std::mem::take(&mut self.pending);
        events.sort_by_key(|event| event.ticks);
        let due = events.partition_point(|event| event.ticks <= until);
        events.drain(..due).for_each(|event| self.step(&event));
        self.pending = events;
    }

    /// Whether so many events wait that a tick should come early.
    pub(super) fn is_large(&self) -> bool {
        self.pending.len() > MANY
    }

    fn step(&mut self, event: &Event) {
        if super::is_free(event.kind) {
            let block = self.live.remove(&event.address);
            if let Some(block) = block.filter(|_| event.kind == EventKind::ReallocFree) {
                self.retired.insert(event.thread, block);
            }
            return;
        }
        let retired = self.retired.remove(&event.thread);
        if event.kind == EventKind::ReallocUndo {
            if let Some(block) = retired {
                self.live.insert(block.address, block);
            }
            return;
        }
        let block = LiveBlock {
            address: event.address,
            size_bytes: event.size_bytes,
            ticks: event.ticks,
            stack: event.stack,
            thread: event.thread,
            tag: event.tag,
            interval_bytes: event.interval_bytes,
        };
        self.live.insert(event.address, block);
    }

    /// The blocks that are live after everything that was added.
    pub(super) fn live(&self) -> Vec<LiveBlock> {
        let mut now = self.clone();
        now.apply(u64::MAX);
        now.live.into_values().collect()
    }
}
