//! Ages of blocks in nanoseconds, asked for at every free.

use crate::model::{SessionClock, Stretch};

/// The capture's clock, with the stretches of time that were asked for last: events come in order, so that a stretch
/// serves for many of them.
pub(super) struct Ages<'a> {
    clock: &'a SessionClock,
    begin: Stretch,
    end: Stretch,
}

impl<'a> Ages<'a> {
    pub(super) fn new(clock: &'a SessionClock) -> Ages<'a> {
        Ages { clock, begin: clock.stretch(0), end: clock.stretch(0) }
    }

    /// Nanoseconds between two moments.
    #[inline]
    pub(super) fn of(&mut self, from: u64, to: u64) -> u64 {
        if !self.end.holds(to) {
            self.end = self.clock.stretch(to);
        }
        if !self.begin.holds(from) {
            self.begin = self.clock.stretch(from);
        }
        self.end.ns(to).saturating_sub(self.begin.ns(from))
    }
}
