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
        self.stretch(ticks).ns(ticks)
    }

    /// The stretch of time around `ticks` in which time runs evenly: a reader that asks for many moments near each
    /// other keeps it.
    pub(crate) fn stretch(&self, ticks: u64) -> Stretch {
        let everything = (0, u64::MAX);
        let Some(first) = self.points.first() else { return Stretch { range: everything, line: None } };
        if self.ticks_are_ns {
            return Stretch { range: everything, line: Some(Line { low: *first, slope: None }) };
        }
        let after = self.points.partition_point(|point| point.0 <= ticks);
        // One anchor and a counter of unknown rate: there is an order, but no duration.
        let Some((low, high)) = self.pair(after) else { return Stretch { range: everything, line: None } };
        // The first stretch runs back to 0, the last one on for good.
        let from = if after <= 1 { 0 } else { low.0 };
        let to = self.points.get(after.max(1)).map_or(u64::MAX, |point| point.0.saturating_sub(1));
        // Beyond the last anchor the rate is that of the last two, whose stretch this one continues.
        Stretch { range: (from, to), line: Some(Line::through(low, high)) }
    }

    /// The tick at `ns` nanoseconds after the session started, the inverse of [`ns`](SessionClock::ns).
    pub fn ticks(&self, ns: u64) -> u64 {
        let Some(first) = self.points.first() else { return 0 };
        if self.ticks_are_ns {
            return first.0.saturating_add(ns);
        }
        let after = self.points.partition_point(|point| point.1 <= ns);
        match self.pair(after) {
            Some((low, high)) => Line::through((low.1, low.0), (high.1, high.0)).at(ns),
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

/// A part of the session in which time runs evenly; made by [`SessionClock::stretch`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    /// First and last tick.
    range: (u64, u64),
    line: Option<Line>,
}

impl Stretch {
    /// Whether these ticks lie in it.
    #[inline]
    pub(crate) fn holds(&self, ticks: u64) -> bool {
        (self.range.0..=self.range.1).contains(&ticks)
    }

    /// Nanoseconds from one moment to a later one, when both lie in it: less than two off the difference of what
    /// [`ns`](Stretch::ns) says. `None` when that cannot be promised.
    #[inline]
    pub(crate) fn about(&self, from: u64, to: u64) -> Option<f64> {
        let line = self.line?;
        // Two roundings, and what floating point leaves out beyond 2^52.
        let is_near = to.wrapping_sub(line.low.0) < 1 << 48;
        let lies_within = self.range.0 <= from && from <= to && to <= self.range.1 && line.low.0 <= from;
        line.slope
            .filter(|slope| is_near && lies_within && *slope < 16.0)
            .map(|slope| (to - from) as i64 as f64 * slope)
    }

    /// Nanoseconds since the session started, of ticks that lie in it.
    #[inline]
    pub(crate) fn ns(&self, ticks: u64) -> u64 {
        self.line.map_or(0, |line| line.at(ticks))
    }
}

/// A line through a point with `slope`, from 0 to the largest number; without a slope it rises by one for one, from 0 at
/// its point. Floating point is exact enough: a part in 2^52 of the span between two anchors.
#[derive(Debug, Clone, Copy)]
struct Line {
    low: (u64, u64),
    slope: Option<f64>,
}

impl Line {
    /// The line through two points with `low.0 < high.0`.
    fn through(low: (u64, u64), high: (u64, u64)) -> Line {
        Line { low, slope: Some((high.1 - low.1) as f64 / (high.0 - low.0) as f64) }
    }

    #[inline]
    fn at(&self, at: u64) -> u64 {
        let Some(slope) = self.slope else { return at.saturating_sub(self.low.0) };
        if at >= self.low.0 {
            self.low.1.saturating_add(rounded((at - self.low.0) as f64 * slope))
        } else {
            self.low.1.saturating_sub(rounded((self.low.0 - at) as f64 * slope))
        }
    }
}

/// The nearest whole number of one that is not negative, halves going up. `f64::round` says the same and is a call.
#[inline]
fn rounded(value: f64) -> u64 {
    // `as` clamps what is out of range.
    let whole = value as u64;
    whole.saturating_add(u64::from(value - whole as f64 >= 0.5))
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
    fn a_stretch_says_what_the_clock_says() {
        let clock = SessionClock::new(Clock::Tsc, START, &[anchor(3_000, 1_500), anchor(7_000, 2_500)]);
        for asked in [0, 999, 1_000, 2_999, 3_000, 6_999, 7_000, 7_001, 9_000, u64::MAX] {
            let stretch = clock.stretch(asked);
            assert!(stretch.holds(asked));
            for ticks in (0..10_000).filter(|ticks| stretch.holds(*ticks)) {
                assert_eq!(stretch.ns(ticks), clock.ns(ticks), "{ticks} in the stretch of {asked}");
            }
        }
        // Each anchor begins a stretch; the last one is of the same line and goes on.
        assert!(!clock.stretch(3_000).holds(2_999) && !clock.stretch(2_999).holds(3_000));
        assert!(clock.stretch(u64::MAX).holds(u64::MAX - 1) && clock.stretch(0).holds(2_999));
        let monotonic = SessionClock::new(Clock::Monotonic, START, &[anchor(3_000, 1_500)]);
        assert_eq!(monotonic.stretch(5_000).ns(u64::MAX), monotonic.ns(u64::MAX));
    }

    #[test]
    fn rounding_is_that_of_the_library() {
        let tricky =
            [0.0, 0.49999999999999994, 0.5, 1.5, 2.5, 1e9 + 0.5, 4503599627370495.5, 4503599627370497.0, 1e300];
        for value in tricky {
            assert_eq!(rounded(value), value.round() as u64, "{value}");
        }
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
