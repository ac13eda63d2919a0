//! How a process went, in bounded memory: the last [`POINTS`] samples as they were, and the whole run in at most
//! [`POINTS`] spans of time that keep the smallest and the largest value.

use std::collections::VecDeque;

use serde::Serialize;

/// Samples kept as they were, and spans of the whole run, at most.
pub const POINTS: usize = 1_000;

/// The numbers of one moment; `None` where one was not read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Values {
    /// Live bytes of the program, by its counters.
    pub live_bytes: Option<u64>,
    /// Resident set.
    pub rss_bytes: Option<u64>,
    /// What counts against the limit.
    pub used_bytes: Option<u64>,
    /// The limit.
    pub limit_bytes: Option<u64>,
    /// Bytes allocated in a second: the mean since the sample before.
    pub allocated_bytes_per_s: Option<u64>,
    /// Bytes freed in a second.
    pub freed_bytes_per_s: Option<u64>,
    /// Allocations in a second.
    pub allocations_per_s: Option<u64>,
    /// CPU time of the process in thousandths of one core.
    pub cpu_permille: Option<u64>,
}

impl Values {
    fn each(&self, other: &Values, pick: fn(u64, u64) -> u64) -> Values {
        let pick = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(pick(one, other)),
            (one, other) => one.or(other),
        };
        Values {
            live_bytes: pick(self.live_bytes, other.live_bytes),
            rss_bytes: pick(self.rss_bytes, other.rss_bytes),
            used_bytes: pick(self.used_bytes, other.used_bytes),
            limit_bytes: pick(self.limit_bytes, other.limit_bytes),
            allocated_bytes_per_s: pick(self.allocated_bytes_per_s, other.allocated_bytes_per_s),
            freed_bytes_per_s: pick(self.freed_bytes_per_s, other.freed_bytes_per_s),
            allocations_per_s: pick(self.allocations_per_s, other.allocations_per_s),
            cpu_permille: pick(self.cpu_permille, other.cpu_permille),
        }
    }
}

/// The numbers of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sample {
    /// Nanoseconds since the session's start; of a process without a capture, since it was first seen.
    pub at_ns: u64,
    /// The numbers.
    #[serde(flatten)]
    pub values: Values,
}

/// What the samples of a span of time were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Span {
    /// Its first sample's moment.
    pub from_ns: u64,
    /// Its last sample's moment.
    pub to_ns: u64,
    /// The smallest of each number.
    pub least: Values,
    /// The largest of each.
    pub most: Values,
    /// The newest of each.
    pub last: Values,
}

impl Span {
    fn of(sample: &Sample) -> Span {
        let Sample { at_ns, values } = *sample;
        Span { from_ns: at_ns, to_ns: at_ns, least: values, most: values, last: values }
    }

    fn add(&mut self, later: &Span) {
        self.to_ns = later.to_ns;
        self.least = self.least.each(&later.least, u64::min);
        self.most = self.most.each(&later.most, u64::max);
        self.last = later.last.each(&self.last, |later, _| later);
    }
}

/// Two series of one process: the last ticks as they were, and the whole run in coarser points.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Series {
    recent: VecDeque<Sample>,
    whole: Vec<Span>,
    /// Length of the time that one span covers.
    width_ns: u64,
}

/// The shortest time that a span covers at first.
const FIRST_WIDTH_NS: u64 = 100_000_000;

impl Series {
    /// Adds a sample. One that is earlier than the newest is left out: time does not go back.
    pub(crate) fn push(&mut self, sample: Sample) {
        if self.recent.back().is_some_and(|last| last.at_ns > sample.at_ns) {
            return;
        }
        if self.recent.len() >= POINTS {
            self.recent.pop_front();
        }
        self.recent.push_back(sample);
        self.width_ns = self.width_ns.max(FIRST_WIDTH_NS);
        let width = self.width_ns;
        let span = Span::of(&sample);
        match self.whole.last_mut() {
            Some(last) if last.from_ns / width == sample.at_ns / width => last.add(&span),
            _ => self.whole.push(span),
        }
        while self.whole.len() > POINTS {
            self.width_ns = self.width_ns.saturating_mul(2);
            self.merge();
        }
    }

