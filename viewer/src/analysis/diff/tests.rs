//! False alarms and power, to the last digit: the samples of blocks of one size follow the binomial distribution, of
//! which every pair of outcomes can be looked at.

use crate::model::{LossBound, Tally, Weight};
use crate::view::Pair;

use super::noise::{Noise, error_beyond_losses};
use super::{Changes, changes};

const INTERVAL: u64 = 4_096;

/// So many samples of blocks of one size.
fn tally(samples: u64, size: u64, interval: u64) -> Tally {
    if interval == 1 {
        return Tally::exact(samples, samples * size);
    }
    let mut tally = Tally::new(interval);
    (0..samples).for_each(|_| tally.add(&Weight::new(size, interval)));
    tally
}

fn p_value(before: &Tally, after: &Tally) -> f64 {
    Noise::of(before, after).expect("an estimate").chance(error_beyond_losses(before, after))
}

/// The numbers of samples that blocks of this size may give, and their chances.
fn outcomes(blocks: u64, size: u64, interval: u64) -> Vec<(Tally, f64)> {
    if interval == 1 {
        return vec![(tally(blocks, size, 1), 1.0)];
    }
    let p = -(-(size as f64) / interval as f64).exp_m1();
    let mut ln_chance = blocks as f64 * (-p).ln_1p();
    let mut outcomes = Vec::new();
    for seen in 0..=blocks {
        if seen > 0 {
            ln_chance += ((blocks - seen + 1) as f64 / seen as f64).ln() + (p / (1.0 - p)).ln();
        }
        if ln_chance > -23.0 {
            outcomes.push((tally(seen, size, interval), ln_chance.exp()));
        }
    }
    outcomes
}

/// Chance that a site with `before` and `after` blocks of this size is reported at this p-value.
fn reported(blocks: [u64; 2], size: u64, intervals: [u64; 2], at: f64) -> f64 {
    let [before, after] = [0, 1].map(|side| outcomes(blocks[side], size, intervals[side]));
    let mut chance = 0.0;
    for (one, one_chance) in &before {
        for (other, other_chance) in after.iter().filter(|(_, chance)| chance * one_chance > 1e-12) {
            if p_value(one, other) <= at {
                chance += one_chance * other_chance;
            }
        }
    }
    chance
}

/// Numbers of blocks of this size with so many samples on average.
fn blocks(samples: f64, size: u64, interval: u64) -> u64 {
    let p = -(-(size as f64) / interval as f64).exp_m1();
    ((samples / p).round() as u64).max(1)
}

#[test]
fn noise_is_reported_no_more_often_than_promised() {
    for intervals in [[INTERVAL, INTERVAL], [INTERVAL, INTERVAL / 8], [2 * INTERVAL, INTERVAL], [1, INTERVAL]] {
        for size in [16, 400, 1_500, 4_096, 10_000, 30_000, 50_000] {
            for samples in [0.5, 3.0, 12.0, 60.0] {
                let blocks = blocks(samples, size, intervals[0].max(intervals[1]));
                for at in [1e-2, 1e-4] {
                    let alarms = reported([blocks; 2], size, intervals, at);
                    assert!(alarms <= at, "{blocks} blocks of {size} bytes, {intervals:?}: {alarms:e} at {at:e}");
                }
            }
        }
    }
}

#[test]
fn real_changes_are_found() {
    // Of a program of 40 sites.
    let at = 0.01 / 40.0;
    let intervals = [INTERVAL; 2];
    let small = |samples: u64| samples * INTERVAL / 64;
    assert!(reported([small(200), small(350)], 64, intervals, at) > 0.95, "+75 % at 200 intervals");
    assert!(reported([small(350), small(200)], 64, intervals, at) > 0.95, "and back");
    assert!(reported([0, small(30)], 64, intervals, at) > 0.95, "30 intervals that were not there");
    assert!(reported([0, 1], 20 * INTERVAL, intervals, at) > 0.95, "one large block that was not there");
    assert!(reported([400, 440], 4 * INTERVAL, intervals, at) > 0.95, "large blocks are hardly ever missed");
    assert!(reported([small(200), small(350)], 64, [1, INTERVAL], at) > 0.95, "against an exact capture");
    // +10 % at 10,000 intervals is 6.9 standard deviations; a miss would take 2.5 of them.
    let p_value = p_value(&tally(10_000, 64, INTERVAL), &tally(11_000 - 362, 64, INTERVAL));
    assert!(p_value < at, "+10 % at 10,000 intervals, short by 2.5 standard deviations: {p_value:e}");
}

