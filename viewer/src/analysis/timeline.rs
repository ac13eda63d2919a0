//! How did the heap and the process grow?

use plimsoll_format::{Counters, ProcessMemory, Tick, Totals};

use crate::model::{Measure, Profile};

use super::summary::live_bytes;

/// Heap and process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelinePoint {
    /// Nanoseconds after the session's start.
    pub at_ns: u64,
    /// Live bytes of the program by the counters, `None` where only the memory was read.
    pub live_bytes: Option<Measure>,
    /// Memory of the process, cgroup and machine, `None` where only the counters were read.
    pub memory: Option<Tick>,
}

impl TimelinePoint {
    /// Resident set of the process.
    pub fn rss_bytes(&self) -> Option<u64> {
        self.process().map(|process| process.rss_bytes)
    }

    /// Memory of the process.
    pub fn process(&self) -> Option<ProcessMemory> {
        self.memory.map(|tick| tick.process)
    }
}

/// Every reading of the counters and of the memory, in order; two of the same moment are one point.
pub fn timeline(profile: &Profile) -> Vec<TimelinePoint> {
    let counted = profile.counters.iter().map(|counters| (counters.ticks, Some(live_bytes(counters)), None));
    let memory = profile.ticks.iter().map(|tick| (tick.ticks, None, Some(*tick)));
    let mut readings: Vec<_> = counted.chain(memory).collect();
    readings.sort_by_key(|reading| reading.0);
    let mut points: Vec<TimelinePoint> = Vec::new();
    for (ticks, live_bytes, memory) in readings {
        let at_ns = profile.ns(ticks);
        match points.last_mut() {
            Some(last) if last.at_ns == at_ns => {
                last.live_bytes = last.live_bytes.or(live_bytes);
                last.memory = last.memory.or(memory);
            }
            _ => points.push(TimelinePoint { at_ns, live_bytes, memory }),
        }
    }
    points
}

/// Points of a series at most.
pub const TIMELINE_POINTS: usize = 1_000;

/// A measured number at one moment, or a mean up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// Since when it is a mean, nanoseconds after the session's start; of a number at a moment that moment.
    pub from_ns: u64,
    /// When, nanoseconds after the session's start.
    pub at_ns: u64,
    /// The number.
    pub measure: Measure,
}

impl Point {
    fn at(at_ns: u64, measure: Measure) -> Point {
        Point { from_ns: at_ns, at_ns, measure }
    }
}

/// How the heap and the process went, [`TIMELINE_POINTS`] points each at most. A series of more readings is thinned:
/// its first and its last point stay, and of each of equal spans of time between them the smallest and the largest, so
/// that no spike is lost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timelines {
    /// Live bytes of the program, by the counters.
    pub live_bytes: Vec<Point>,
    /// Resident set of the process; empty where the system does not tell, as the parts of it.
    pub rss_bytes: Vec<Point>,
    /// Its anonymous part.
    pub anon_bytes: Vec<Point>,
    /// Its file-backed part.
    pub file_bytes: Vec<Point>,
    /// Its shared-memory part.
    pub shmem_bytes: Vec<Point>,
    /// Bytes allocated in a second, by the counters: the mean since the reading before.
    pub allocated_bytes_per_s: Vec<Point>,
    /// Allocations in a second, the same way.
    pub allocations_per_s: Vec<Point>,
}

/// All series of a capture.
pub fn timelines(profile: &Profile) -> Timelines {
    let points = timeline(profile);
    let live = points.iter().filter_map(|point| Some(Point::at(point.at_ns, point.live_bytes?)));
    let memory = |part: fn(&ProcessMemory) -> u64| {
        let known = points.iter().filter_map(|point| Some((point.at_ns, point.process()?)));
        let known = known.filter(|(_, process)| process.rss_bytes > 0);
        bounded(known.map(|(at_ns, process)| Point::at(at_ns, Measure::exact(part(&process)))).collect())
    };
    Timelines {
        live_bytes: bounded(live.collect()),
        rss_bytes: memory(|process| process.rss_bytes),
        anon_bytes: memory(|process| process.anon_bytes),
        file_bytes: memory(|process| process.file_bytes),
        shmem_bytes: memory(|process| process.shmem_bytes),
        allocated_bytes_per_s: bounded(rates(profile, |totals| totals.bytes)),
        allocations_per_s: bounded(rates(profile, |totals| totals.allocations)),
    }
}

