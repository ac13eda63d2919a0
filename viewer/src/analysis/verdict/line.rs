//! Growth of a site whose blocks all go in the end: a queue that falls behind, a vector that is moved whenever it grows. What
//! tells is the level alone, so that it has to be a straight line.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::replay::BINS;

use super::growth::Rate;
use super::sampling::{Sampling, ageing, at_steady_load, is_sampled};
use super::series::{Series, mean, variance};

/// Births of the second half over those of the first, at most: beyond it the load grows, and with it what is held.
const SAME_LOAD: f64 = 1.15;
/// What the second half has to add at least, of what the first did.
const STRAIGHT: f64 = 0.9;
/// The same of the last quarter and the first.
const STRAIGHT_QUARTERS: f64 = 0.85;
/// Standard deviations around the line that it has to rise by.
const CLEAR: f64 = 20.0;
/// Of samples at a steady load: what the second half has to add of what the first did, at the least.
const SAMPLED_STRAIGHT: f64 = 0.8;
/// What the second half has to add at least, of what the first did, for a level to be one that may go on rising.
const RISING: f64 = 0.5;
/// Of samples: standard deviations that what a part adds may fall short of what it should.
const SHORT: f64 = 3.0;
/// Of samples: standard deviations by which later births have to hold more at the same age than earlier ones.
const AGEING: f64 = 4.0;
/// The same for a level that may go on rising.
const SOME_AGEING: f64 = 2.0;
/// Correlation of neighbours from which on what lies around the line is taken for a level that wanders.
const WANDERS: f64 = 0.6;
/// Parts that such a level is cut into, whose rises differ by chance.
const PARTS: usize = 16;
/// Times the noise that the last eighth's rise may fall short by.
const GOES_ON: f64 = 1.5;
/// Bins that a level is averaged over.
const ENDS: usize = 4;

/// The line through the live bytes of a window that ends with the capture.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Line {
    /// First bin of the window.
    pub from: usize,
    /// Its slope.
    pub rate: Rate,
    /// Bytes the line rises by.
    pub rise: f64,
    /// Standard deviation around it, without what sampling makes of a line.
    pub noise: f64,
    /// Bins that tell something new: fewer than there are when each is like the one before.
    pub effective_bins: f64,
    /// Natural logarithm of the chance that a level that only wanders rises like this.
    pub log_chance: f64,
    /// The second half's rise over the first's.
    pub ratio: f64,
    /// Whether it goes on to the end, with a load that is the same throughout, and is far above what lies around the line.
    pub clear: bool,
    /// Whether it is as straight as that of a leak, too.
    pub straight: bool,
    /// Whether it may go on: not straight enough, or too noisy, but neither flat at the end nor under a load that rises.
    pub rising: bool,
}

/// A least-squares line: slope a bin, and standard deviation around it.
fn fit(values: &[f64]) -> (f64, Vec<f64>) {
    let (middle, level) = ((values.len() as f64 - 1.0) / 2.0, mean(values));
    let times = || (0..values.len()).map(|at| at as f64 - middle);
    let square: f64 = times().map(|time| time * time).sum();
    let moment: f64 = times().zip(values).map(|(time, value)| time * value).sum();
    let slope = if square > 0.0 { moment / square } else { 0.0 };
    (slope, times().zip(values).map(|(time, value)| value - level - slope * time).collect())
}

/// Standard deviation around a line, of what lies around it.
fn around(rest: &[f64]) -> f64 {
    (rest.iter().map(|value| value * value).sum::<f64>() / (rest.len() as f64 - 2.0)).sqrt()
}

/// Correlation of each number with the next, its bias in short series taken off (Kendall 1954).
fn autocorrelation(rest: &[f64]) -> f64 {
    let square: f64 = rest.iter().map(|value| value * value).sum();
    if square <= 0.0 {
        return 0.0;
    }
    let product: f64 = rest.iter().zip(rest.iter().skip(1)).map(|(one, next)| one * next).sum();
    let found = product / square;
    (found + (1.0 + 4.0 * found) / rest.len() as f64).clamp(0.0, 0.97)
}

