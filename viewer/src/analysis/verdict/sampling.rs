//! What sampling alone makes of a level: of the blocks of a site some are seen, each for several, so that its level wanders
//! as long as a sample lives. How far is known from the samples' lives (Horvitz and Thompson 1952), and so need not be taken
//! for the site's own noise.

use statrs::distribution::{ChiSquared, ContinuousCDF};

use crate::replay::BINS;

use super::series::{PerBin, Series, mean};
use super::survival::OLD_AGES;

/// How rarely: seldom enough that no leak is missed for it.
const RARELY: f64 = 0.0001;

/// Samples of a site that live through the same bins.
#[derive(Debug, Clone, Copy)]
struct Span {
    /// First bin at whose end they live.
    from: usize,
    /// First at whose end they do not.
    to: usize,
    /// Variance of the bytes they stand for.
    variance: f64,
}

/// The variance of levels around their least-squares line that samples alone make.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct AroundLine {
    /// What is to be expected.
    pub(super) expected: f64,
    /// What it rarely exceeds. Samples live for long, so that the levels of many bins share them and the variance differs
    /// much from capture to capture: it is near enough a multiple of a χ² with its mean and variance (Box 1954).
    pub(super) most: f64,
}

/// The samples of a window.
#[derive(Debug, Clone)]
pub(super) struct Sampling {
    spans: Vec<Span>,
    bins: usize,
}

/// Bytes that a sample of each bin of birth stands for.
fn weights(series: &Series) -> PerBin {
    let mut weights = [0.0; BINS];
    let mut last = 0.0;
    for (at, weight) in weights.iter_mut().enumerate() {
        let alive: f64 = (0..=at).map(|born| series.alive(born, at + 1)).sum();
        if alive > 0.0 {
            last = series.live[at] / alive;
        }
        *weight = last;
    }
    weights
}

/// Share of the blocks of a bin that were sampled.
fn share(series: &Series, born: usize) -> f64 {
    if series.allocations[born] > 0.0 { (series.births[born] / series.allocations[born]).min(1.0) } else { 1.0 }
}

/// Whether samples were taken: else every block is one.
pub(super) fn is_sampled(series: &Series) -> bool {
    series.allocations.iter().sum::<f64>() > series.total_births() + 0.5
}

impl Sampling {
    /// Of the window from bin `from` to the end.
    pub(super) fn of(series: &Series, from: usize) -> Sampling {
        let (weights, mut spans) = (weights(series), Vec::new());
        for (born, weight) in weights.into_iter().enumerate() {
            let variance = weight.powi(2) * (1.0 - share(series, born));
            let mut add = |to: usize, samples: f64| {
                if samples > 0.0 && variance > 0.0 && to > from {
                    let first = born.saturating_sub(from);
                    spans.push(Span { from: first, to: to - from, variance: variance * samples });
                }
            };
            let row = series.deaths.get(born).into_iter().flatten().enumerate();
            row.for_each(|(died, samples)| add(died, *samples));
            add(BINS, series.survivors[born]);
        }
        Sampling { spans, bins: BINS - from }
    }

    /// Variance of a sum of the levels, each times its factor.
    pub(super) fn variance_of(&self, factors: &[f64]) -> f64 {
        let mut sums = vec![0.0];
        for factor in factors {
            sums.push(sums.last().copied().unwrap_or(0.0) + factor);
        }
        let over = |span: &Span| sums.get(span.to).zip(sums.get(span.from)).map_or(0.0, |(to, from)| to - from);
        self.spans.iter().map(|span| span.variance * over(span).powi(2)).sum()
    }

    /// The variance around the least-squares line that samples alone make.
    pub(super) fn around_line(&self) -> AroundLine {
        let rest = off_lines(self.covariances());
        let sum: f64 = rest.iter().enumerate().map(|(at, row)| row[at]).sum();
        let product =
            |(at, row): (usize, &PerBin)| row.iter().zip(&rest).map(|(one, other)| one * other[at]).sum::<f64>();
        let square: f64 = rest.iter().enumerate().map(product).sum();
        let expected = sum / (self.bins as f64 - 2.0);
        let freedom = if square > 0.0 { sum * sum / square } else { 1.0 };
        let most = ChiSquared::new(freedom).map_or(1.0, |chance| chance.inverse_cdf(1.0 - RARELY) / freedom);
        AroundLine { expected, most: expected * most }
    }

