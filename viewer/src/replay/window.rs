//! The part of a capture that a replay is of, in ticks.
//!
//! Only events stamped in it have a part in the replay, but for a margin on both sides: two CPUs' clocks differ by a
//! little, so that what belongs to a block of the window may be stamped just outside of it. So blocks of the file that
//! hold nothing of the window are as good as not there, and need not be read.

use plimsoll_format::Hook;

use crate::capture::Events;
use crate::model::Profile;

use super::SKEW_NS;
use super::heap::{Moment, ReplayOptions};

/// See the module's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// First and last tick of what counts.
    counts: (u64, u64),
    /// First and last tick of events that are looked at.
    reads: (u64, u64),
}

impl Window {
    /// What `options` ask for.
    pub(super) fn of(profile: &Profile, options: &ReplayOptions) -> Window {
        let ticks = |ns| profile.clock.ticks(ns);
        let counts = match (options.range, options.moment) {
            (Some(range), _) => {
                (if range.from_ns == 0 { 0 } else { ticks(range.from_ns) }, end_of(profile, range.to_ns))
            }
            (None, Moment::Time(ns)) => (0, end_of(profile, ns)),
            (None, Moment::End | Moment::Peak) => (0, u64::MAX),
        };
        let skew = ticks(SKEW_NS).saturating_sub(ticks(0));
        // Through the tracking-allocator crate frees are stamped after the memory went back, at any later time.
        let is_in_order = profile.header.hook == Hook::Allocator && profile.clock.has_rate();
        let first = if is_in_order && profile.is_exact() { counts.0.saturating_sub(skew) } else { 0 };
        let last = if is_in_order { counts.1.saturating_add(skew) } else { u64::MAX };
        Window { counts, reads: (first, last) }
    }

    /// The same, with everything before it looked at too: what was live when it began is known then.
    pub(super) fn with_past(self) -> Window {
        Window { reads: (0, self.reads.1), ..self }
    }

    /// Whether a block that was allocated then counts.
    #[inline]
    pub(super) fn counts(self, ticks: u64) -> bool {
        ticks.wrapping_sub(self.counts.0) <= self.counts.1 - self.counts.0
    }

    /// Whether an event of this moment is looked at.
    #[inline]
    pub(super) fn reads(self, ticks: u64) -> bool {
        ticks.wrapping_sub(self.reads.0) <= self.reads.1 - self.reads.0
    }

    /// Whether any event from `first` to `last` is looked at.
    pub(super) fn reads_any(self, first: u64, last: u64) -> bool {
        first <= self.reads.1 && last >= self.reads.0
    }

    /// The events that are looked at.
    pub(super) fn events(self) -> Events {
        Events::Between { first_ticks: self.reads.0, last_ticks: self.reads.1 }
    }

    /// The last tick of what counts.
    pub(super) fn end(self) -> u64 {
        self.counts.1
    }

    /// The first tick of what counts.
    pub(super) fn start(self) -> u64 {
        self.counts.0
    }

    /// Whether it is all of the capture.
    pub(super) fn is_whole(self) -> bool {
        self.counts == (0, u64::MAX)
    }

    /// Whether blocks may have been live before the first event that is looked at.
    pub(super) fn lacks_past(self) -> bool {
        self.reads.0 > 0
    }
}

/// The last tick of a nanosecond.
fn end_of(profile: &Profile, ns: u64) -> u64 {
    profile.clock.ticks(ns.saturating_add(1)).saturating_sub(1).max(profile.clock.ticks(ns))
}