impl Line {
    /// Of the window from bin `from` to the end; `None` when the level does not rise there, or was higher before.
    pub fn of(series: &Series, from: usize) -> Option<Line> {
        let live = series.live.get(from..).filter(|live| live.len() >= BINS / 2)?;
        let (slope, rest) = fit(live);
        let bins = live.len() as f64;
        let rise = slope * bins;
        let highest = series.live[..from].iter().copied().fold(0.0, f64::max);
        if rise <= 0.0 || highest > mean(&live[live.len() - ENDS..]) - rise / 2.0 {
            return None;
        }
        let around = around(&rest).powi(2);
        let sampling = is_sampled(series).then(|| Sampling::of(series, from));
        let drawn = sampling.as_ref().map(Sampling::around_line).unwrap_or_default();
        let noise = if around <= drawn.most { 0.0 } else { (around - drawn.expected).sqrt() };
        let alike = autocorrelation(&rest);
        let effective_bins = (bins * (1.0 - alike) / (1.0 + alike)).max(3.0);
        let spread = (12.0 / effective_bins).sqrt();
        // Variance of a slope over n points a unit apart: σ² 12 / n³; and what sampling adds.
        let still = noise * noise * 12.0 / effective_bins / (bins * bins);
        let own = if alike < WANDERS { still } else { still.max(wandering(live) * noise * noise / around) };
        let drawn = sampling.as_ref().map_or(0.0, |sampling| sampling.variance_of(&slope_factors(0, live.len())));
        let error = (own + drawn).sqrt();
        let student = StudentsT::new(0.0, 1.0, freedom(own, drawn, effective_bins)).ok()?;
        let chance = if error > 0.0 { student.sf(slope / error) } else { 0.0 };
        let reach = student.inverse_cdf(0.975) * error;
        let rate = Rate { value: slope, low: (slope - reach).max(0.0), high: slope + reach };
        let goes = |noise: f64| blocks_go(series) && same_load(series, from) && goes_on(live, rise, noise);
        let around = around.sqrt();
        let (mut clear, mut shape) = (rise >= CLEAR * around && goes(around), straight(series, from, around * spread));
        let mut rising = shape.0 >= RISING && goes(around);
        if let Some(sampling) = sampling.filter(|_| !(clear && shape.1)) {
            let last = sampling.variance_of(&eighth_factors(live.len())).sqrt();
            let found = sampled_straight(series, from, noise * spread, &sampling);
            let goes = goes(around.max(last * SHORT / GOES_ON));
            rising = found.0 >= RISING && goes && ageing(series, from) >= SOME_AGEING;
            if found.1 && rise >= CLEAR * noise && goes {
                (clear, shape) = (true, found);
            }
        }
        Some(Line {
            from,
            rate: rate.times(1.0 / series.bin_seconds),
            rise,
            noise,
            effective_bins,
            log_chance: chance.max(f64::MIN_POSITIVE).ln(),
            ratio: shape.0,
            clear,
            straight: clear && shape.1,
            rising,
        })
    }
}

/// Degrees of freedom of an error whose own part was estimated from so many bins, and whose other part is known
/// (Welch 1947).
fn freedom(own: f64, known: f64, bins: f64) -> f64 {
    let few = (bins - 2.0).max(1.0);
    if own > 0.0 {
        (few * ((own + known) / own).powi(2)).min(1e6)
    } else {
        few.max(if known > 0.0 { 1e6 } else { 0.0 })
    }
}

/// Variance of the slope of a level that wanders, by how its rises over parts of the window differ: 6 / 5 of that of their
/// mean (Durlauf and Phillips 1988).
fn wandering(live: &[f64]) -> f64 {
    let size = (live.len() / PARTS).max(1);
    let marks: Vec<f64> = live.iter().rev().step_by(size).copied().collect();
    let rises: Vec<f64> = marks.iter().zip(marks.iter().skip(1)).map(|(late, early)| late - early).collect();
    1.2 * variance(&rises) / (size * live.len()) as f64
}

/// What each of some levels adds to the slope of the least-squares line through `bins` of them from `from` on.
fn slope_factors(from: usize, bins: usize) -> Vec<f64> {
    let count = bins as f64;
    let square = count * (count * count - 1.0) / 12.0;
    let factor = |at: usize| (at as f64 - (count - 1.0) / 2.0) / square;
    (0..from).map(|_| 0.0).chain((0..bins).map(factor)).collect()
}

/// What each of some levels adds to the last eighth's rise.
fn eighth_factors(bins: usize) -> Vec<f64> {
    let part = |at: usize, end: usize| if (end - ENDS..end).contains(&at) { 1.0 / ENDS as f64 } else { 0.0 };
    (0..bins).map(|at| part(at, bins) - part(at, bins - bins / 8)).collect()
}

/// Whether most blocks go: sites whose blocks stay are judged by those.
fn blocks_go(series: &Series) -> bool {
    series.total_survivors() <= series.total_births() / 2.0
}

/// Whether no more blocks come in the second half than in the first.
fn same_load(series: &Series, from: usize) -> bool {
    let (early, late, error) = loads(series, from);
    late <= (SAME_LOAD + error) * early
}