    /// Covariances of the levels of the window's bins.
    fn covariances(&self) -> Vec<PerBin> {
        let mut sums = vec![[0.0; BINS]; self.bins];
        // A sample's variance is in a square; it is told at the square's corners and then summed along both sides.
        for span in &self.spans {
            let corners = [
                (span.from, span.from, 1.0),
                (span.from, span.to, -1.0),
                (span.to, span.from, -1.0),
                (span.to, span.to, 1.0),
            ];
            for (row, column, sign) in corners {
                if let Some(sum) = sums.get_mut(row).and_then(|row| row.get_mut(column)) {
                    *sum += sign * span.variance;
                }
            }
        }
        for at in 1..sums.len() {
            let above = sums[at - 1];
            sums[at].iter_mut().zip(above).for_each(|(sum, above)| *sum += above);
        }
        for row in &mut sums {
            (1..BINS).for_each(|at| row[at] += row[at - 1]);
        }
        sums
    }
}

/// M Σ of covariances Σ, M being the projection that takes the least-squares line off. Of a sum of squares around that line
/// its trace is the mean, and twice the trace of its square the variance.
fn off_lines(mut covariances: Vec<PerBin>) -> Vec<PerBin> {
    let bins = covariances.len();
    let (count, middle) = (bins as f64, (bins as f64 - 1.0) / 2.0);
    let square = count * (count * count - 1.0) / 12.0;
    for column in 0..bins {
        let (mut level, mut slope) = (0.0, 0.0);
        for (at, row) in covariances.iter().enumerate() {
            level += row[column] / count;
            slope += (at as f64 - middle) * row[column] / square;
        }
        for (at, row) in covariances.iter_mut().enumerate() {
            row[column] -= level + slope * (at as f64 - middle);
        }
    }
    covariances
}

/// By how many standard deviations later births hold more at the same age than earlier ones, of the age at which it is most.
/// Where lifetimes, sizes and load stay the same it is about 0, however long the blocks live: what fills up to a level does
/// not pass for a leak.
pub(super) fn ageing(series: &Series, from: usize) -> f64 {
    let weights = weights(series);
    let at_age = |age: &usize| {
        let end = BINS - age;
        let middle = from + end.saturating_sub(from) / 2;
        let part = |range: std::ops::Range<usize>| {
            let samples = |born: usize| (series.alive(born, born + age), weights[born]);
            let count = range.len().max(1) as f64;
            let sum: f64 = range.clone().map(samples).map(|(samples, weight)| samples * weight).sum();
            let square: f64 = range.map(samples).map(|(samples, weight)| samples * weight * weight).sum();
            (sum / count, square / (count * count))
        };
        let ((early, early_square), (late, late_square)) = (part(from..middle), part(middle..end));
        let error = (early_square + late_square).sqrt();
        if error > 0.0 { (late - early) / error } else { 0.0 }
    };
    OLD_AGES.iter().filter(|age| from + 8 + **age < BINS).map(at_age).fold(0.0, f64::max)
}

/// The level that the site would hold if as many blocks came in each bin as come on average, of the size and the life that
/// samples of that bin have. Of the level itself samples tell little, since it depends on how many of them there happen to
/// be; of what an allocation holds, and for how long, they tell much (the ratio estimator, Cochran 1977, chapter 6).
pub(super) fn at_steady_load(series: &Series) -> PerBin {
    let (weights, rate, mut level) = (weights(series), mean(&series.allocations), [0.0; BINS]);
    let mut like = 0;
    for born in 0..BINS {
        // Where no sample was taken blocks are like those before.
        like = if series.births[born] > 0.0 { born } else { like };
        let (births, size) = (series.births[like], weights[like] * share(series, like));
        for (age, level) in level[born..].iter_mut().enumerate().filter(|_| births > 0.0) {
            *level += rate * size * series.alive(like, like + age + 1) / births;
        }
    }
    level
}