/// How fast a total grew between each two readings of the counters.
fn rates(profile: &Profile, total: fn(&Totals) -> u64) -> Vec<Point> {
    let pairs = profile.counters.iter().zip(profile.counters.iter().skip(1));
    let rate = |(before, now): (&Counters, &Counters)| {
        let (from_ns, at_ns) = (profile.ns(before.ticks), profile.ns(now.ticks));
        Some(Point { from_ns, at_ns, measure: rate((before, from_ns), (now, at_ns), total)? })
    };
    pairs.filter_map(rate).collect()
}

/// How fast a total grew between two readings of the counters, a second. Each reading lies between two totals, so that
/// the growth does too. `None` when no time went by.
pub(crate) fn rate(before: (&Counters, u64), now: (&Counters, u64), total: fn(&Totals) -> u64) -> Option<Measure> {
    let bounds = |counters: &Counters| (total(&counters.program), total(&counters.program_upper));
    let ns = now.1.checked_sub(before.1).filter(|ns| *ns > 0)?;
    let (before, now) = (bounds(before.0), bounds(now.0));
    let low = per_second(now.0.saturating_sub(before.1), ns, 0);
    let high = per_second(now.1.saturating_sub(before.0), ns, ns - 1).max(low);
    let value = per_second(now.1.saturating_sub(before.1), ns, ns / 2).clamp(low, high);
    Some(exact_when_near(Measure { value, low, high: Some(high) }))
}

/// A rate whose bounds differ by the rounding alone is exact.
fn exact_when_near(rate: Measure) -> Measure {
    let is_near = rate.high.is_some_and(|high| high - rate.low <= 1);
    if is_near { Measure::exact(rate.value) } else { rate }
}

/// `count` in `ns` nanoseconds, `round` of which are added before dividing.
fn per_second(count: u64, ns: u64, round: u64) -> u64 {
    let scaled = u128::from(count) * 1_000_000_000 + u128::from(round);
    u64::try_from(scaled / u128::from(ns.max(1))).unwrap_or(u64::MAX)
}

/// Thins a series as [`Timelines`] says.
fn bounded(points: Vec<Point>) -> Vec<Point> {
    let (Some(first), Some(last)) = (points.first().copied(), points.last().copied()) else { return points };
    if points.len() <= TIMELINE_POINTS {
        return points;
    }
    let spans = (TIMELINE_POINTS - 2) as u128 / 2;
    let whole = u128::from(last.at_ns - first.at_ns).max(1);
    let span_of = |point: &Point| u128::from(point.at_ns - first.at_ns) * spans / (whole + 1);
    let between = points.get(1..points.len() - 1).unwrap_or_default();
    let mut kept = vec![first];
    for span in between.chunk_by(|one, other| span_of(one) == span_of(other)) {
        let smallest = span.iter().enumerate().min_by_key(|(_, point)| point.measure.value);
        let largest = span.iter().enumerate().max_by_key(|(_, point)| point.measure.value);
        let mut ends: Vec<(usize, &Point)> = smallest.into_iter().chain(largest).collect();
        ends.sort_by_key(|(at, _)| *at);
        ends.dedup_by_key(|(at, _)| *at);
        kept.extend(ends.into_iter().map(|(_, point)| *point));
    }
    kept.push(last);
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_ns: u64, value: u64) -> Point {
        Point::at(at_ns, Measure::exact(value))
    }

    #[test]
    fn short_series_stay_as_they_are() {
        let series: Vec<Point> = (0..TIMELINE_POINTS as u64).map(|at| point(at, at % 7)).collect();
        assert_eq!(bounded(series.clone()), series);
        assert_eq!(bounded(Vec::new()), []);
    }

    #[test]
    fn long_series_keep_their_ends_and_every_spike() {
        let value = |at: u64| match at {
            12_345 => 1_000_000,
            54_321 => 0,
            _ => 1_000 + at % 10,
        };
        let series: Vec<Point> = (0..100_000).map(|at| point(at * 10, value(at))).collect();
        let kept = bounded(series);
        assert!(kept.len() <= TIMELINE_POINTS && kept.len() > TIMELINE_POINTS * 9 / 10, "{}", kept.len());
        assert_eq!((kept.first(), kept.last()), (Some(&point(0, 1_000)), Some(&point(999_990, 1_009))));
        assert!(kept.contains(&point(123_450, 1_000_000)) && kept.contains(&point(543_210, 0)));
        assert!(kept.windows(2).all(|pair| pair[0].at_ns < pair[1].at_ns), "in order, each once");
    }

    #[test]
    fn times_that_are_all_the_same_do_not_matter() {
        let kept = bounded((0..5_000).map(|at| point(7, at)).collect());
        // First, smallest and largest between, last.
        assert_eq!(kept.iter().map(|point| point.measure.value).collect::<Vec<_>>(), [0, 1, 4_998, 4_999]);
    }
}
