//! Does a capture stay within limits? Every figure is an interval, and a gate says *passed* or *failed* only where all of
//! the interval agrees: what cannot be known is *unknown*. `docs/check.md` has the rules.

use plimsoll_format::LossCause;

use super::summary::Summary;
use super::verdict::{Class, Verdict};
use crate::model::{EndKind, Measure, Profile};

/// A last reading of the counters this long before the end is taken for the final one.
const FINAL_NS: u64 = 50_000_000;
/// A share of a product that is taken for rounding: 7 % of 100 must not be more than 7.
const ROUNDING: f64 = 1e-12;

/// What must hold. `None` is not asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Limits {
    /// Most bytes live at once.
    pub peak: Option<u64>,
    /// Most bytes live at the end.
    pub live_at_end: Option<u64>,
    /// Most allocations.
    pub allocations: Option<u64>,
    /// Most bytes allocated.
    pub bytes: Option<u64>,
    /// Most bytes a second that all leaks together may grow by.
    pub growth_rate: Option<f64>,
    /// No site may leak.
    pub no_leak: bool,
    /// Sites with too little evidence for a verdict leave that one unknown.
    pub strict: bool,
    /// Most per cent that a figure may be above the baseline's.
    pub regression_percent: Option<f64>,
}

/// A figure of the whole process that can be compared with a limit, or with that of another capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Figure {
    /// Most bytes live at once.
    Peak,
    /// Bytes live at the end.
    LiveAtEnd,
    /// Allocations.
    Allocations,
    /// Bytes allocated.
    Bytes,
}

impl Figure {
    /// All of them, in the order they are checked.
    pub const ALL: [Figure; 4] = [Figure::Peak, Figure::LiveAtEnd, Figure::Allocations, Figure::Bytes];
}

/// What a check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gate {
    /// A figure against a limit.
    Most(Figure),
    /// What all leaks grow by, bytes a second.
    GrowthRate,
    /// The number of sites that leak.
    NoLeak,
    /// A figure against that of the baseline, per cent above it.
    Regression(Figure),
}

/// What came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// The limit holds, for certain or with the stated confidence.
    Passed,
    /// It does not.
    Failed,
    /// It cannot be told.
    Unknown,
}

impl Status {
    /// The name in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Status::Passed => "passed",
            Status::Failed => "failed",
            Status::Unknown => "unknown",
        }
    }
}

/// A number with its interval, in the gate's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Best value; infinite per cent of a baseline of 0.
    pub value: f64,
    /// At least this.
    pub low: f64,
    /// At most this; `None` when nothing bounds it.
    pub high: Option<f64>,
}

/// What keeps a figure from being known.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Doubt {
    /// The capture has no orderly end.
    NoEnd(EndKind),
    /// Its last reading of the counters is missing.
    NoCounters,
    /// The baseline has one of these.
    Baseline,
    /// Allocations were not recorded, or could not be read: a leak may be among them.
    Lost,
    /// Sites may still turn out to leak; so many, and how much longer to record, seconds.
    TooLittleEvidence(usize, Option<f64>),
    /// The limit lies within the interval.
    Wide,
}

/// One thing that was checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Check {
    /// What.
    pub gate: Gate,
    /// What came out.
    pub status: Status,
    /// The limit, in the gate's unit.
    pub limit: f64,
    /// What was found.
    pub found: Found,
    /// Of a regression: the baseline's figure and this capture's.
    pub compared: Option<(Measure, Measure)>,
    /// Why it is unknown; of a passed one, what must be said all the same.
    pub doubt: Option<Doubt>,
    /// The found interval is an estimate that holds the truth with 95 % confidence.
    pub is_estimate: bool,
}

/// The figures of a capture as far as they hold for the whole run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Whole {
    /// In the order of [`Figure::ALL`].
    figures: [Measure; 4],
    doubt: Option<Doubt>,
}

impl Whole {
    /// Of a capture. What was cut off may have gone on: its totals and its peak are at least what was seen, and what is
    /// live at its end is anything.
    pub fn of(profile: &Profile, summary: &Summary) -> Whole {
        let doubt = doubt(profile);
        let totals = &summary.totals;
        let (mut peak, mut live, mut allocations, mut bytes) =
            (summary.peak.live_bytes, totals.live_bytes, totals.allocations, totals.bytes);
        if doubt.is_some() {
            [&mut peak, &mut live, &mut allocations, &mut bytes].into_iter().for_each(|figure| figure.high = None);
            live.low = 0;
        }
        let figures = [peak, live, allocations, bytes];
        Whole { figures, doubt }
    }

