//! From evidence to a verdict.

use crate::model::Profile;
use crate::replay::{BINS, Heap};

use super::growth::{Growth, MIN_DEVIATIONS, Rate, around_line};
use super::line::Line;
use super::series::{Series, mean};
use super::survival::{Exposure, log_evidence};
use super::{Class, Verdict};

/// The chance that a healthy program has any site accused, however often it is looked at.
const FALSE_ACCUSATIONS: f64 = 0.01;
/// Sites with fewer births cannot be accused, whatever they do, and so are no tests (Tarone 1990); nor do fewer that stay
/// make a leak.
const MIN_BIRTHS: f64 = 12.0;
/// Windows that growth is looked for in begin here; all end with the capture.
const WINDOWS: [usize; 7] = [0, BINS / 8, BINS / 4, BINS * 3 / 8, BINS / 2, BINS * 5 / 8, BINS * 3 / 4];
/// Age in bins from which on a block is no churn, when that is asked of all sites alike.
const OLD: usize = BINS / 4;
/// Windows that a line is looked for in begin here.
const LINES: [usize; 3] = [0, BINS / 8, BINS / 4];
/// Blocks of a few, that stay without a trend.
const FEW: f64 = 8.0;
/// Growth of the second half below this share of the level is none.
const FLAT: f64 = 0.25;

/// Why a site without old blocks is churn.
const NONE_STAYS: &str = "its blocks come and go; none stays";

/// What a verdict needs to know beside the site itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Context {
    /// Every block was recorded.
    pub exact: bool,
    /// Mean bytes between samples, at the widest; 1 in exact captures.
    pub interval_bytes: f64,
    /// Groups that are tested in the same capture.
    pub tests: usize,
}

/// Numbers behind a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Facts {
    /// The window that growth was found in, or the longest one.
    pub growth: Option<Growth>,
    /// The level's line, where it was looked at.
    pub line: Option<Line>,
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
        Context { exact: profile.is_exact(), interval_bytes: profile.widest_interval_bytes() as f64, tests }
    }

    /// What the logarithm of the evidence has to reach: Bonferroni over sites and over the lengths that a capture had when
    /// it was looked at. Lengths are counted in powers of two of seconds; the i-th gets 1 / (i (i + 1)) of the error.
    fn log_threshold(&self, seconds: f64) -> f64 {
        let length = seconds.max(1.0).log2().floor();
        (self.tests.max(1) as f64 / FALSE_ACCUSATIONS).ln() + ((length + 1.0) * (length + 2.0)).ln()
    }
}

/// A window's share of the error: half for the whole capture, where most leaks show, and the rest for the others.
fn share_of(window: usize) -> f64 {
    if window == 0 { 0.5 } else { 0.5 / (WINDOWS.len() - 1) as f64 }
}

/// The verdict on one site.
pub fn judge(series: &Series, context: &Context) -> Verdict {
    let mut facts = Facts { log_threshold: context.log_threshold(series.seconds()), ..Facts::default() };
    let (mut obstacle, mut slows, mut began_fast) = (None, false, false);
    for from in WINDOWS {
        let Some(growth) = Growth::of(series, from) else { continue };
        let evidence = log_evidence(series, from) + share_of(from).ln();
        if facts.growth.is_none() {
            (facts.growth, facts.log_evidence) = (Some(growth), evidence);
        }
        // The first eighth may be the program's start: a fast one makes it a little suspicious when the rest slows too.
        began_fast |= from == 0 && growth.decelerates();
        let tired = began_fast && growth.slowing.ratio < 0.8 && growth.slowing.deviations > 2.0;
        slows |= from > 0 && (growth.decelerates() || tired);
        match against(series, &growth, evidence, &facts).or((slows && !resumes(&growth)).then_some(Obstacle::Slows)) {
            None => {
                (facts.growth, facts.log_evidence) = (Some(growth), evidence);
                return leak(growth, facts);
            }
            Some(why) => obstacle = obstacle.or(Some(why)),
        }
    }
    // Where blocks stay, and ever fewer come to stay, brief ones beside them make no line.
    for from in LINES.into_iter().filter(|_| !slows && !began_fast) {
        let Some(line) = Line::of(series, from) else { continue };
        if series.unsure * block_bytes(series) >= line.rise / 2.0 {
            obstacle = obstacle.or(Some(Obstacle::Lost));
            continue;
        }
        let rises = line.log_chance + (LINES.len() as f64).ln() <= -facts.log_threshold;
        if line.straight && rises && line.rate.low > 0.0 {
            facts.line = Some(line);
            return Verdict {
                class: Class::Leak,
                rate: Some(line.rate),
                hidden_rate: None,
                record_for_seconds: None,
                reason: "what it holds rises in a straight line, though its blocks come and go",
                facts,
            };
        }
        let far = line.rise > FLAT * mean(&series.live[BINS * 3 / 4..]);
        if line.clear || rises && far && line.rising {
            obstacle = Some(Obstacle::Crooked);
        }
        facts.line = facts.line.or(Some(line));
    }
    facts.hidden_bytes = hidden(series, context);
    quiet(series, context, facts, obstacle).unwrap_or_else(|| too_little(series, facts, obstacle))
}