/// Whether no fewer come either.
fn steady_load(series: &Series, from: usize) -> bool {
    let (early, late, error) = loads(series, from);
    same_load(series, from) && early <= (SAME_LOAD + error) * late
}

/// Blocks that come in a bin of either half, and two standard deviations of the ratio of the halves that samples alone make;
/// blocks that were all seen make none.
fn loads(series: &Series, from: usize) -> (f64, f64, f64) {
    let middle = from + (BINS - from) / 2;
    let sum = |numbers: &[f64]| numbers.iter().sum::<f64>();
    let counts = [sum(&series.births[from..middle]), sum(&series.births[middle..])];
    let error =
        if is_sampled(series) { counts.iter().map(|count| 1.0 / count.max(1.0)).sum::<f64>().sqrt() } else { 0.0 };
    (mean(&series.allocations[from..middle]), mean(&series.allocations[middle..]), 2.0 * error)
}

/// What the second half adds over what the first does, and whether it is as much. `error` is that of a rise.
///
/// Where blocks add up, it is told by the share of births that no death makes up for, whose error is far smaller: of a site
/// that fills to a level the share falls from 1 to 0.
fn straight(series: &Series, from: usize, error: f64) -> (f64, bool) {
    let bins = BINS - from;
    let share = |part: usize, parts: usize| {
        let range = from + bins * part / parts..from + bins * (part + 1) / parts;
        let births: f64 = series.births[range.clone()].iter().sum();
        let deaths: f64 = range.map(|at| series.brief[at] + series.died_in(at)).sum();
        if births > 0.0 { (births - deaths) / births } else { 0.0 }
    };
    let (early, late) = (share(0, 2), share(1, 2));
    if series.total_survivors() >= series.total_births() / 20.0 && early > 0.0 {
        let ratio = late / early;
        return (ratio, ratio >= STRAIGHT && share(3, 4) >= STRAIGHT_QUARTERS * share(0, 4));
    }
    let live = &series.live[from..];
    let (first, second) = live.split_at(live.len() / 2);
    let (early, late) = (fit(first).0, fit(second).0);
    // Each half has half of the bins, so that its rise has √2 of the error of the whole.
    let error = 2.0 * std::f64::consts::SQRT_2 * error / (early.max(f64::MIN_POSITIVE) * first.len() as f64);
    let ratio = if early > 0.0 { late / early } else { 0.0 };
    (ratio, ratio - error >= STRAIGHT)
}

/// The same of samples, of the level that they show at a steady load: it is a line up to the end, as far as the samples can
/// tell the level itself is one, and it is none that fills up.
fn sampled_straight(series: &Series, from: usize, error: f64, sampling: &Sampling) -> (f64, bool) {
    let steady = at_steady_load(series);
    let (live, steady) = (&series.live[from..], &steady[from..]);
    let (bins, half) = (live.len(), live.len() / 2);
    let slopes = |level: &[f64]| (fit(&level[..half]).0, fit(&level[half..]).0);
    let (early, late) = slopes(steady);
    let ratio = if early > 0.0 { late / early } else { 0.0 };
    let (slope, rest) = fit(steady);
    let (rise, around) = (slope * bins as f64, around(&rest));
    // Of a late window alone there may be too few samples to see that fewer and fewer come.
    let is_steady = steady_load(series, 0) && steady_load(series, from);
    let is_line = is_steady && rise >= CLEAR * around && ratio >= SAMPLED_STRAIGHT && goes_on(steady, rise, 0.0);
    let mut factors = slope_factors(half, bins - half);
    let start = slope_factors(0, half);
    factors.iter_mut().zip(start).for_each(|(factor, start)| *factor -= STRAIGHT * start);
    let own = 2.0 * (error / half as f64).powi(2) * (1.0 + STRAIGHT * STRAIGHT);
    let (first, second) = slopes(live);
    let is_short = second - STRAIGHT * first < -SHORT * (sampling.variance_of(&factors) + own).sqrt();
    let ratio = if is_steady { ratio } else { 0.0 };
    (ratio, is_line && !is_short && ageing(series, from) >= AGEING)
}

/// Whether the last eighth rises too, as far as noise lets one see.
fn goes_on(live: &[f64], rise: f64, noise: f64) -> bool {
    let (last, eighth) = (live.len(), live.len() / 8);
    let rose = mean(&live[last - ENDS..]) - mean(&live[last - eighth - ENDS..last - eighth]);
    let expected = rise / 8.0;
    rose >= 0.35 * expected || expected - rose < GOES_ON * noise
}