    /// One figure.
    pub fn figure(&self, figure: Figure) -> Measure {
        let [peak, live_at_end, allocations, bytes] = self.figures;
        match figure {
            Figure::Peak => peak,
            Figure::LiveAtEnd => live_at_end,
            Figure::Allocations => allocations,
            Figure::Bytes => bytes,
        }
    }
}

/// Why the last reading of the counters does not speak for the whole run.
fn doubt(profile: &Profile) -> Option<Doubt> {
    if profile.end.kind != EndKind::Clean {
        return Some(Doubt::NoEnd(profile.end.kind));
    }
    let Some(last) = profile.counters.last() else { return Some(Doubt::NoCounters) };
    let is_final = profile.ns(last.ticks).saturating_add(FINAL_NS) >= profile.ns(profile.end.ticks);
    (is_damaged(profile) && !is_final).then_some(Doubt::NoCounters)
}

/// Whether a part of the file is missing, or cannot be read.
fn is_damaged(profile: &Profile) -> bool {
    let unread = &profile.unread;
    let counts = [unread.records, unread.codec_blocks, unread.damaged_regions, profile.lost_blocks];
    counts.iter().any(|count| *count > 0) || !unread.gaps.is_empty() || !profile.missing.is_empty()
}

/// Whether allocations are in no site, so that a leak could be among them. Lost frees are the verdicts' own business.
fn has_lost(profile: &Profile) -> bool {
    let lost = |loss: &plimsoll_format::Loss| loss.cause != LossCause::StackTableFull && loss.allocations > 0;
    is_damaged(profile) || profile.losses.iter().any(lost) || !profile.phases.is_empty()
}

/// What is checked, beside the limits.
#[derive(Debug, Clone, Copy)]
pub struct Evidence<'a> {
    /// The capture.
    pub profile: &'a Profile,
    /// Its totals.
    pub summary: &'a Summary,
    /// The verdicts on its sites; only looked at for leaks and growth.
    pub verdicts: &'a [&'a Verdict],
    /// The figures of the baseline; without them there is no regression.
    pub baseline: Option<Whole>,
}

/// Checks everything that is asked for.
pub fn check(limits: &Limits, evidence: &Evidence<'_>) -> Vec<Check> {
    let whole = Whole::of(evidence.profile, evidence.summary);
    let mut checks = Vec::new();
    let asked = [limits.peak, limits.live_at_end, limits.allocations, limits.bytes];
    for (figure, limit) in Figure::ALL.into_iter().zip(asked) {
        checks.extend(limit.map(|limit| at_most(&whole, figure, limit)));
    }
    checks.extend(limits.growth_rate.map(|limit| growth(evidence, whole.doubt, limit)));
    if limits.no_leak {
        checks.push(no_leak(evidence, whole.doubt, limits.strict));
    }
    if let (Some(percent), Some(base)) = (limits.regression_percent, &evidence.baseline) {
        checks.extend(Figure::ALL.map(|figure| regression(&whole, base, figure, percent)));
    }
    checks
}

/// Passed when all of the interval is within the limit, failed when none of it is.
fn judge(found: Found, limit: f64) -> Status {
    match found.high {
        _ if found.low > limit => Status::Failed,
        Some(high) if high <= limit => Status::Passed,
        _ => Status::Unknown,
    }
}

fn at_most(whole: &Whole, figure: Figure, limit: u64) -> Check {
    let measure = whole.figure(figure);
    let status = match measure.high {
        _ if measure.low > limit => Status::Failed,
        Some(high) if high <= limit => Status::Passed,
        _ => Status::Unknown,
    };
    let float = |number: u64| number as f64;
    Check {
        gate: Gate::Most(figure),
        status,
        limit: float(limit),
        found: Found { value: float(measure.value), low: float(measure.low), high: measure.high.map(float) },
        compared: None,
        doubt: (status == Status::Unknown).then(|| whole.doubt.unwrap_or(Doubt::Wide)),
        is_estimate: false,
    }
}

