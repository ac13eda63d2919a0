//! What stands in for a header record when every copy of it is lost: the events are there, and what they were recorded with
//! shows in them.

use plimsoll_format::{Anchor, Clock, Header, Hook, Mode, Totals};

/// What the rest of a capture tells of its header.
#[derive(Debug, Default)]
pub(super) struct Guess {
    anchor: Option<Anchor>,
    first_ticks: Option<u64>,
    /// Interval of the first events.
    interval_bytes: Option<u64>,
}

/// What a reader should know about a guess.
pub(super) fn warning() -> String {
    "the capture's header is lost: program, clock and mode are taken from what is left, and what was allocated before \
     the session is not known"
        .to_owned()
}

impl Guess {
    pub(super) fn anchor(&mut self, anchor: &Anchor) {
        self.anchor.get_or_insert(*anchor);
    }

    /// Notes events by their earliest stamp and the interval that chose them.
    pub(super) fn events(&mut self, earliest_ticks: u64, interval_bytes: u64) {
        self.interval_bytes.get_or_insert(interval_bytes);
        self.first_ticks = Some(self.first_ticks.map_or(earliest_ticks, |first| first.min(earliest_ticks)));
    }

    /// The likeliest header; `None` when nothing was recorded, so that there is nothing to show.
    pub(super) fn header(&self, session: u64) -> Option<Header> {
        let (first_ticks, interval_bytes) = (self.first_ticks?, self.interval_bytes?);
        let start = self.anchor.unwrap_or(Anchor { ticks: first_ticks, monotonic_ns: 0, wall_ns: 0 });
        let is_monotonic = start.ticks == start.monotonic_ns;
        Some(Header {
            session,
            segment: 0,
            mode: if interval_bytes > 1 { Mode::Sampled } else { Mode::Exact },
            interval_bytes,
            pointer_bits: 64,
            clock: if is_monotonic { Clock::Monotonic } else { Clock::Tsc },
            start,
            hook: Hook::Allocator,
            // No system gives out this one.
            pid: 0,
            program: "unknown program".into(),
            arch: String::new(),
            os: String::new(),
            agent_version: String::new(),
            unwinder: "unknown".into(),
            tick_ns: 0,
            max_bytes: 0,
            before: Totals::default(),
            dropped_segments: 0,
        })
    }
}
