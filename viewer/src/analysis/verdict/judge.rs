//! From evidence to a verdict.

use crate::model::Profile;
use crate::replay::{BINS, Heap};

use super::growth::{Growth, Rate, around_line};
use super::series::{Series, mean};
use super::survival::{Exposure, log_evidence};
use super::{Class, Verdict};

/// The chance that a healthy program has any site accused, however often it is looked at.
const FALSE_ACCUSATIONS: f64 = 0.01;
/// Sites with fewer births cannot be accused, whatever they do, and so are no tests (Tarone 1990).
const MIN_BIRTHS: f64 = 12.0;
/// Windows that growth is looked for in begin here; all end with the capture.
const WINDOWS: [usize; 4] = [BINS / 8, BINS / 4, BINS / 2, BINS * 3 / 4];
/// Growth has to be so many standard deviations of the site's own noise.
const MIN_DEVIATIONS: f64 = 2.5;
/// Blocks of a few, that stay without a trend.
const FEW: f64 = 8.0;
/// Growth of the second half below this share of the level is none.
const FLAT: f64 = 0.1;

/// What a verdict needs to know beside the site itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Context {
    /// Every block was recorded.
    pub exact: bool,
    /// Mean bytes between samples; 1 in exact captures.
    pub interval_bytes: f64,
    /// Groups that are tested in the same capture.
    pub tests: usize,
}

/// Numbers behind a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// The window that growth was found in, or the longest one.
    pub growth: Option<Growth>,
    /// Natural logarithm of the evidence that old blocks stay.
    pub log_evidence: f64,
    /// What it has to reach.
    pub log_threshold: f64,
    /// Most bytes a leak could have hidden in the second half.
    pub hidden_bytes: f64,
}

impl Context {
    /// Of a capture with these groups of sites.
    pub fn of<'a>(profile: &Profile, heap: &Heap, groups: impl Iterator<Item = &'a [usize]>) -> Context {
        let births = |site: &usize| heap.evidence.get(*site).map_or(0, |site| site.births());
        let tests = groups.filter(|sites| sites.iter().map(births).sum::<u64>() as f64 >= MIN_BIRTHS).count();
        Context { exact: profile.is_exact(), interval_bytes: profile.interval_bytes() as f64, tests }
    }

    /// What the logarithm of the evidence has to reach: Bonferroni over sites and over the lengths that a capture had when
    /// it was looked at. Lengths are counted in half powers of two of seconds; the i-th gets 1 / (i (i + 1)) of the error.
    fn log_threshold(&self, seconds: f64) -> f64 {
        let length = (2.0 * seconds.max(1.0).log2()).floor();
        (self.tests.max(1) as f64 / FALSE_ACCUSATIONS).ln() + ((length + 1.0) * (length + 2.0)).ln()
    }
}

/// The verdict on one site.
pub fn judge(series: &Series, context: &Context) -> Verdict {
    let mut facts = Facts { log_threshold: context.log_threshold(series.seconds()), ..Facts::default() };
    let mut obstacle = None;
    for from in WINDOWS {
        let Some(growth) = Growth::of(series, from) else { continue };
        let evidence = log_evidence(series, from) - (WINDOWS.len() as f64).ln();
        if facts.growth.is_none() {
            (facts.growth, facts.log_evidence) = (Some(growth), evidence);
        }
        match against(series, &growth, evidence, &facts) {
            None => {
                (facts.growth, facts.log_evidence) = (Some(growth), evidence);
                return leak(growth, facts);
            }
            Some(why) => obstacle = obstacle.or(Some(why)),
        }
    }
    facts.hidden_bytes = hidden(series, context);
    quiet(series, context, facts).unwrap_or_else(|| too_little(series, facts, obstacle))
}

/// Why a window's growth is no proof of a leak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Obstacle {
    /// Too few blocks to be sure.
    Few,
    /// It is within the site's own noise.
    Noise,
    /// What came went elsewhere: the site does not hold more.
    NoGain,
    /// It slows down.
    Slows,
    /// Older blocks went all together; these may yet.
    Wave,
}

fn against(series: &Series, growth: &Growth, evidence: f64, facts: &Facts) -> Option<Obstacle> {
    if growth.net < growth.bytes / 2.0 {
        return Some(Obstacle::NoGain);
    }
    if growth.net < MIN_DEVIATIONS * growth.noise {
        return Some(Obstacle::Noise);
    }
    if growth.decelerates() {
        return Some(Obstacle::Slows);
    }
    if is_wave(series, growth) {
        return Some(Obstacle::Wave);
    }
    (evidence < facts.log_threshold).then_some(Obstacle::Few)
}

/// Whether most old blocks from before the window died, at ages that the window has not left far behind.
fn is_wave(series: &Series, growth: &Growth) -> bool {
    let before = Exposure::of(series, 0, growth.from, growth.age);
    let mut oldest = 0;
    let (mut at_risk, mut died) = (0.0, 0.0);
    for born in 0..growth.from {
        at_risk += series.alive(born, born + growth.age);
        for at in born + growth.age..BINS {
            let deaths = series.deaths.get(born).and_then(|row| row.get(at)).copied().unwrap_or(0.0);
            died += deaths;
            if deaths > 0.0 {
                oldest = oldest.max(at - born);
            }
        }
    }
    before.blocks >= 2.0 && died > at_risk / 2.0 && BINS - growth.from < 4 * oldest
}