/// The rates of all leaks, added up; on top of it comes what may hide at sites with too little evidence and, where
/// blocks are sampled, in what no site holds.
fn growth(evidence: &Evidence<'_>, doubt: Option<Doubt>, limit: f64) -> Check {
    let (mut value, mut low, mut high) = (0.0, 0.0, 0.0);
    for rate in evidence.verdicts.iter().filter_map(|verdict| verdict.rate) {
        (value, low, high) = (value + rate.value, low + rate.low.max(0.0), high + rate.high);
    }
    let hidden: f64 = evidence.verdicts.iter().filter_map(|verdict| verdict.hidden_rate).sum();
    let doubt = doubt.or(has_lost(evidence.profile).then_some(Doubt::Lost));
    let high = (high + hidden + unseen(evidence)).max(low);
    let high = Some(high).filter(|high| doubt.is_none() && high.is_finite());
    let found = Found { value, low, high };
    let status = judge(found, limit);
    let why = || doubt.or_else(|| too_little(evidence.verdicts)).unwrap_or(Doubt::Wide);
    Check {
        gate: Gate::GrowthRate,
        status,
        limit,
        found,
        compared: None,
        doubt: (status == Status::Unknown).then(why),
        is_estimate: true,
    }
}

/// What may have grown at sites that no sample fell on, bytes a second: all that is live beside the sites, since the start.
fn unseen(evidence: &Evidence<'_>) -> f64 {
    if evidence.profile.is_exact() {
        return 0.0;
    }
    let seconds = evidence.profile.duration_ns as f64 / 1e9;
    let before = u64::try_from(evidence.summary.before.live_bytes()).unwrap_or(0);
    match evidence.summary.unattributed.live_bytes.high {
        Some(high) if seconds > 0.0 => high.saturating_sub(before) as f64 / seconds,
        _ => f64::INFINITY,
    }
}

/// How many sites have too little evidence, and the longest time that one of them needs.
fn too_little(verdicts: &[&Verdict]) -> Option<Doubt> {
    let of_class = || verdicts.iter().filter(|verdict| verdict.class == Class::TooLittleEvidence);
    let more = of_class().filter_map(|verdict| verdict.record_for_seconds).reduce(f64::max);
    let sites = of_class().count();
    (sites > 0).then_some(Doubt::TooLittleEvidence(sites, more))
}

fn no_leak(evidence: &Evidence<'_>, doubt: Option<Doubt>, strict: bool) -> Check {
    let leaks = evidence.verdicts.iter().filter(|verdict| verdict.class == Class::Leak).count();
    let unsure = too_little(evidence.verdicts);
    let doubt = doubt.or(has_lost(evidence.profile).then_some(Doubt::Lost));
    let more = match unsure {
        Some(Doubt::TooLittleEvidence(sites, _)) => sites,
        _ => 0,
    };
    let (status, doubt) = match doubt {
        _ if leaks > 0 => (Status::Failed, unsure),
        Some(doubt) => (Status::Unknown, Some(doubt)),
        None if strict && unsure.is_some() => (Status::Unknown, unsure),
        None => (Status::Passed, unsure),
    };
    let is_whole = matches!(doubt, None | Some(Doubt::TooLittleEvidence(..)));
    Check {
        gate: Gate::NoLeak,
        status,
        limit: 0.0,
        found: Found { value: leaks as f64, low: leaks as f64, high: is_whole.then_some((leaks + more) as f64) },
        compared: None,
        doubt,
        is_estimate: true,
    }
}

/// How much a figure is above the baseline's, per cent: the ends of the interval are those of both.
fn regression(whole: &Whole, base: &Whole, figure: Figure, percent: f64) -> Check {
    let (this, from) = (whole.figure(figure), base.figure(figure));
    let above = |this: u64, base: u64| match (this, base) {
        (0, 0) => 0.0,
        (_, 0) => f64::INFINITY,
        (this, base) => (this as f64 - base as f64) / base as f64 * 100.0,
    };
    let found = Found {
        value: above(this.value, from.value),
        low: from.high.map_or(-100.0, |base| above(this.low, base)),
        high: this.high.map(|this| above(this, from.low)).filter(|high| high.is_finite()),
    };
    // Multiplied out, so that a baseline of 0 has a limit too: 0.
    let exceeds = |this: u64, base: u64| this as f64 * 100.0 > base as f64 * (100.0 + percent) * (1.0 + ROUNDING);
    let status = match this.high {
        _ if from.high.is_some_and(|base| exceeds(this.low, base)) => Status::Failed,
        Some(high) if !exceeds(high, from.low) => Status::Passed,
        _ => Status::Unknown,
    };
    let why = || whole.doubt.or(base.doubt.map(|_| Doubt::Baseline)).unwrap_or(Doubt::Wide);
    Check {
        gate: Gate::Regression(figure),
        status,
        limit: percent,
        found,
        compared: Some((from, this)),
        doubt: (status == Status::Unknown).then(why),
        is_estimate: false,
    }
}
