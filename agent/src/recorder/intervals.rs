//! The sampling intervals of a session, one after the other. A sample names the one that chose it by its step.
//!
//! Only the writer adds one: when it thins the live samples, and when somebody asks for another interval. A thread takes
//! the newest when it draws its next gap, so that each byte was watched at the interval that its sample is weighed with.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// Steps that a sample can name.
const STEPS: usize = 256;
/// Steps that may be asked for. The others are for thinning: with so many doublings the interval is larger than any heap.
const MOST_ASKED: u32 = 128;

/// See the module's description.
pub(crate) struct Intervals {
    step: AtomicU32,
    of: [AtomicU64; STEPS],
}

impl Intervals {
    pub(crate) fn new(first: u64) -> Intervals {
        let of = [const { AtomicU64::new(0) }; STEPS];
        of.iter().take(1).for_each(|interval| interval.store(first, Ordering::Relaxed));
        Intervals { step: AtomicU32::new(0), of }
    }

    /// The step in force.
    pub(crate) fn step(&self) -> u8 {
        self.step.load(Ordering::Acquire) as u8
    }

    /// Interval of a step, in bytes.
    pub(crate) fn of(&self, step: u8) -> u64 {
        self.of.get(usize::from(step)).map_or(0, |interval| interval.load(Ordering::Relaxed))
    }

    /// The interval in force, in bytes.
    pub(crate) fn now(&self) -> u64 {
        self.of(self.step())
    }

    /// The interval that the session began with.
    pub(crate) fn first(&self) -> u64 {
        self.of(0)
    }

    /// Twice the interval in force; its step, `None` when there is none left.
    pub(crate) fn double(&self) -> Option<u8> {
        self.add(self.now().saturating_mul(2))
    }

    /// Another interval; its step, `None` when it was changed too often.
    pub(crate) fn set(&self, interval: u64) -> Option<u8> {
        if self.step.load(Ordering::Relaxed) >= MOST_ASKED { None } else { self.add(interval) }
    }

    fn add(&self, interval: u64) -> Option<u8> {
        let next = self.step.load(Ordering::Relaxed) + 1;
        self.of.get(next as usize)?.store(interval, Ordering::Relaxed);
        // Whoever sees the step sees its interval.
        self.step.store(next, Ordering::Release);
        Some(next as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_keeps_its_interval_for_ever() {
        let intervals = Intervals::new(1000);
        assert_eq!((intervals.step(), intervals.now()), (0, 1000));
        assert_eq!((intervals.double(), intervals.set(64), intervals.double()), (Some(1), Some(2), Some(3)));
        let all: Vec<u64> = (0..4).map(|step| intervals.of(step)).collect();
        assert_eq!((all, intervals.now(), intervals.first()), (vec![1000, 2000, 64, 128], 128, 1000));
    }

    #[test]
    fn there_is_always_room_to_double_until_nothing_is_chosen() {
        let intervals = Intervals::new(1);
        while intervals.set(1).is_some() {}
        assert_eq!(intervals.step(), 128);
        let doublings = std::iter::from_fn(|| intervals.double()).count();
        assert_eq!((doublings, intervals.now()), (127, u64::MAX));
    }
}
