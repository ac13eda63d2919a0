//! What the evidence says of a site: does it leak, is it bounded, or is there too little evidence. `docs/verdicts.md`
//! derives the method.

mod growth;
mod judge;
mod line;
#[cfg(test)]
mod sampled_simulation;
mod sampling;
mod series;
#[cfg(test)]
mod simulated;
#[cfg(test)]
mod simulation;
mod survival;
#[cfg(test)]
mod tests;

pub use growth::{Growth, Rate};
use judge::nothing_stays;
pub use judge::{Context, Facts, judge};
pub use line::Line;
pub use series::{PerBin, Series};
pub use survival::{Exposure, SurvivalPoint, survival};

use crate::model::Profile;
use crate::replay::{Heap, SiteEvidence};

/// What the evidence says of a site's live blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// Grows without bound.
    Leak,
    /// Too few births and deaths, or too short a capture, to say.
    TooLittleEvidence,
    /// Grew, then stayed.
    Bounded,
    /// Allocated early and kept.
    WarmUp,
    /// Comes and goes.
    Churn,
    /// A few blocks, never freed, without a trend.
    OneShot,
}

impl Class {
    /// All of them, in the order they are shown.
    pub const ALL: [Class; 6] =
        [Class::Leak, Class::TooLittleEvidence, Class::Bounded, Class::WarmUp, Class::Churn, Class::OneShot];

    /// The name in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Class::Leak => "leak",
            Class::TooLittleEvidence => "too-little-evidence",
            Class::Bounded => "bounded",
            Class::WarmUp => "warm-up",
            Class::Churn => "churn",
            Class::OneShot => "one-shot",
        }
    }
}

/// A verdict and what it is based on.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The class.
    pub class: Class,
    /// How fast it grows: of a leak.
    pub rate: Option<Rate>,
    /// The largest growth that may hide here, bytes a second: of too little evidence.
    pub hidden_rate: Option<f64>,
    /// How much longer to record, seconds: of too little evidence.
    pub record_for_seconds: Option<f64>,
    /// Why, in one sentence.
    pub reason: &'static str,
    /// The numbers behind it.
    pub facts: Facts,
}

/// The memory that a leak has left before a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The limit.
    pub limit_bytes: u64,
    /// What is left of it at the moment of the verdict.
    pub left_bytes: u64,
}

impl Room {
    /// Below a limit that was given, else below that of the cgroup at the last reading; `None` without either.
    pub fn of(profile: &Profile, given: Option<u64>) -> Option<Room> {
        let tick = profile.ticks.last();
        let cgroup = tick.and_then(|tick| tick.cgroup);
        let used = cgroup.map(|cgroup| cgroup.usage_bytes.saturating_sub(cgroup.inactive_file_bytes));
        let resident = tick.map_or(0, |tick| tick.process.rss_bytes);
        let limit_bytes = given.or(cgroup.and_then(|cgroup| cgroup.limit_bytes))?;
        let used = if given.is_some() { resident } else { used.unwrap_or(resident) };
        Some(Room { limit_bytes, left_bytes: limit_bytes.saturating_sub(used) })
    }
}

impl Verdict {
    /// Seconds until a leak has used up the room, with its interval; `None` without a leak. Without an upper bound the
    /// last is infinite.
    pub fn seconds_to_limit(&self, room: Room) -> Option<Rate> {
        let rate = self.rate?;
        let left = room.left_bytes as f64;
        let after = |rate: f64| if rate > 0.0 { left / rate } else { f64::INFINITY };
        Some(Rate { value: after(rate.value), low: after(rate.high), high: after(rate.low) })
    }
}

/// The verdict on each of some groups of sites, in their order. All groups of a capture belong in one call: the more there
/// are, the more evidence it takes to accuse one of them.
pub fn verdicts<'a>(profile: &Profile, heap: &Heap, groups: impl Iterator<Item = &'a [usize]> + Clone) -> Vec<Verdict> {
    let context = Context::of(profile, heap, groups.clone());
    groups
        .map(|sites| {
            // Most sites of a capture hold nothing any more.
            let survives = |site: &usize| heap.evidence.get(*site).is_some_and(SiteEvidence::has_survivors);
            if sites.iter().any(survives) { judge(&Series::of(heap, sites), &context) } else { nothing_stays() }
        })
        .collect()
}