#[test]
fn few_samples_get_the_exact_test() {
    for samples in [1, 5, 12] {
        let p_value = p_value(&tally(0, 16, INTERVAL), &tally(samples, 16, INTERVAL));
        let exact = 2.0 * 0.5f64.powi(samples as i32);
        // Weights are taken as those of the largest blocks of a class, up to 6 % more.
        assert!(p_value >= exact.min(1.0) * 0.999 && p_value < exact * 1.02, "{samples}: {p_value} and {exact}");
    }
    // One block of five intervals is missed in 0.7 % of runs, by either side.
    let missed = p_value(&tally(0, 5 * INTERVAL, INTERVAL), &tally(1, 5 * INTERVAL, INTERVAL));
    assert!(missed > 0.0134, "{missed}");
}

fn pair(before: Tally, after: Tally) -> Pair {
    Pair { name: "f".to_owned(), frames: Vec::new(), before, after, gone: before, come: after }
}

fn lossy(mut tally: Tally, loss: LossBound) -> Tally {
    tally.loss = Some(loss);
    tally
}

fn compare(pairs: &[(Tally, Tally)]) -> Changes {
    changes(pairs.iter().map(|(before, after)| pair(*before, *after)).collect())
}

#[test]
fn exact_differences_are_real_however_small() {
    let changes = compare(&[
        (Tally::exact(5, 500), Tally::exact(5, 500)),
        (Tally::exact(5, 500), Tally::exact(5, 501)),
        (Tally::exact(9, 100), Tally::exact(8, 100)),
        (Tally::exact(2, 900), Tally::exact(0, 0)),
    ]);
    let told: Vec<(i64, bool)> = changes.changes.iter().map(|change| (change.bytes.value, change.is_real)).collect();
    assert_eq!(told, [(-900, true), (1, true), (0, true), (0, false)]);
    assert!(changes.changes.iter().all(|change| change.bytes.is_exact() && change.p_value.is_none()));
    assert_eq!((changes.real().len(), changes.threshold, changes.hidden()), (3, None, Some(0)));
}

#[test]
fn sites_that_can_tell_nothing_do_not_hide_others() {
    let site = (tally(10, 64, INTERVAL), tally(32, 64, INTERVAL));
    let alone = compare(&[site]);
    assert!(alone.changes[0].p_value.unwrap() < 0.01 && alone.changes[0].is_real);
    let tiny = (tally(1, 64, INTERVAL), tally(2, 64, INTERVAL));
    let crowd: Vec<(Tally, Tally)> = std::iter::once(site).chain(std::iter::repeat_n(tiny, 1_000)).collect();
    assert_eq!(compare(&crowd).threshold, Some(0.01), "three samples are never enough");
    let many: Vec<(Tally, Tally)> = std::iter::once(site).chain(std::iter::repeat_n((site.0, site.0), 30)).collect();
    assert_eq!(compare(&many).threshold, Some(0.01 / 31.0), "twenty may be");
    assert_eq!(compare(&many).real().len(), 0);
}

#[test]
fn what_losses_explain_is_no_change() {
    let lost = LossBound {
        unsure_blocks: 5,
        unsure_bytes: 600,
        lost_frees: None,
        lost_freed_bytes: None,
        lost_allocations: Some(0),
        lost_bytes: Some(0),
    };
    let unsure = lossy(Tally::exact(10, 1_000), lost);
    let changes = compare(&[(Tally::exact(10, 500), unsure), (Tally::exact(10, 300), unsure)]);
    let told: Vec<(i64, Option<i64>, bool)> =
        changes.changes.iter().map(|change| (change.bytes.value, change.bytes.low, change.is_real)).collect();
    assert_eq!(told, [(700, Some(100), true), (500, Some(-100), false)]);
    let unknown = lossy(Tally::exact(10, 1_000), LossBound { lost_bytes: None, ..lost });
    assert_eq!(compare(&[(unknown, Tally::exact(10, 1_000))]).hidden(), None);
}
