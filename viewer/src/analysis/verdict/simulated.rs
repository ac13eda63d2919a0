//! Programs for tests: blocks with their times, as a replay would count them.

use crate::replay::BINS;

use super::judge::Context;
use super::series::Series;

/// A pseudo-random sequence (splitmix64): the same in every run.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Between 0 and 1, neither included.
    pub(super) fn unit(&mut self) -> f64 {
        ((self.next() >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }

    /// Exponential with this mean.
    pub(super) fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }
}

/// A block: when it came, when it goes, its size.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    pub(super) born: f64,
    pub(super) dies: f64,
    pub(super) bytes: f64,
}

/// A block that is never freed.
pub(super) fn kept(born: f64, bytes: f64) -> Life {
    Life { born, dies: f64::INFINITY, bytes }
}

/// Arrivals at random times, `rate` a second, between two moments.
pub(super) fn arrivals(chance: &mut Chance, rate: f64, from: f64, to: f64) -> Vec<f64> {
    let mut times = Vec::new();
    let mut at = from + chance.exponential(1.0 / rate);
    while at < to {
        times.push(at);
        at += chance.exponential(1.0 / rate);
    }
    times
}

/// The evidence of a sampled capture: some of the blocks, each standing for more.
pub(super) fn sampled(lives: &[Life], seconds: f64, interval: f64, chance: &mut Chance) -> Series {
    let mut kept = Vec::new();
    for life in lives {
        let likely = 1.0 - (-life.bytes / interval).exp();
        if chance.unit() < likely {
            kept.push((Life { bytes: life.bytes / likely, ..*life }, 1.0 / likely));
        }
    }
    gathered(&kept, seconds)
}

/// The evidence of a capture of `seconds`.
pub(super) fn series(lives: &[Life], seconds: f64) -> Series {
    gathered(&lives.iter().map(|life| (*life, 1.0)).collect::<Vec<_>>(), seconds)
}

/// Of blocks that stand for so many each.
fn gathered(lives: &[(Life, f64)], seconds: f64) -> Series {
    let mut series = Series::empty(seconds / BINS as f64);
    let bin = |at: f64| ((at / seconds * BINS as f64) as usize).min(BINS - 1);
    let mut changes = Vec::new();
    for (life, stands_for) in lives.iter().filter(|(life, _)| life.born < seconds) {
        let born = bin(life.born);
        series.births[born] += 1.0;
        series.allocations[born] += stands_for;
        changes.push((life.born, life.bytes));
        if life.dies >= seconds {
            series.survivors[born] += 1.0;
            series.survivor_bytes[born] += life.bytes;
            continue;
        }
        changes.push((life.dies, -life.bytes));
        match bin(life.dies) {
            died if died == born => series.brief[born] += 1.0,
            died => series.deaths[born][died] += 1.0,
        }
    }
    changes.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut changes, mut live) = (changes.into_iter().peekable(), 0.0f64);
    for at in 0..BINS {
        let mut low = live;
        while let Some((_, change)) = changes.next_if(|(time, _)| bin(*time) == at) {
            live = (live + change).max(0.0);
            low = low.min(live);
        }
        (series.live[at], series.low[at]) = (live, low);
    }
    series
}

/// The context of a capture with so many sites; with an interval of 1 exact.
pub(super) fn context(tests: usize, interval: f64) -> Context {
    Context { exact: interval <= 1.0, interval_bytes: interval, tests }
}
