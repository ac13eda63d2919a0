//! Growth: blocks that came and stayed, over a window that ends with the capture.

use crate::replay::BINS;

use super::series::{Series, mean, variance};
use super::survival::{Exposure, OLD_AGES};

/// Deaths in the length of the capture that a block of a leak may have once it is old: the rest of the churn.
const LEAK_DEATHS: f64 = 0.35;
/// The same of the site's blocks of the whole capture.
const WHOLE_DEATHS: f64 = 0.5;
/// Of either at the greatest age: of the few blocks that were seen so old, hardly one may die.
const AT_GREATEST_AGE: f64 = 0.4;
/// Growth has to be so many standard deviations of the site's own noise.
pub(super) const MIN_DEVIATIONS: f64 = 2.5;
/// Groups that the window is cut into for the interval of the rate.
const GROUPS: usize = 16;
/// 97.5 % quantile of Student's distribution with 15 degrees of freedom.
const STUDENT: f64 = 2.131;
/// Bins at either end that a level is averaged over.
const ENDS: usize = 4;

/// A rate with its 95 % interval, bytes a second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rate {
    /// Best value.
    pub value: f64,
    /// At least this.
    pub low: f64,
    /// At most this.
    pub high: f64,
}

/// What a window shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Growth {
    /// First bin of the window.
    pub from: usize,
    /// First bin whose blocks are too young to count.
    pub to: usize,
    /// Age in bins from which on blocks are taken to stay.
    pub age: usize,
    /// Blocks that came in the window and stayed.
    pub blocks: f64,
    /// Their bytes.
    pub bytes: f64,
    /// How much more the site holds at the window's end than at its start, by the lows of a few bins at either end.
    pub net: f64,
    /// Standard deviation of the lows around a straight line.
    pub noise: f64,
    /// The rate at which blocks come to stay.
    pub rate: Rate,
    /// How the second half compares with the first.
    pub slowing: Fall,
    /// How the last quarter, eighth and sixteenth compare with what came before them.
    pub stopping: [Fall; 3],
}

/// How growth in a part at the end compares with that before it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Fall {
    /// Rate of the part over the rate before.
    pub ratio: f64,
    /// By how many standard deviations it is less than steady growth would have it.
    pub deviations: f64,
    /// Standard deviation of the ratio.
    pub error: f64,
}

impl Growth {
    /// Of the window from bin `from` to the end; `None` when blocks of no age stay.
    pub fn of(series: &Series, from: usize) -> Option<Growth> {
        let stays = |age: &usize| {
            let seen = Exposure::of(series, from, BINS, *age);
            let whole = Exposure::of(series, 0, BINS, *age);
            let part = if OLD_AGES.last() == Some(age) { AT_GREATEST_AGE } else { 1.0 };
            seen.captures > 0.0 && seen.hazard() <= part * LEAK_DEATHS && whole.hazard() <= part * WHOLE_DEATHS
        };
        let age = OLD_AGES.into_iter().find(stays)?;
        let to = BINS - age;
        if to < from + BINS / 8 {
            return None;
        }
        let (bytes, blocks) = (series.survivor_bytes.get(from..to)?, series.survivors.get(from..to)?);
        let low = series.low.get(from..)?;
        let sum: f64 = bytes.iter().sum();
        let count: f64 = blocks.iter().sum();
        if count <= 0.0 {
            return None;
        }
        // One block's worth: what chance alone moves a sum by, at the least.
        let unit = sum / count;
        let net = mean(low.get(low.len() - ENDS..)?) - mean(low.get(..ENDS)?);
        Some(Growth {
            from,
            to,
            age,
            blocks: count,
            bytes: sum,
            net,
            noise: around_line(low),
            rate: rate(bytes, unit, series.bin_seconds),
            slowing: Fall { deviations: trend(bytes, unit), ..falls(bytes, 2, unit) },
            stopping: [4, 8, 16].map(|parts| falls(bytes, parts, unit)),
        })
    }