fn leak(growth: Growth, facts: Facts) -> Verdict {
    Verdict {
        class: Class::Leak,
        rate: Some(growth.rate),
        hidden_rate: None,
        record_for_seconds: None,
        reason: "blocks keep coming, and old ones do not go",
        facts,
    }
}

/// Most bytes that a steady leak could have added in the second half without showing.
fn hidden(series: &Series, context: &Context) -> f64 {
    let half = BINS / 2;
    let late = series.low.get(half..).unwrap_or(&[]);
    let ends = late.len() / 4;
    let rise = mean(late.get(late.len() - ends..).unwrap_or(&[])) - mean(late.get(..ends).unwrap_or(&[]));
    // The two ends lie three quarters of the half apart.
    let (rise, noise) = (rise / 0.75, around_line(late));
    let unit = if context.exact { 0.0 } else { block_bytes(series).max(context.interval_bytes) };
    let error = (noise * noise + unit * unit * 3.0).sqrt();
    (rise.max(0.0) + 2.0 * error).min(rise.max(0.0) + (4.0 * noise).max(3.0 * unit))
}

/// Bytes that a live block stands for.
fn block_bytes(series: &Series) -> f64 {
    let blocks = series.total_survivors();
    if blocks > 0.0 { series.survivor_bytes.iter().sum::<f64>() / blocks } else { 0.0 }
}

/// The class of a site that is clearly none that grows.
fn quiet(series: &Series, context: &Context, facts: Facts) -> Option<Verdict> {
    let births = series.total_births();
    let survivors = series.total_survivors();
    let verdict =
        |class, reason| Some(Verdict { class, rate: None, hidden_rate: None, record_for_seconds: None, reason, facts });
    let last = series.births.iter().rposition(|births| *births > 0.0).unwrap_or(0);
    let first = series.births.iter().position(|births| *births > 0.0).unwrap_or(0);
    let certain = context.exact || block_bytes(series) >= 3.0 * context.interval_bytes;
    let together = last - first <= BINS / 16 && last < BINS - BINS / 8;
    if births <= FEW && survivors >= births / 2.0 && together && (certain || births >= 3.0) {
        return verdict(Class::OneShot, "a few blocks that came together and stayed; none came since");
    }
    let level = mean(&series.live[BINS * 3 / 4..]);
    let stays = survivors >= births * 0.9;
    if survivors > 0.0 && level > 0.0 && facts.hidden_bytes > FLAT * level && !is_steady(series, context, level, &facts)
    {
        return None;
    }
    let full = series.live.iter().position(|live| *live >= 0.8 * level).unwrap_or(0);
    if stays && full <= BINS / 4 {
        return verdict(Class::WarmUp, "its blocks came early and stayed; it has not grown since");
    }
    if stays {
        return verdict(Class::Bounded, "it grew, and then stopped growing");
    }
    let old = Exposure::of(series, 0, BINS, BINS / 8);
    if full > BINS / 16 && old.blocks > births / 2.0 {
        return verdict(Class::Bounded, "it grew to a level; since then as many blocks go as come");
    }
    verdict(Class::Churn, "its blocks come and go; what is live does not grow")
}

/// Whether the second half, though noisy, is at no higher level than the site had before.
fn is_steady(series: &Series, context: &Context, level: f64, facts: &Facts) -> bool {
    let half = BINS / 2;
    let enough = context.exact || series.total_births() >= MIN_BIRTHS;
    let before = series.live[BINS / 8..half].iter().copied().fold(0.0, f64::max);
    let after = series.live[half..].iter().copied().fold(0.0, f64::max);
    let churns = series.total_survivors() < series.total_births() / 2.0;
    enough && churns && after <= 1.25 * before && facts.hidden_bytes <= 2.0 * level
}

fn too_little(series: &Series, facts: Facts, obstacle: Option<Obstacle>) -> Verdict {
    let length = series.seconds();
    let births = series.total_births().max(1.0);
    let (reason, record_for) = match obstacle {
        Some(Obstacle::Slows) => ("it still grows, and ever more slowly: it may be filling up", length),
        Some(Obstacle::Wave) => {
            ("it grows, but older blocks went all together after a while: these may too", 2.0 * length)
        }
        Some(Obstacle::Noise) => ("what growth there is lies within the site's own ups and downs", length),
        Some(Obstacle::Few) => ("it grows, by too few blocks to be sure", length * (24.0 / births - 1.0).max(0.5)),
        Some(Obstacle::NoGain) | None if births < MIN_BIRTHS => {
            ("too few blocks were seen to tell a trend", length * (24.0 / births - 1.0).max(1.0))
        }
        Some(Obstacle::NoGain) | None => ("its blocks live too long to see whether they go", length),
    };
    let grown = facts.growth.map_or(0.0, |growth| growth.rate.high);
    let hidden = (facts.hidden_bytes / (length / 2.0).max(f64::MIN_POSITIVE)).max(grown);
    Verdict {
        class: Class::TooLittleEvidence,
        rate: None,
        hidden_rate: Some(hidden),
        record_for_seconds: Some(record_for),
        reason,
        facts,
    }
}

impl Rate {
    /// Multiplied by a positive number.
    pub fn times(self, factor: f64) -> Rate {
        Rate { value: self.value * factor, low: self.low * factor, high: self.high * factor }
    }
}
