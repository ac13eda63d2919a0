//! What a program says of its own run: the truth that the verdicts are held against.

use serde::{Deserialize, Serialize};

use super::{Class, Truth};

/// A run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Told {
    /// Name of the program.
    pub program: String,
    /// Chooses its random numbers.
    pub seed: u64,
    /// Its length.
    pub steps: u32,
    /// The same by the clock.
    pub elapsed_s: f64,
    /// How late a step began at most; a machine that is too busy makes other programs of these.
    pub late_ms: f64,
    /// In the order of the program's truths.
    pub sites: Vec<ToldSite>,
}

/// A site of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToldSite {
    /// In the stack of all its allocations.
    pub function: String,
    /// What it is.
    pub class: Class,
    /// Classes that are as right.
    pub also: Vec<Class>,
    /// Whether a capture of this length shows it.
    pub known: bool,
    /// Whether this length shows a straight line and nothing else, leak or not.
    pub blind: bool,
    /// Of what fills up: how much more it grew in the first half of the run than in the second.
    pub slowing_bytes: f64,
    /// Of what fills up: the size of its blocks; 0 for everything else.
    pub filling_block_bytes: f64,
    /// What leaks, by the clock.
    pub leak_bytes_per_s: f64,
    /// What leaked in this run, on average over seeds.
    pub growth_bytes: f64,
    /// Standard deviation of the bytes held about the line that the leak alone would draw.
    pub noise_bytes: f64,
    /// Whether the leak begins in the midst of the run, so that it has no one rate.
    pub late: bool,
    /// Bytes held half of the time: their median over the steps.
    pub usual_bytes: f64,
    /// Most bytes held at the end of a step.
    pub peak_bytes: f64,
}

impl ToldSite {
    /// From the bytes that the site held at the end of each step of `step_s` seconds.
    pub(super) fn new(truth: &Truth, held: &[f64], step_s: f64) -> ToldSite {
        let steps = held.len() as u32;
        let leaked = |step: f64| truth.leak_bytes_per_step * (step - f64::from(truth.leak_from)).max(0.0);
        let middle = held.get(held.len() / 2).copied().unwrap_or(0.0);
        let end = held.last().copied().unwrap_or(0.0);
        // The first twentieth is the start of the program: what fills up then is not noise.
        let settled = held.len() / 20;
        let rest: Vec<f64> = held.iter().enumerate().map(|(at, held)| held - leaked(at as f64 + 1.0)).collect();
        ToldSite {
            function: truth.function.to_owned(),
            class: truth.class,
            also: truth.also.to_vec(),
            known: steps >= truth.known_from,
            blind: steps < truth.blind_until,
            slowing_bytes: middle - (end - middle),
            filling_block_bytes: truth.filling_block_bytes,
            leak_bytes_per_s: truth.leak_bytes_per_step / step_s,
            growth_bytes: leaked(f64::from(steps)),
            noise_bytes: deviation(rest.get(settled..).unwrap_or_default()),
            late: truth.leak_from > 0,
            usual_bytes: median(held),
            peak_bytes: held.iter().copied().fold(0.0, f64::max),
        }
    }

    /// Whether a leak of this size must be found: it grew by at least 20 sampling intervals, and by at least five
    /// standard deviations of what the site holds anyway. In exact mode the interval is one byte; else samples of a level
    /// of L bytes make it uncertain by √(L · interval), which is noise of the site as well.
    pub fn is_large_enough(&self, interval_bytes: u64) -> bool {
        let interval = interval_bytes as f64;
        let sampling = if interval_bytes > 1 { self.usual_bytes * interval } else { 0.0 };
        let noise = (self.noise_bytes.powi(2) + sampling).sqrt();
        self.growth_bytes >= 20.0 * interval && self.growth_bytes >= 5.0 * noise
    }

    /// Whether this run shows a straight line and nothing else, leak or not: by its length, or because what fills up
    /// slows down by less than five standard deviations. Blocks that come one by one, of which samples are drawn, make
    /// growth of G bytes uncertain by √(G · (interval + block)).
    pub fn is_straight(&self, interval_bytes: u64) -> bool {
        let interval = if interval_bytes > 1 { interval_bytes as f64 } else { 0.0 };
        let noise = (self.peak_bytes * (interval + self.filling_block_bytes)).sqrt();
        self.blind || (self.filling_block_bytes > 0.0 && self.slowing_bytes < 5.0 * noise)
    }

    /// Whether too few of a healthy site's blocks are sampled to say more than that: half of the time it held fewer
    /// than 20 intervals.
    pub fn is_small(&self, interval_bytes: u64) -> bool {
        interval_bytes > 1 && self.usual_bytes < 20.0 * interval_bytes as f64
    }
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

fn deviation(values: &[f64]) -> f64 {
    let number = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / number;
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / number).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_straight_leak_has_no_noise_and_a_wave_has_its_own() {
        // 100 bytes a step from step 50 on, beside a square wave of ±10.
        let truth = Truth::leak("f", 100.0).from(50);
        let leaked = |step: u32| 100.0 * f64::from(step.saturating_sub(50));
        let straight: Vec<f64> = (1..=200).map(leaked).collect();
        let site = ToldSite::new(&truth, &straight, 0.01);
        assert_eq!((site.growth_bytes, site.noise_bytes, site.leak_bytes_per_s), (15_000.0, 0.0, 10_000.0));
        let wavy: Vec<f64> = (1..=200).map(|step| leaked(step) + if step % 2 == 0 { 10.0 } else { -10.0 }).collect();
        assert_eq!(ToldSite::new(&truth, &wavy, 0.01).noise_bytes, 10.0);
        assert!(!site.is_straight(1) && !site.is_straight(750));
        assert!(site.is_large_enough(750) && !site.is_large_enough(751));
        // Of a level of 60,000 bytes samples of 150 make √(60,000 · 150) = 3,000, of which five are just as much as it grew;
        // every block was seen in exact mode.
        let beside = |usual_bytes: f64| ToldSite { usual_bytes, noise_bytes: 0.0, ..site.clone() };
        assert!(beside(60_000.0).is_large_enough(150) && !beside(60_001.0).is_large_enough(150));
        assert!(beside(60_001.0).is_large_enough(1));
    }

    #[test]
    fn what_fills_up_must_slow_down_by_five_deviations() {
        // 100 blocks of 1,000 bytes in the first half, `late` in the second: by 49 the slowing is 51,000, and five times
        // √(149,000 · 1,000) is 61,033; by 29 it is 71,000, against 56,789.
        let truth = Truth::of("f", Class::Bounded).filling(1000.0);
        let site = |late: f64| {
            let held =
                |step: u32| 1e5 * f64::from(step.min(100)) / 100.0 + late * f64::from(step.saturating_sub(100)) * 10.0;
            ToldSite::new(&truth, &(0..=200).map(held).collect::<Vec<f64>>(), 0.01)
        };
        assert!(site(49.0).is_straight(1) && !site(29.0).is_straight(1));
        // Sampling adds its own: 5 · √(129,000 · 2,000) = 80,312.
        assert!(site(29.0).is_straight(1000));
        assert!(!ToldSite { filling_block_bytes: 0.0, ..site(49.0) }.is_straight(1));
    }
}