    /// Puts together what now falls into one span.
    fn merge(&mut self) {
        let width = self.width_ns;
        self.whole.dedup_by(|later, earlier| {
            let is_one = earlier.from_ns / width == later.from_ns / width;
            if is_one {
                earlier.add(later);
            }
            is_one
        });
    }

    /// The last samples as they were, oldest first.
    pub fn recent(&self) -> impl DoubleEndedIterator<Item = &Sample> + ExactSizeIterator {
        self.recent.iter()
    }

    /// The whole run in order.
    pub fn whole(&self) -> &[Span] {
        &self.whole
    }

    /// The newest sample.
    pub fn newest(&self) -> Option<&Sample> {
        self.recent.back()
    }

    /// The largest value of a number in the whole run; 0 without one.
    pub fn most(&self, number: impl Fn(&Values) -> Option<u64>) -> u64 {
        self.whole.iter().filter_map(|span| number(&span.most)).max().unwrap_or(0)
    }

    /// The last values of a number, oldest first, at most `count`.
    pub fn last(&self, count: usize, number: impl Fn(&Values) -> Option<u64>) -> Vec<u64> {
        let mut last: Vec<u64> =
            self.recent.iter().rev().filter_map(|sample| number(&sample.values)).take(count).collect();
        last.reverse();
        last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn sample(at_ns: u64, rss_bytes: u64) -> Sample {
        Sample { at_ns, values: Values { rss_bytes: Some(rss_bytes), ..Values::default() } }
    }

    #[test]
    fn short_runs_are_kept_as_they_were() {
        let mut series = Series::default();
        (0..POINTS as u64).for_each(|at| series.push(sample(at * SECOND, at)));
        assert_eq!((series.recent().len(), series.whole().len()), (POINTS, POINTS));
        let is_one = |span: &Span| span.from_ns == span.to_ns && span.least == span.most && span.most == span.last;
        assert!(series.whole().iter().all(is_one));
        assert_eq!(series.last(3, |values| values.rss_bytes), [997, 998, 999]);
    }

    #[test]
    fn a_long_run_is_bounded_and_keeps_every_spike_and_both_ends() {
        let mut series = Series::default();
        let value = |at: u64| match at {
            123_456 => 1_000_000,
            345_678 => 1,
            _ => 5_000 + at % 10,
        };
        // A week of one a second.
        (0..604_800).for_each(|at| series.push(sample(at * SECOND, value(at))));
        assert_eq!(series.recent().len(), POINTS);
        let whole = series.whole();
        assert!(whole.len() <= POINTS && whole.len() > POINTS / 2, "{}", whole.len());
        assert_eq!(series.most(|values| values.rss_bytes), 1_000_000);
        let least = whole.iter().filter_map(|span| span.least.rss_bytes).min();
        assert_eq!(least, Some(1));
        assert_eq!((whole[0].from_ns, whole[whole.len() - 1].to_ns), (0, 604_799 * SECOND));
        assert_eq!(whole[whole.len() - 1].last.rss_bytes, Some(value(604_799)));
        assert!(whole.windows(2).all(|pair| pair[0].to_ns < pair[1].from_ns), "in order, each once");
    }

    #[test]
    fn a_number_that_is_missing_now_and_then_is_kept_where_it_is_known() {
        let mut series = Series::default();
        let with_live = Values { live_bytes: Some(7), ..Values::default() };
        series.push(Sample { at_ns: 1, values: with_live });
        series.push(sample(2, 9));
        // Both fall into the first tenth of a second.
        let [span] = series.whole() else { panic!("one span: {:?}", series.whole()) };
        assert_eq!((span.last.live_bytes, span.most.rss_bytes, span.least.rss_bytes), (Some(7), Some(9), Some(9)));
    }

    #[test]
    fn time_does_not_go_back_and_may_leap() {
        let mut series = Series::default();
        for at in [5, 3, u64::MAX, 6] {
            series.push(sample(at, 1));
        }
        assert_eq!(series.recent().map(|sample| sample.at_ns).collect::<Vec<_>>(), [5, u64::MAX]);
        (0..5_000).for_each(|_| series.push(sample(u64::MAX, 1)));
        assert!(series.whole().len() <= POINTS);
    }
}
