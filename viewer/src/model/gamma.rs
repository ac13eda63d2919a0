//! The interval of a weighted sum of rare events: the gamma interval of Fay and Feuer (1997) in its mid-P form (Fay
//! and Kim 2017), whose coverage is near the nominal one instead of above it.

use statrs::function::gamma::gamma_lr;

/// Chance that the truth lies outside, on each side: a 95 % interval.
const TAIL: f64 = 0.025;

/// The 95 % interval of a quantity estimated as `mean` with `variance`, where one event more would add
/// `next` = (mean, variance).
///
/// The lower limit comes from the gamma distribution with that mean and variance, the upper limit from the one with
/// `next` added. Mid-P takes the even mixture of the two for both limits, but not where nothing was seen: half of the
/// chance on nothing being there would hold a truth of three events 91.7 % of the time.
pub(super) fn mid_p_interval(mean: f64, variance: f64, next: (f64, f64)) -> (f64, f64) {
    let seen = Gamma::new(mean, variance);
    let more = Gamma::new(mean.max(0.0) + next.0, variance.max(0.0) + next.1);
    let chance_below = |value: f64| (seen.chance_below(value) + more.chance_below(value)) / 2.0;
    let chance_above = |value: f64| if mean > 0.0 { chance_below(value) } else { more.chance_below(value) };
    // Far enough out for either tail: the gamma's own spread, and its exponential tail when the shape is small.
    let reach = more.mean + 50.0 * more.deviation;
    (quantile(chance_below, TAIL, reach), quantile(chance_above, 1.0 - TAIL, reach))
}

/// A gamma distribution by its moments; a point where it has no spread.
struct Gamma {
    mean: f64,
    deviation: f64,
    shape: f64,
}

impl Gamma {
    fn new(mean: f64, variance: f64) -> Gamma {
        let (mean, variance) = (mean.max(0.0), variance.max(0.0));
        let shape = if variance > 0.0 { mean * mean / variance } else { f64::INFINITY };
        Gamma { mean, deviation: variance.sqrt(), shape }
    }

    fn chance_below(&self, value: f64) -> f64 {
        if !self.shape.is_finite() || self.shape <= 0.0 {
            return if value >= self.mean { 1.0 } else { 0.0 };
        }
        let scaled = value * self.shape / self.mean;
        // The special function refuses zero; far out it is 1 and would only cost time.
        match scaled {
            _ if value <= 0.0 || !scaled.is_finite() || scaled <= 0.0 => 0.0,
            _ if value > self.mean + 60.0 * self.deviation => 1.0,
            _ => gamma_lr(self.shape, scaled),
        }
    }
}

/// The smallest value below which at least `chance` lies, by halving `0..=reach`.
fn quantile(chance_below: impl Fn(f64) -> f64, chance: f64, reach: f64) -> f64 {
    if chance_below(0.0) >= chance {
        return 0.0;
    }
    let (mut low, mut high) = (0.0, reach);
    // 50 halvings leave less than one part in 10^15.
    for _ in 0..50 {
        let middle = low + (high - low) / 2.0;
        if chance_below(middle) >= chance { high = middle } else { low = middle }
    }
    high
}
