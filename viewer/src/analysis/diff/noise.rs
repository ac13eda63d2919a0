//! How far apart may two estimates of the same thing come out?
//!
//! Two runs of a program that allocates the same blocks sample other ones of them. A block of *s* bytes is a sample with
//! p = 1 − e^(−s/R), and then stands for s/p bytes. So the difference of the two estimates is a sum of independent steps of
//! known size and chance: its moment-generating function is known, and P(difference ≥ d) ≤ exp(min over t of K(t) − t d), where K is
//! that function's logarithm (Chernoff 1952).
//!
//! With equal intervals a step is a block that either run has seen: by the first alone, by the second alone, or by both.
//! With few samples of small blocks that is the exact conditional test (n samples all on one side: 2 · 2^−n), with many
//! it is the tail of the normal distribution. How many blocks were seen is known for small ones, which are never seen
//! twice; of large ones it is estimated, and never below what one side has seen. With intervals that differ, or one
//! exact capture, each side's samples are steps of their own, of the blocks that the side with more bytes tells.

use statrs::function::erf::erfc;

use crate::model::{SizeClass, Tally};

/// Size of blocks, in intervals, of which only an upper limit is known: so small that each is hardly ever a sample.
const TINY: f64 = 1e-6;
/// Steps of the search for the least bound; each leaves 0.618 of the range.
const STEPS: usize = 60;
/// 1 / golden ratio.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// So many independent steps, each with the same outcomes: chance and bytes added to the difference. What is left of
/// the chances adds nothing.
#[derive(Debug, Clone, Copy)]
struct Steps {
    number: f64,
    outcomes: [(f64, f64); 2],
}

/// What the difference of two estimates, after minus before, is made of if nothing has changed.
#[derive(Debug, Clone)]
pub(super) struct Noise {
    steps: Vec<Steps>,
    /// The largest difference that these samples could have made, in bytes; `None` where that is not limited.
    largest: Option<f64>,
}

/// The difference in bytes, less what losses of events may account for; with the sign of the difference.
pub(super) fn error_beyond_losses(before: &Tally, after: &Tally) -> f64 {
    let difference = after.estimated_bytes() as f64 - before.estimated_bytes() as f64;
    let slack = slack(before) + slack(after);
    difference.signum() * (difference.abs() - slack).max(0.0)
}

/// By how much losses widen an estimate.
fn slack(tally: &Tally) -> f64 {
    if tally.loss.is_none() {
        return 0.0;
    }
    let mut lossless = *tally;
    lossless.loss = None;
    let (with, without) = (tally.measure_bytes(), lossless.measure_bytes());
    let below = without.low.saturating_sub(with.low) as f64;
    let above = with.high.zip(without.high).map(|(with, without)| with.saturating_sub(without) as f64);
    above.map_or(f64::INFINITY, |above| above.max(below))
}

impl Noise {
    /// Of two independent estimates; `None` when neither is one.
    pub(super) fn of(before: &Tally, after: &Tally) -> Option<Noise> {
        match (before.interval_bytes(), after.interval_bytes()) {
            (0..=1, 0..=1) => None,
            (one, other) if one == other => Some(Noise::of_equal_intervals(before, after)),
            _ => Some(Noise::of_different_intervals([before, after])),
        }
    }

    fn of_equal_intervals(before: &Tally, after: &Tally) -> Noise {
        let interval = before.interval_bytes() as f64;
        let bytes = before.estimated_bytes() as f64 + after.estimated_bytes() as f64;
        let both = || before.spread().classes().zip(after.spread().classes());
        let scale = scale(bytes, both().flat_map(|(one, other)| [one, other]), interval);
        let steps = |(one, other): (SizeClass, SizeClass)| {
            let (chance, weight) = (chance(one.from.max(TINY)), scale * weight(one.to) * interval);
            let samples = f64::from(one.samples) + f64::from(other.samples);
            // Chance that a block is seen at all, and that it is by one given side alone if so.
            let seen = chance * (2.0 - chance);
            let alone = chance * (1.0 - chance) / seen;
            let number = (samples / (2.0 * chance) * seen).max(f64::from(one.samples.max(other.samples)));
            Steps { number, outcomes: [(alone, weight), (alone, -weight)] }
        };
        Noise { steps: both().map(steps).filter(|steps| steps.number > 0.0).collect(), largest: Some(bytes) }
    }

    fn of_different_intervals(sides: [&Tally; 2]) -> Noise {
        let is_exact = |tally: &Tally| tally.interval_bytes() <= 1;
        let blocks = match sides {
            [before, after] if is_exact(before) => Blocks::of(after).and_small_ones_up_to(before.bytes as f64),
            [before, after] if is_exact(after) => Blocks::of(before).and_small_ones_up_to(after.bytes as f64),
            [before, after] if before.estimated_bytes() > after.estimated_bytes() => Blocks::of(before),
            [_, after] => Blocks::of(after),
        };
        let mut steps = Vec::new();
        for (tally, sign) in sides.into_iter().zip([-1.0, 1.0]).filter(|(tally, _)| !is_exact(tally)) {
            steps.extend(blocks.seen_by(tally.interval_bytes() as f64, sign));
        }
        Noise { steps, largest: None }
    }

