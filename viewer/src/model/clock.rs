//! Ticks of a capture as times.

use plimsoll_format::{Anchor, Clock};

/// Maps the capture's ticks to nanoseconds since the session started and to wall-clock time.
///
/// Between two anchors time runs evenly; outside of them it runs on at the rate of the nearest two. Anchors that go
/// backwards are left out, so the map never does.
#[derive(Debug, Clone, Default)]
pub struct SessionClock {
    /// Strictly rising in both: ticks, and nanoseconds since the start.
    points: Vec<(u64, u64)>,
    /// Wall clock at the start, nanoseconds since 1970 UTC.
    start_wall_ns: i64,
    /// Ticks are nanoseconds, whatever the anchors say.
    ticks_are_ns: bool,
}

impl SessionClock {
    /// The clock of a session that started at `start`, with `anchors` in any order.
    pub fn new(clock: Clock, start: Anchor, anchors: &[Anchor]) -> SessionClock {
        let mut sorted: Vec<&Anchor> = anchors.iter().filter(|anchor| anchor.ticks > start.ticks).collect();
        sorted.sort_by_key(|anchor| anchor.ticks);
        let mut points = vec![(start.ticks, 0)];
        for anchor in sorted {
            let ns = anchor.monotonic_ns.saturating_sub(start.monotonic_ns);
            if points.last().is_some_and(|last| anchor.ticks > last.0 && ns > last.1) {
                points.push((anchor.ticks, ns));
            }
        }
        SessionClock { points, start_wall_ns: start.wall_ns, ticks_are_ns: clock == Clock::Monotonic }
    }

    /// Nanoseconds since the session started; 0 for what came before it.
    pub fn ns(&self, ticks: u64) -> u64 {
        let Some(first) = self.points.first() else { return 0 };
        if self.ticks_are_ns {
            return ticks.saturating_sub(first.0);
        }
        let after = self.points.partition_point(|point| point.0 <= ticks);
        match self.pair(after) {
            Some((low, high)) => interpolate(low, high, ticks),
            // One anchor and a counter of unknown rate: there is an order, but no duration.
            None => 0,
        }
    }

    /// The tick at `ns` nanoseconds after the session started, the inverse of [`ns`](SessionClock::ns).
    pub fn ticks(&self, ns: u64) -> u64 {
        let Some(first) = self.points.first() else { return 0 };
        if self.ticks_are_ns {
            return first.0.saturating_add(ns);
        }
        let after = self.points.partition_point(|point| point.1 <= ns);
        match self.pair(after) {
            Some((low, high)) => interpolate((low.1, low.0), (high.1, high.0), ns),
            None => u64::MAX,
        }
    }

    /// Wall-clock time, nanoseconds since 1970-01-01 UTC.
    pub fn wall_ns(&self, ticks: u64) -> i64 {
        self.start_wall_ns.saturating_add(i64::try_from(self.ns(ticks)).unwrap_or(i64::MAX))
    }

    /// Whether ticks can be told as times at all.
    pub fn has_rate(&self) -> bool {
        self.ticks_are_ns || self.points.len() > 1
    }

    /// The two anchors around position `after`, or the nearest two.
    fn pair(&self, after: usize) -> Option<((u64, u64), (u64, u64))> {
        let low = after.saturating_sub(1).min(self.points.len().checked_sub(2)?);
        Some((*self.points.get(low)?, *self.points.get(low + 1)?))
    }
}

/// The line through two points with `low.0 < high.0`, from 0 to the largest number. Floating point is exact enough: a
/// part in 2^52 of the span between two anchors.
fn interpolate(low: (u64, u64), high: (u64, u64), at: u64) -> u64 {
    let slope = (high.1 - low.1) as f64 / (high.0 - low.0) as f64;
    if at >= low.0 {
        // `as` clamps what is out of range.
        low.1.saturating_add(((at - low.0) as f64 * slope).round() as u64)
    } else {
        low.1.saturating_sub(((low.0 - at) as f64 * slope).round() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Anchor = Anchor { ticks: 1_000, monotonic_ns: 500, wall_ns: 7 };

    fn anchor(ticks: u64, monotonic_ns: u64) -> Anchor {
        Anchor { ticks, monotonic_ns, wall_ns: 0 }
    }

    #[test]
    fn time_runs_evenly_between_anchors_and_on_beyond_them() {
        // 2 ticks a nanosecond at first, then 4.
        let clock = SessionClock::new(Clock::Tsc, START, &[anchor(3_000, 1_500), anchor(7_000, 2_500)]);
        assert_eq!(
            [1_000, 2_000, 3_000, 5_000, 7_000, 11_000].map(|ticks| clock.ns(ticks)),
            [0, 500, 1_000, 1_500, 2_000, 3_000]
        );
        assert_eq!(
            [0, 500, 1_000, 1_500, 2_000, 3_000].map(|ns| clock.ticks(ns)),
            [1_000, 2_000, 3_000, 5_000, 7_000, 11_000]
        );
        assert_eq!(clock.ns(0), 0);
        assert_eq!(clock.wall_ns(2_000), 507);
    }

    #[test]
    fn anchors_that_go_backwards_are_left_out() {
        let bad =
            [anchor(3_000, 1_500), anchor(4_000, 1_400), anchor(500, 9), anchor(u64::MAX, 0), anchor(5_000, 2_500)];
        let clock = SessionClock::new(Clock::Tsc, START, &bad);
        assert_eq!([clock.ns(3_000), clock.ns(4_000), clock.ns(5_000)], [1_000, 1_500, 2_000]);
        assert_eq!(clock.ns(u64::MAX), clock.ns(u64::MAX - 1).max(clock.ns(u64::MAX)));
    }

    #[test]
    fn one_anchor_gives_no_durations_but_nanoseconds_need_none() {
        let tsc = SessionClock::new(Clock::Tsc, START, &[]);
        assert_eq!((tsc.ns(5_000), tsc.has_rate()), (0, false));
        let monotonic = SessionClock::new(Clock::Monotonic, START, &[]);
        assert_eq!((monotonic.ns(5_000), monotonic.ticks(4_000), monotonic.has_rate()), (4_000, 5_000, true));
        assert_eq!(SessionClock::default().ns(1), 0);
    }
}
