//! Ages of blocks in nanoseconds, asked for at every free.

use crate::model::{SessionClock, Stretch};

use super::histogram::bucket_of;

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

    /// The histogram bucket of the nanoseconds between two moments. Most lie so far from a bucket's ends that there is
    /// no need to know them to the last.
    #[inline]
    pub(super) fn bucket(&mut self, from: u64, to: u64) -> usize {
        if let Some(about) = self.end.about(from, to).filter(|about| *about > 3.0) {
            let (least, most) = (exponent(about - 2.0), exponent(about + 2.0));
            if least == most {
                return least;
            }
        }
        bucket_of(self.of(from, to))
    }

    /// Nanoseconds between two moments.
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

/// The power of two at or below a number of at least one.
#[inline]
fn exponent(number: f64) -> usize {
    ((number.to_bits() >> 52) as usize).saturating_sub(1_023)
}

#[cfg(test)]
mod tests {
    use plimsoll_format::{Anchor, Clock};

    use super::*;

    #[test]
    fn buckets_are_those_of_the_exact_age() {
        let anchor = |ticks, monotonic_ns| Anchor { ticks, monotonic_ns, wall_ns: 0 };
        let start = anchor(1_000, 0);
        // 2.6 ticks a nanosecond, then a little less.
        let anchors = [anchor(261_000, 100_000), anchor(519_999, 200_000)];
        for clock in [SessionClock::new(Clock::Tsc, start, &anchors), SessionClock::new(Clock::Monotonic, start, &[])] {
            let mut ages = Ages::new(&clock);
            for from in [0, 999, 1_000, 1_001, 7_777, 260_999, 261_000, 300_001] {
                for age in (0..3_000).chain((3_000..900_000).step_by(61)) {
                    let exact = clock.ns(from + age).saturating_sub(clock.ns(from));
                    assert_eq!(ages.bucket(from, from + age), bucket_of(exact), "{from} and {age} more");
                }
            }
        }
    }
}
