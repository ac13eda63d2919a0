//! How often intervals hold the truth, to the last digit: the samples of a site whose blocks are all of one size follow
//! the binomial distribution, whose every outcome can be looked at.

use super::measure::Measure;
use super::tally::{Tally, Weight};

const INTERVAL: u64 = 4_096;

fn holds(measure: Measure, truth: u64) -> bool {
    measure.low <= truth && measure.high.is_none_or(|high| truth <= high)
}

/// Chance that the interval of `number` blocks of `size` bytes holds the truth: for bytes and for blocks. A site
/// without a sample counts with the interval of an empty tally.
fn coverage(size: u64, number: u64) -> (f64, f64) {
    let p = -(-(size as f64) / INTERVAL as f64).exp_m1();
    let weight = Weight::new(size, INTERVAL);
    let mut tally = Tally::new(INTERVAL);
    let (mut bytes, mut blocks) = (0.0, 0.0);
    // ln of the chance of `seen` samples, by going from each number to the next.
    let mut ln_chance = number as f64 * (-p).ln_1p();
    for seen in 0..=number {
        if seen > 0 {
            tally.add(&weight);
            ln_chance += ((number - seen + 1) as f64 / seen as f64).ln() + (p / (1.0 - p)).ln();
        }
        if ln_chance > -30.0 {
            bytes += if holds(tally.measure_bytes(), size * number) { ln_chance.exp() } else { 0.0 };
            blocks += if holds(tally.measure_blocks(), number) { ln_chance.exp() } else { 0.0 };
        }
    }
    (bytes * 100.0, blocks * 100.0)
}

/// Numbers of blocks of this size that give from half a sample to 400 on average, and these averages.
fn sites(size: u64) -> Vec<(u64, f64)> {
    let p = -(-(size as f64) / INTERVAL as f64).exp_m1();
    let number = |step: i32| ((0.5 * 1.12f64.powi(step) / p).round() as u64).max(1);
    let mut numbers: Vec<u64> = (0..60).map(number).collect();
    numbers.dedup();
    numbers.into_iter().map(|number| (number, number as f64 * p)).collect()
}

#[test]
fn intervals_of_one_size_hold_the_truth_as_often_as_they_say() {
    for size in [16, 64, 1024, 2048, 4096, 6000, 8192, 16384, 32768] {
        let (mut few, mut many) = (Vec::new(), Vec::new());
        for (number, expected) in sites(size) {
            let (bytes, blocks) = coverage(size, number);
            // Blocks may be as small as they like: a site without a sample has no upper bound on their number, and one
            // with a sample has the same interval for both.
            if expected < 20.0 { few.extend([bytes, blocks]) } else { many.extend([bytes, blocks]) }
        }
        let range =
            |all: &[f64]| all.iter().fold((100.0f64, 0.0f64), |(low, high), one| (low.min(*one), high.max(*one)));
        println!("{size} bytes: fewer than 20 samples {:.2?} %, more {:.2?} %", range(&few), range(&many));
        assert!(range(&few).0 >= 93.0, "{size} bytes, fewer than 20 samples expected: {:?}", range(&few));
        assert!(range(&many).0 >= 93.0, "{size} bytes: {:?}", range(&many));
        // Larger blocks than the interval are hardly ever missed: no interval of whole blocks can hold the truth 95 times
        // in 100 then, and these hold it more often.
        assert!(size > INTERVAL || range(&many).1 <= 97.0, "{size} bytes: {:?}", range(&many));
    }
}