    /// An upper bound on the chance of such a difference in bytes, or a larger one, to either side.
    pub(super) fn chance(&self, difference: f64) -> f64 {
        let chernoff = (2.0 * (-self.exponent(difference)).exp()).min(1.0);
        if self.largest.is_none() {
            return chernoff;
        }
        // Where there are many samples that bound is some ten times too high. The tail of the normal distribution that has
        // the same exponent one step of both sides below is another one (Zubkov and Serov 2013, for the binomial).
        let steps = self.steps.iter().flat_map(|steps| steps.outcomes).map(|(_, step)| step.abs());
        let nearer = (difference.abs() - 2.0 * steps.fold(0.0, f64::max)).max(0.0);
        chernoff.min(erfc(self.exponent(nearer.copysign(difference)).sqrt()))
    }

    /// The largest of t d − K(t).
    fn exponent(&self, difference: f64) -> f64 {
        if difference == 0.0 {
            return 0.0;
        }
        let bound = |t: f64| self.steps.iter().map(|steps| steps.log_moment(t)).sum::<f64>() - t * difference;
        let largest =
            self.steps.iter().flat_map(|steps| steps.outcomes).map(|(_, step)| step.abs()).fold(1.0, f64::max);
        // Where the largest step is e^200 times as likely there is nothing left to gain.
        let mut range = (0.0, difference.signum() * 200.0 / largest);
        // The least value of a convex function by golden section.
        for _ in 0..STEPS {
            let width = (range.1 - range.0) * GOLDEN;
            let (near, far) = (range.1 - width, range.0 + width);
            if bound(near) < bound(far) { range.1 = far } else { range.0 = near }
        }
        (-bound(range.0 + (range.1 - range.0) / 2.0)).max(0.0)
    }

    /// The least that [`Noise::chance`] could have come to with these samples: all of them on one side.
    pub(super) fn least_chance(&self) -> f64 {
        self.largest.map_or(0.0, |largest| self.chance(largest))
    }
}

impl Steps {
    /// Logarithm of the moment-generating function of all of them, less their mean.
    fn log_moment(&self, t: f64) -> f64 {
        let mean: f64 = self.outcomes.iter().map(|(chance, step)| chance * step).sum();
        // The largest term is taken out of the sum, which may be too large for a number.
        let largest = self.outcomes.iter().map(|(_, step)| t * step).fold(0.0, f64::max);
        let rest = 1.0 - self.outcomes.iter().map(|(chance, _)| chance).sum::<f64>();
        let log = if largest < 1.0 {
            self.outcomes.iter().map(|(chance, step)| chance * (t * step).exp_m1()).sum::<f64>().ln_1p()
        } else {
            let term = |(chance, step): &(f64, f64)| chance * (t * step - largest).exp();
            largest + (self.outcomes.iter().map(term).sum::<f64>() + rest.max(0.0) * (-largest).exp()).ln()
        };
        self.number * (log - t * mean).max(0.0)
    }
}

/// Blocks that one estimate tells: number, smallest and largest size in bytes.
struct Blocks(Vec<(f64, f64, f64)>);

impl Blocks {
    fn of(tally: &Tally) -> Blocks {
        let interval = tally.interval_bytes() as f64;
        let scale = scale(tally.estimated_bytes() as f64, tally.spread().classes(), interval);
        let blocks = |class: SizeClass| {
            let is_told = class.from > 0.0;
            let (smallest, largest) = if is_told { (class.from, class.to) } else { (TINY, TINY) };
            // As many as hold the bytes; of large ones no fewer than were seen.
            let number = f64::from(class.samples) * scale * weight(class.to) / largest;
            let seen = if is_told { f64::from(class.samples) } else { 0.0 };
            (number.max(seen), smallest * interval, largest * interval)
        };
        Blocks(tally.spread().classes().filter(|class| class.samples > 0).map(blocks).collect())
    }

    /// What is known to be there for certain was there in the run that was sampled too, if nothing has changed: what its
    /// samples do not account for was in small blocks, which are the easiest to miss.
    fn and_small_ones_up_to(mut self, bytes: f64) -> Blocks {
        let told: f64 = self.0.iter().map(|(number, _, largest)| number * largest).sum();
        self.0.push(((bytes - told).max(0.0) / TINY, TINY, TINY));
        self
    }

    /// What the samples of such blocks add to a difference.
    fn seen_by(&self, interval: f64, sign: f64) -> impl Iterator<Item = Steps> {
        self.0.iter().map(move |(number, smallest, largest)| {
            let weight = sign * weight(largest / interval) * interval;
            Steps { number: *number, outcomes: [(chance(smallest / interval), weight), (0.0, 0.0)] }
        })
    }
}

/// Chance that a block of so many intervals is a sample.
fn chance(size: f64) -> f64 {
    -(-size).exp_m1()
}

/// What a sample of so many intervals stands for, in intervals.
fn weight(size: f64) -> f64 {
    size / chance(size)
}

/// What the largest weights of the classes have to be multiplied with to give the bytes that were estimated.
fn scale(bytes: f64, classes: impl Iterator<Item = SizeClass>, interval: f64) -> f64 {
    let most: f64 = classes.map(|class| f64::from(class.samples) * weight(class.to) * interval).sum();
    if most > 0.0 { (bytes / most).min(1.0) } else { 1.0 }
}