/// The verdict on a site that holds nothing at the end.
pub(super) fn nothing_stays() -> Verdict {
    healthy(Class::Churn, NONE_STAYS, Facts::default())
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
    /// What it holds rises, in a line too crooked to go on for certain.
    Crooked,
    /// Frees were lost: so many blocks may be gone.
    Lost,
}

fn against(series: &Series, growth: &Growth, evidence: f64, facts: &Facts) -> Option<Obstacle> {
    if series.unsure >= growth.blocks / 2.0 {
        return Some(Obstacle::Lost);
    }
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
    let few = growth.blocks < MIN_BIRTHS || growth.rate.low <= 0.0;
    (few || evidence < facts.log_threshold).then_some(Obstacle::Few)
}

/// Whether growth that slowed down in a longer window is straight in this one, which is a good part of the capture.
fn resumes(growth: &Growth) -> bool {
    growth.from <= BINS / 2 && growth.is_straight()
}

/// Whether most of the oldest blocks died, at ages that the window has not left far behind: those from before it and from
/// the first quarter of the capture.
fn is_wave(series: &Series, growth: &Growth) -> bool {
    let (mut at_risk, mut died, mut oldest) = (0.0, 0.0, 0);
    for born in 0..growth.from.max(BINS / 4) {
        at_risk += series.alive(born, born + growth.age);
        for at in born + growth.age..BINS {
            let deaths = series.deaths.get(born).and_then(|row| row.get(at)).copied().unwrap_or(0.0);
            died += deaths;
            if deaths > 0.0 {
                oldest = oldest.max(at - born);
            }
        }
        if died >= 4.0 && died > at_risk / 2.0 && BINS - growth.from < 4 * oldest {
            return true;
        }
    }
    false
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

/// Most bytes that a steady leak could have added in the second half without showing: by the level, and by the number of
/// old blocks; what is less holds.
fn hidden(series: &Series, context: &Context) -> f64 {
    let late = &series.low[BINS / 2..];
    let ends = late.len() / 4;
    let rise = mean(&late[late.len() - ends..]) - mean(&late[..ends]);
    // The two ends lie three quarters of the half apart.
    let (rise, noise) = (rise / 0.75, around_line(late));
    let unit = if context.exact { block_bytes(series) } else { block_bytes(series).max(context.interval_bytes) };
    let by_level = rise.max(0.0) + 2.0 * (noise * noise + 3.0 * unit * unit).sqrt();
    let (from, to) = (BINS / 8, BINS - OLD);
    let old: f64 = series.survivors[from..to].iter().sum();
    // The upper limit of a Poisson count, near enough.
    let old_bytes: f64 = series.survivor_bytes[from..to].iter().sum();
    let by_age = (old_bytes + unit * (2.0 * old.sqrt() + 3.0)) * (BINS / 2) as f64 / (to - from) as f64;
    by_level.min(by_age)
}

/// Bytes that a live block stands for.
fn block_bytes(series: &Series) -> f64 {
    let blocks = series.total_survivors();
    if blocks > 0.0 { series.survivor_bytes.iter().sum::<f64>() / blocks } else { 0.0 }
}

/// A verdict that accuses nobody and doubts nothing.
fn healthy(class: Class, reason: &'static str, facts: Facts) -> Verdict {
    Verdict { class, rate: None, hidden_rate: None, record_for_seconds: None, reason, facts }
}

/// The class of a site that is clearly none that grows.
fn quiet(series: &Series, context: &Context, facts: Facts, obstacle: Option<Obstacle>) -> Option<Verdict> {
    let births = series.total_births();
    let survivors = series.total_survivors();
    let verdict = |class, reason| Some(healthy(class, reason, facts));
    let last = series.births.iter().rposition(|births| *births > 0.0).unwrap_or(0);
    let first = series.births.iter().position(|births| *births > 0.0).unwrap_or(0);
    let certain = context.exact || block_bytes(series) >= 3.0 * context.interval_bytes;
    let together = last - first <= BINS / 16 && last < BINS - BINS / 8;
    let together =
        if certain || births >= 3.0 { together || last < BINS / 2 && (certain || births >= 5.0) } else { false };
    if births <= FEW && survivors >= births / 2.0 && together {
        return verdict(Class::OneShot, "a few blocks that came together and stayed; none came since");
    }
    if obstacle == Some(Obstacle::Crooked) {
        return None;
    }
    let level = mean(&series.live[BINS * 3 / 4..]);
    let old: f64 = series.survivors[BINS / 8..BINS - OLD].iter().sum();
    let hazard = Exposure::of(series, 0, BINS, 1).hazard();
    let comes_and_goes = old <= 0.0 && births >= MIN_BIRTHS && survivors < births * 0.9 && hazard > 4.0;
    if survivors <= 0.0 || (comes_and_goes && !rises(series, level) && !stays_lately(series)) {
        return verdict(Class::Churn, NONE_STAYS);
    }
    let still = series.births[BINS / 2..].iter().all(|births| *births <= 0.0) && (certain || births >= 6.0);
    let goes_on = !still && facts.growth.is_some_and(|growth| growth.stopping[0].ratio > 0.2);
    // A block or two that stay are no growth of a site that holds far more, as long as more of them could hide no leak.
    let most = facts.growth.map_or(0.0, |growth| growth.rate.high * series.seconds());
    let few = obstacle == Some(Obstacle::Few) && most > FLAT * level;
    // Nor is what came in the last quarter, where at that pace half of the capture adds little.
    let slows = obstacle == Some(Obstacle::Slows);
    let slows = slows && 2.0 * series.survivor_bytes[BINS * 3 / 4..].iter().sum::<f64>() > FLAT * level;
    if goes_on && (few || slows || matches!(obstacle, Some(Obstacle::Wave | Obstacle::Lost))) {
        return None;
    }
    let dies = Exposure::of(series, 0, BINS, BINS / 8).hazard() >= 2.0;
    if !still && facts.hidden_bytes > level * if dies { 2.0 * FLAT } else { FLAT } {
        return None;
    }
    let full = series.live.iter().position(|live| *live >= 0.8 * level).unwrap_or(0);
    let recent: f64 = series.births[BINS / 2..].iter().sum();
    if survivors >= births * 0.9 || recent <= 0.0 {
        return match full <= BINS / 4 {
            true => verdict(Class::WarmUp, "its blocks came early and stayed; it has not grown since"),
            false => verdict(Class::Bounded, "it grew, and then stopped growing"),
        };
    }
    let old = Exposure::of(series, 0, BINS, BINS / 8);
    if full > BINS / 16 && old.blocks > births / 2.0 {
        return verdict(Class::Bounded, "it grew to a level; since then as many blocks go as come");
    }
    verdict(Class::Churn, "its blocks come and go; what is live does not grow")
}

/// Whether the level of the last quarter is above what the site had before, and not by its usual ups and downs.
fn rises(series: &Series, level: f64) -> bool {
    let before = &series.live[BINS / 8..BINS * 3 / 4];
    level > 1.5 * mean(before) + 3.0 * around_line(before)
}

/// Whether blocks of the last quarter that are no longer young stay.
fn stays_lately(series: &Series) -> bool {
    let seen = Exposure::of(series, BINS * 3 / 4, BINS, 4);
    seen.blocks >= 2.0 && seen.hazard() < 2.0
}

fn too_little(series: &Series, facts: Facts, obstacle: Option<Obstacle>) -> Verdict {
    let length = series.seconds();
    let births = series.total_births().max(1.0);
    let (reason, record_for) = match obstacle {
        Some(Obstacle::Slows) => ("it still grows, and ever more slowly: it may be filling up", length),
        Some(Obstacle::Wave) => {
            ("it grows, but older blocks went all together after a while: these may too", 2.0 * length)
        }
        Some(Obstacle::Crooked) => ("what it holds rises to the end, though its blocks come and go", length),
        Some(Obstacle::Lost) => ("it seems to grow, but frees were lost: its blocks may be gone", length),
        Some(Obstacle::Noise) => ("what growth there is lies within the site's own ups and downs", length),
        Some(Obstacle::Few) => ("it grows, by too few blocks to be sure", length * (24.0 / births - 1.0).max(0.5)),
        Some(Obstacle::NoGain) | None if births < MIN_BIRTHS => {
            ("too few blocks were seen to tell a trend", length * (24.0 / births - 1.0).max(1.0))
        }
        Some(Obstacle::NoGain) | None => ("its blocks live too long to see whether they go", length),
    };
    let grown = facts.growth.map_or(0.0, |growth| growth.rate.high);
    let risen = facts.line.filter(|line| line.clear).map_or(0.0, |line| line.rate.high);
    let hidden = (facts.hidden_bytes / (length / 2.0).max(f64::MIN_POSITIVE)).max(grown).max(risen);
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
