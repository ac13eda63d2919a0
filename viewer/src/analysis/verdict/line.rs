//! Growth of a site whose blocks all go in the end: a queue that falls behind, a vector that is moved whenever it grows. What
//! tells is the level alone, so that it has to be a straight line.

use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::replay::BINS;

use super::growth::Rate;
use super::series::{Series, mean};

/// Births of the second half over those of the first, at most: beyond it the load grows, and with it what is held.
const SAME_LOAD: f64 = 1.15;
/// What the second half has to add at least, of what the first did.
const STRAIGHT: f64 = 0.9;
/// The same of the last quarter and the first.
const STRAIGHT_QUARTERS: f64 = 0.85;
/// Standard deviations around the line that it has to rise by.
const CLEAR: f64 = 20.0;
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
    /// Standard deviation around it.
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
        let noise = (rest.iter().map(|value| value * value).sum::<f64>() / (bins - 2.0)).sqrt();
        let alike = autocorrelation(&rest);
        let effective_bins = (bins * (1.0 - alike) / (1.0 + alike)).max(3.0);
        // Standard error of a slope over n points a unit apart: σ √(12 / n³).
        let error = noise * (12.0 / effective_bins).sqrt() / bins;
        let student = StudentsT::new(0.0, 1.0, (effective_bins - 2.0).max(1.0)).ok()?;
        let chance = if error > 0.0 { student.sf(slope / error) } else { 0.0 };
        let reach = student.inverse_cdf(0.975) * error;
        let rate = Rate { value: slope, low: (slope - reach).max(0.0), high: slope + reach };
        let (ratio, straight) = straight(series, from, noise * (12.0 / effective_bins).sqrt());
        let clear = rise >= CLEAR * noise && blocks_go(series) && same_load(series, from) && goes_on(live, rise, noise);
        Some(Line {
            from,
            rate: rate.times(1.0 / series.bin_seconds),
            rise,
            noise,
            effective_bins,
            log_chance: chance.max(f64::MIN_POSITIVE).ln(),
            ratio,
            clear,
            straight: clear && straight,
        })
    }
}

/// Whether most blocks go: sites whose blocks stay are judged by those.
fn blocks_go(series: &Series) -> bool {
    series.total_survivors() <= series.total_births() / 2.0
}

/// Whether no more blocks come in the second half than in the first.
fn same_load(series: &Series, from: usize) -> bool {
    let middle = from + (BINS - from) / 2;
    let sum = |numbers: &[f64]| numbers.iter().sum::<f64>();
    let (early, late) = (mean(&series.allocations[from..middle]), mean(&series.allocations[middle..]));
    // What samples of the same load differ by between the halves; blocks that were all seen do not.
    let counts = [sum(&series.births[from..middle]), sum(&series.births[middle..])];
    let sampled = sum(&series.allocations) > sum(&series.births) + 0.5;
    let error = if sampled { counts.iter().map(|count| 1.0 / count.max(1.0)).sum::<f64>().sqrt() } else { 0.0 };
    late <= (SAME_LOAD + error) * early
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

/// Whether the last eighth rises too, as far as noise lets one see.
fn goes_on(live: &[f64], rise: f64, noise: f64) -> bool {
    let (last, eighth) = (live.len(), live.len() / 8);
    let rose = mean(&live[last - ENDS..]) - mean(&live[last - eighth - ENDS..last - eighth]);
    let expected = rise / 8.0;
    rose >= 0.35 * expected || expected - rose < 1.5 * noise
}