    /// Whether the site holds more for it, by more than its own ups and downs.
    pub fn gains(&self) -> bool {
        self.net >= self.bytes / 2.0 && self.net >= MIN_DEVIATIONS * self.noise
    }

    /// Whether growth becomes less: so clearly that a steady leak would hardly ever look like this.
    pub fn decelerates(&self) -> bool {
        let clearly = |fall: &Fall, steps: &[(f64, f64)]| {
            steps.iter().any(|(ratio, deviations)| fall.ratio < *ratio && fall.deviations > *deviations)
        };
        let [quarter, eighth, sixteenth] = &self.stopping;
        clearly(&self.slowing, &[(0.6, 2.3), (0.75, 3.0), (0.85, 5.0)])
            || clearly(quarter, &[(0.6, 2.3), (0.75, 4.0)])
            || clearly(eighth, &[(0.35, 3.0)])
            || clearly(sixteenth, &[(0.35, 3.0)])
    }

    /// Whether it is as straight as a leak: the second half grows no slower than 0.9 of the first, with 97.5 % confidence.
    pub fn is_straight(&self) -> bool {
        self.slowing.ratio - 2.0 * self.slowing.error >= 0.9
    }
}

/// The test of Laplace (Cox and Lewis 1966) for a falling rate: how many standard deviations the mean time of what came lies
/// before the middle.
fn trend(bytes: &[f64], unit: f64) -> f64 {
    let middle = (bytes.len() as f64 - 1.0) / 2.0;
    let times = || (0..bytes.len()).map(|at| at as f64 - middle);
    let square: f64 = times().map(|time| time * time).sum();
    let moment: f64 = times().zip(bytes).map(|(time, bytes)| time * bytes).sum();
    let spread = around_line(bytes).powi(2).max(unit * mean(bytes));
    if spread > 0.0 { -moment / (spread * square).sqrt() } else { 0.0 }
}

/// The last of `parts` equal parts against those before.
fn falls(bytes: &[f64], parts: usize, unit: f64) -> Fall {
    let last = (bytes.len() / parts).max(1).min(bytes.len());
    let (before, after) = bytes.split_at(bytes.len() - last);
    let (early, late) = (mean(before), mean(after));
    // What bins vary by around the mean of their part; no less than blocks that come at random.
    let spread = (variance(before) * (before.len() as f64 - 1.0) + variance(after) * (after.len() as f64 - 1.0))
        / (bytes.len() as f64 - 2.0).max(1.0);
    let spread = spread.max(unit * mean(bytes));
    let deviation = (spread * (1.0 / before.len().max(1) as f64 + 1.0 / after.len().max(1) as f64)).sqrt();
    if early <= 0.0 || deviation <= 0.0 {
        return Fall { ratio: f64::INFINITY, ..Fall::default() };
    }
    Fall { ratio: late / early, deviations: (early - late) / deviation, error: deviation / early }
}

/// Mean of groups with Student's interval, per second; one block either way for where the window cuts.
fn rate(bytes: &[f64], unit: f64, bin_seconds: f64) -> Rate {
    let size = (bytes.len() / GROUPS).max(1);
    let groups: Vec<f64> = bytes.rchunks_exact(size).map(mean).collect();
    let value = mean(bytes) / bin_seconds;
    let error = STUDENT * (variance(&groups) / groups.len().max(1) as f64).sqrt() / bin_seconds;
    let cut = unit / (bytes.len().max(1) as f64 * bin_seconds);
    let error = error.max(cut);
    Rate { value, low: (value - error).max(0.0), high: value + error }
}

/// Standard deviation around the least-squares line.
pub(super) fn around_line(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let (middle, level) = ((count - 1.0) / 2.0, mean(values));
    let times = || (0..values.len()).map(|at| at as f64 - middle);
    let square: f64 = times().map(|time| time * time).sum();
    let slope =
        if square > 0.0 { times().zip(values).map(|(time, value)| time * value).sum::<f64>() / square } else { 0.0 };
    let rest: f64 = times().zip(values).map(|(time, value)| (value - level - slope * time).powi(2)).sum();
    (rest / (count - 2.0).max(1.0)).sqrt()
}
