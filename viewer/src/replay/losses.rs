//! What losses do to figures: bounds.

use plimsoll_format::LossCause;

use crate::model::{LossBound, Profile};

use super::window::Window;

/// Everything that was lost in a capture.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Losses {
    /// From and up to when frees were lost, in ticks.
    frees_between: Option<(u64, u64)>,
    frees: Count,
    allocations: Count,
}

/// A number of events and their bytes; `None` when not known.
#[derive(Debug, Clone, Copy)]
struct Count {
    number: Option<u64>,
    bytes: Option<u64>,
}

impl Default for Count {
    fn default() -> Count {
        Count { number: Some(0), bytes: Some(0) }
    }
}

impl Count {
    const UNKNOWN: Count = Count { number: None, bytes: None };

    fn add(&mut self, number: u64, bytes: Option<u64>) {
        self.number = self.number.map(|sum| sum.saturating_add(number));
        self.bytes = self.bytes.zip(bytes).map(|(sum, bytes)| sum.saturating_add(bytes));
    }

    fn is_none(self) -> bool {
        self.number == Some(0) && self.bytes == Some(0)
    }
}

impl Losses {
    /// What may touch blocks of the window: of losses before it, or after its end, they know nothing.
    pub(super) fn of(profile: &Profile, window: Window) -> Losses {
        let mut losses = Losses::default();
        for loss in &profile.losses {
            // A full stack table loses no event, only parts of stacks.
            let is_apart = loss.from_ticks > window.end() || loss.to_ticks < window.start();
            if loss.cause == LossCause::StackTableFull || is_apart {
                continue;
            }
            if loss.frees > 0 {
                let (from, to) = losses.frees_between.unwrap_or((loss.from_ticks, loss.to_ticks));
                losses.frees_between = Some((from.min(loss.from_ticks), to.max(loss.to_ticks)));
                losses.frees.add(loss.frees, Some(loss.freed_bytes).filter(|bytes| *bytes > 0));
            }
            // A lost sample stands for others: at most one interval of bytes more than its own, and no known number.
            let missed =
                if profile.is_exact() { 0 } else { loss.allocations.saturating_mul(profile.widest_interval_bytes()) };
            losses.allocations.add(loss.allocations, Some(loss.bytes.saturating_add(missed)));
            if !profile.is_exact() && loss.allocations > 0 {
                losses.allocations.number = None;
            }
        }
        if let Some(until) = profile.gap_until_ticks.filter(|until| *until >= window.start()) {
            let (from, to) = losses.frees_between.unwrap_or((0, until));
            losses.frees_between = Some((from.min(until), to.max(until)));
            (losses.frees, losses.allocations) = (Count::UNKNOWN, Count::UNKNOWN);
        }
        losses
    }

    pub(super) fn is_none(&self) -> bool {
        self.frees.is_none() && self.allocations.is_none()
    }

    /// Whether a block that was allocated at `allocated` and looks live at `now` may have been freed in a loss.
    pub(super) fn may_have_freed(&self, allocated: u64, now: u64) -> bool {
        self.frees_between.is_some_and(|(from, until)| allocated <= until && now >= from)
    }

    /// Bounds of a live figure, some of whose blocks may have been freed unseen.
    pub(super) fn bound_of_live(&self, unsure: (u64, u64)) -> LossBound {
        LossBound {
            unsure_blocks: unsure.0,
            unsure_bytes: unsure.1,
            lost_frees: self.frees.number,
            lost_freed_bytes: self.frees.bytes,
            lost_allocations: self.allocations.number,
            lost_bytes: self.allocations.bytes,
        }
    }

    /// Bounds of a figure that only lost allocations can raise.
    pub(super) fn bound_of_total(&self) -> LossBound {
        self.bound_of_live((0, 0))
    }

    /// Bounds of a figure that only lost frees can raise.
    pub(super) fn bound_of_freed(&self) -> LossBound {
        let mut bound = self.bound_of_live((0, 0));
        (bound.lost_allocations, bound.lost_bytes) = (self.frees.number, self.frees.bytes);
        bound
    }
}
