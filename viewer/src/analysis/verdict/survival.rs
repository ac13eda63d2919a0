//! How long blocks live: a survival curve in which blocks that still live count as "longer than this", and the evidence that
//! old blocks do not die any more.

use crate::replay::BINS;

use super::series::Series;

/// What blocks of a healthy site do at the latest: of those old enough, so many die in the length of the capture, were they
/// replaced. With 3 a site that is born steadily has reached 95 % of its level by the end.
const HEALTHY_DEATHS: f64 = 3.0;
/// A block is no independent witness: blocks that were born together may die together. No more than this many of them are
/// counted in a whole capture.
const MAX_WITNESSES: f64 = 128.0;
/// Ages in bins from which on blocks count as old.
pub(super) const OLD_AGES: [usize; 9] = [1, 2, 4, 8, 12, 16, 24, 32, 40];
/// How many times rarer than in a healthy site old blocks of a leak may die.
const RARER: [f64; 2] = [0.02, 0.2];

/// Old blocks: how long they were seen, and how many died meanwhile.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Exposure {
    /// Blocks that reached the age.
    pub blocks: f64,
    /// Witnesses among them.
    pub witnesses: f64,
    /// Time these were seen at that age or above, in lengths of the capture, added up.
    pub captures: f64,
    /// Deaths of witnesses in that time.
    pub deaths: f64,
}

impl Exposure {
    /// Of blocks born in the bins `from..to`, at ages of `age` bins and above.
    pub fn of(series: &Series, from: usize, to: usize, age: usize) -> Exposure {
        let cap = MAX_WITNESSES / to.saturating_sub(from).max(1) as f64;
        let mut sum = Exposure::default();
        for born in from..to.min(BINS.saturating_sub(age)) {
            let mut alive = series.alive(born, born + age);
            if alive <= 0.0 {
                continue;
            }
            sum.blocks += alive;
            let scale = alive.min(cap) / alive;
            sum.witnesses += alive * scale;
            for at in born + age..BINS {
                let died = series.deaths.get(born).and_then(|row| row.get(at)).copied().unwrap_or(0.0);
                // Those that die in a bin do so half-way.
                sum.captures += scale * (alive - died / 2.0) / BINS as f64;
                sum.deaths += scale * died;
                alive -= died;
            }
        }
        sum
    }

    /// Deaths a witness would have in the length of the capture; infinite when nothing was seen.
    pub fn hazard(&self) -> f64 {
        if self.captures > 0.0 { self.deaths / self.captures } else { f64::INFINITY }
    }
}

/// Logarithm of the evidence against "old blocks die as those of a healthy site do", of blocks born in `from..BINS`.
///
/// For one age and one rarity it is the likelihood ratio of two Poisson processes of deaths, exp((1 − r) h E) r^D with
/// exposure E and deaths D: under the hypothesis it is a supermartingale, so that by Ville's inequality it exceeds 1/α at
/// any time with probability α at most. An average of such is one too.
pub(super) fn log_evidence(series: &Series, from: usize) -> f64 {
    let mut parts = Vec::new();
    for age in OLD_AGES {
        let seen = Exposure::of(series, from, BINS, age);
        for rarer in RARER {
            parts.push((1.0 - rarer) * HEALTHY_DEATHS * seen.captures + seen.deaths * f64::ln(rarer));
        }
    }
    let largest = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = parts.iter().map(|part| (part - largest).exp()).sum();
    largest + (sum / parts.len() as f64).ln()
}

/// A point of a survival curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SurvivalPoint {
    /// Age in seconds.
    pub age_seconds: f64,
    /// Share of blocks that live longer (Kaplan and Meier 1958).
    pub share: f64,
    /// Blocks that were seen at this age.
    pub at_risk: f64,
}

/// The survival curve at ages of 1, 2, 4, … bins, as far as any block was seen.
pub fn survival(series: &Series) -> Vec<SurvivalPoint> {
    let (mut share, mut points) = (1.0, Vec::new());
    for age in 0..BINS {
        let (mut at_risk, mut died) = (0.0, 0.0);
        for born in 0..BINS - age {
            if age == 0 {
                at_risk += series.births[born];
                died += series.brief[born];
            } else {
                at_risk += series.alive(born, born + age);
                died += series.deaths.get(born).and_then(|row| row.get(born + age)).copied().unwrap_or(0.0);
            }
        }
        if at_risk <= 0.0 {
            break;
        }
        share *= (1.0 - died / at_risk).max(0.0);
        if (age + 1).is_power_of_two() {
            points.push(SurvivalPoint { age_seconds: (age + 1) as f64 * series.bin_seconds, share, at_risk });
        }
    }
    points
}
