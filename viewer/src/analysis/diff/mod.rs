//! What changed between two captures, or two moments of one, and what is noise? `docs/diff.md` has the method.

mod noise;
#[cfg(test)]
mod tests;

use crate::model::{Measure, Tally};
use crate::view::Pair;

use noise::{Noise, error_beyond_losses};

/// Chance that a comparison without any change reports one.
pub const FALSE_ALARMS: f64 = 0.01;

/// A difference with its 95 % interval; of exact numbers all three are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Difference {
    /// Best value.
    pub value: i64,
    /// It is at least this; `None` when nothing bounds it.
    pub low: Option<i64>,
    /// It is at most this; `None` when nothing bounds it.
    pub high: Option<i64>,
}

/// One site (function, crate, …) before and after.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What was compared.
    pub pair: Pair,
    /// Bytes, after minus before.
    pub bytes: Difference,
    /// Blocks, after minus before.
    pub blocks: Difference,
    /// Chance that sampling alone makes such a difference, at most; `None` where nothing was sampled.
    pub p_value: Option<f64>,
    /// The difference is real: exact, or beyond noise.
    pub is_real: bool,
}

/// All changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Changes {
    /// Largest first, real ones before the others.
    pub changes: Vec<Change>,
    /// A site's difference is reported when its p-value is at most this; `None` where nothing was sampled.
    pub threshold: Option<f64>,
}

impl Changes {
    /// Those that are real.
    pub fn real(&self) -> &[Change] {
        let number = self.changes.iter().take_while(|change| change.is_real).count();
        self.changes.get(..number).unwrap_or_default()
    }

    /// The largest change, in bytes, that could hide in one of the others; `None` when nothing bounds it.
    pub fn hidden(&self) -> Option<u64> {
        let others = self.changes.iter().skip(self.real().len());
        others
            .map(|change| Some(change.bytes.low?.unsigned_abs().max(change.bytes.high?.unsigned_abs())))
            .try_fold(0, |largest, bound| Some(bound?.max(largest)))
    }
}

/// Compares the pairs.
pub fn changes(pairs: Vec<Pair>) -> Changes {
    let noises: Vec<Option<Noise>> = pairs.iter().map(|pair| Noise::of(&pair.gone, &pair.come)).collect();
    let threshold = noises.iter().any(Option::is_some).then(|| threshold(noises.iter().flatten()));
    let mut changes: Vec<Change> =
        pairs.into_iter().zip(noises).map(|(pair, noise)| change(pair, noise, threshold)).collect();
    changes.sort_by_key(|change| {
        (
            !change.is_real,
            std::cmp::Reverse(change.bytes.value.unsigned_abs()),
            std::cmp::Reverse(change.pair.after.estimated_bytes()),
        )
    });
    Changes { changes, threshold }
}

fn change(pair: Pair, noise: Option<Noise>, threshold: Option<f64>) -> Change {
    let bytes = Difference::of(pair.gone, pair.come, Tally::measure_bytes);
    let blocks = Difference::of(pair.gone, pair.come, Tally::measure_blocks);
    let p_value = noise.map(|noise| noise.chance(error_beyond_losses(&pair.gone, &pair.come)));
    let is_real = match (p_value, threshold) {
        (Some(p_value), Some(threshold)) => bytes.value != 0 && p_value <= threshold,
        _ => bytes.excludes_zero() || blocks.excludes_zero(),
    };
    Change { pair, bytes, blocks, p_value, is_real }
}

/// The p-value at which a site is reported, so that all sites together give a false alarm with a chance of at most
/// [`FALSE_ALARMS`]. Sites with so few samples that no difference between them could be told are not counted (Tarone
/// 1990): with a thousand of them, one with many samples would otherwise have to differ more.
fn threshold<'a>(noises: impl Iterator<Item = &'a Noise>) -> f64 {
    let mut least: Vec<f64> = noises.map(Noise::least_chance).collect();
    least.sort_by(f64::total_cmp);
    let enough = |tests: &usize| least.partition_point(|chance| *chance <= FALSE_ALARMS / *tests as f64) <= *tests;
    let tests = (1..=least.len().max(1)).find(enough).unwrap_or(least.len());
    FALSE_ALARMS / tests.max(1) as f64
}

impl Difference {
    /// No difference.
    pub const NONE: Difference = Difference { value: 0, low: Some(0), high: Some(0) };

    /// Of two independent estimates, the interval by the method of variance estimates recovery (Zou and Donner 2008): the
    /// distances of their own limits add up as their squares. Where events were lost, limits are for certain and add up
    /// as they are.
    fn of(before: Tally, after: Tally, measure: impl Fn(&Tally) -> Measure) -> Difference {
        let (one, other) = (measure(&before), measure(&after));
        let is_lossy = before.loss.is_some() || after.loss.is_some();
        let join = |a: f64, b: f64| if is_lossy { a + b } else { a.hypot(b) };
        let below = |measure: Measure| measure.value.abs_diff(measure.low) as f64;
        let above = |measure: Measure| measure.high.map(|high| high.abs_diff(measure.value) as f64);
        let value = other.value as i128 - one.value as i128;
        let whole = |value: i128| i64::try_from(value).unwrap_or(if value < 0 { i64::MIN } else { i64::MAX });
        Difference {
            value: whole(value),
            low: above(one).map(|above| whole(value - join(above, below(other)).ceil() as i128)),
            high: above(other).map(|above| whole(value + join(above, below(one)).ceil() as i128)),
        }
    }

    fn excludes_zero(&self) -> bool {
        self.low.is_some_and(|low| low > 0) || self.high.is_some_and(|high| high < 0)
    }

    /// Whether the number has no error.
    pub fn is_exact(&self) -> bool {
        self.low == Some(self.value) && self.high == Some(self.value)
    }
}
