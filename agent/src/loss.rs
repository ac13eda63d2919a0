//! Counts of what could not be recorded. Hooks add; the writer tells what is new. They only grow, and are in the arena, so
//! that what was not told yet is known after a kill.

use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_format::{ARENA_WORDS_AT, Event, Loss, LossCause, arena_word};

use crate::arena::Arena;
use crate::shared_arena::Place;

/// The page of the arena that its words are on.
const PAGE: usize = 4096;
const FIRST: usize = (ARENA_WORDS_AT - PAGE) / 8 + arena_word::LOSSES;

/// What is counted of a cause, in this order.
const ALLOCATIONS: usize = 0;
const BYTES: usize = 1;
const FREES: usize = 2;
const FREED_BYTES: usize = 3;
const COUNTS: usize = 4;

/// See the module's description.
pub(crate) struct Losses {
    words: Arena<AtomicU64>,
    /// What the writer has told of each.
    told: [[AtomicU64; COUNTS]; arena_word::LOSS_CAUSES],
}

impl Losses {
    /// None yet; `None` when the system has no memory for them.
    pub(crate) fn map(place: &Place) -> Option<Losses> {
        let words = place.map(|_| PAGE as u64, PAGE / 8)?;
        Some(Losses { words, told: Default::default() })
    }

    fn add(&self, cause: LossCause, what: usize, value: u64) {
        if let Some(word) = self.words.get(FIRST + cause.number() * COUNTS + what) {
            word.fetch_add(value, Ordering::Relaxed);
        }
    }

    /// Counts a lost allocation, or one that lost part of its stack.
    pub(crate) fn alloc(&self, cause: LossCause, size: u64) {
        self.add(cause, ALLOCATIONS, 1);
        self.add(cause, BYTES, size);
    }

    /// Counts a lost free.
    pub(crate) fn free(&self, cause: LossCause, size: u64) {
        self.add(cause, FREES, 1);
        self.add(cause, FREED_BYTES, size);
    }

    /// Counts a lost event. Taking a free back is a lost free that did not happen: it leaves live figures too low.
    pub(crate) fn event(&self, cause: LossCause, event: &Event) {
        if event.kind.is_alloc() || event.kind == plimsoll_format::EventKind::ReallocUndo {
            self.alloc(cause, event.size_bytes);
        } else {
            self.free(cause, event.size_bytes);
        }
    }

    /// Will tell again what was told and could not be written.
    pub(crate) fn put_back(&self, loss: &Loss) {
        let Some(told) = self.told.get(loss.cause.number()) else { return };
        for (told, value) in told.iter().zip([loss.allocations, loss.bytes, loss.frees, loss.freed_bytes]) {
            told.fetch_sub(value, Ordering::Relaxed);
        }
    }

    /// Tells what was counted since the last call, as records for the time between two moments.
    pub(crate) fn take(&self, from_ticks: u64, to_ticks: u64, write_error: i32) -> Vec<Loss> {
        let tell = |cause: LossCause| {
            let told = self.told.get(cause.number())?;
            let mut new = [0; COUNTS];
            for (what, (new, told)) in new.iter_mut().zip(told).enumerate() {
                let word = self.words.get(FIRST + cause.number() * COUNTS + what)?;
                *new = word.load(Ordering::Relaxed).wrapping_sub(told.load(Ordering::Relaxed));
                told.fetch_add(*new, Ordering::Relaxed);
            }
            let [allocations, bytes, frees, freed_bytes] = new;
            let loss = Loss { from_ticks, to_ticks, cause, allocations, bytes, frees, freed_bytes };
            (allocations + frees > 0).then_some(loss)
        };
        LossCause::all(write_error).into_iter().filter_map(tell).collect()
    }
}
