//! What sampling alone makes of a level: of the blocks of a site some are seen, each for several, so that its level wanders
//! as long as a sample lives. How far is known from the samples' lives (Horvitz and Thompson 1952), and so need not be taken
//! for the site's own noise.

use crate::replay::BINS;

use super::series::{PerBin, Series, mean};
use super::survival::OLD_AGES;

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

    /// The variance around the least-squares line that is to be expected of samples alone.
    pub(super) fn around_line(&self) -> f64 {
        let bins = self.bins as f64;
        let square = bins * (bins * bins - 1.0) / 12.0;
        let rest = |span: &Span| {
            let length = (span.to - span.from) as f64;
            let centre = (span.from + span.to) as f64 / 2.0 - bins / 2.0;
            span.variance * (length - length * length / bins - (length * centre).powi(2) / square)
        };
        self.spans.iter().map(rest).sum::<f64>() / (bins - 2.0)
    }
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
