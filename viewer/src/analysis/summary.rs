//! How much was allocated, how much is live, how high did it go?

use plimsoll_format::{Counters, Totals};

use crate::model::{EndKind, Measure, Profile, Tally};
use crate::replay::Heap;

/// Totals of the whole process since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TotalsMeasure {
    /// Allocations, a successful reallocation counted as one.
    pub allocations: Measure,
    /// Bytes of these.
    pub bytes: Measure,
    /// Frees, a successful reallocation counted as one.
    pub frees: Measure,
    /// Bytes of these.
    pub freed_bytes: Measure,
    /// Successful reallocations.
    pub reallocations: Measure,
    /// Bytes allocated and not freed.
    pub live_bytes: Measure,
    /// Blocks allocated and not freed.
    pub live_allocations: Measure,
    /// The moment that these are for, nanoseconds after the session's start.
    pub at_ns: u64,
}

/// The largest live total of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeakMeasure {
    /// Bytes.
    pub live_bytes: Measure,
    /// When, nanoseconds after the session's start.
    pub at_ns: u64,
}

/// What the process totals hold and no site does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unattributed {
    /// Bytes allocated.
    pub bytes: Measure,
    /// Bytes live.
    pub live_bytes: Measure,
}

/// The first numbers of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The process, since it started, at the last moment that is known.
    pub totals: TotalsMeasure,
    /// Its peak.
    pub peak: PeakMeasure,
    /// What the process did before the session started.
    pub before: Totals,
    /// What was recorded in the session: the sum of all sites.
    pub recorded: Tally,
    /// Of that, what is live at the moment of the replay.
    pub recorded_live: Tally,
    /// Totals minus sites. In a sampled capture this holds the error of the estimate too, so it can be 0 by chance.
    pub unattributed: Unattributed,
    /// The agent's own use of the program's allocator, which is in none of the numbers above.
    pub agent: Totals,
}

/// Totals, peak and what they are made of.
pub fn summary(profile: &Profile, heap: &Heap) -> Summary {
    let totals = totals(profile, heap);
    let recorded = heap.sum(|site| site.total);
    let recorded_live = heap.sum(|site| site.live);
    Summary {
        totals,
        peak: PeakMeasure { live_bytes: heap.peak.live_bytes, at_ns: heap.peak.at_ns },
        before: profile.header.before,
        unattributed: Unattributed {
            bytes: rest(totals.bytes, recorded.measure_bytes()),
            live_bytes: rest(totals.live_bytes, recorded_live.measure_bytes()),
        },
        recorded,
        recorded_live,
        agent: profile.counters.last().map(|counters| counters.agent).unwrap_or_default(),
    }
}

/// Live bytes by one reading of the counters. Between the two readings of running threads each total grew from
/// `program` to `program_upper`, so the live total of some moment between them lies in this interval.
pub(crate) fn live_bytes(counters: &Counters) -> Measure {
    let (low, high) = (&counters.program, &counters.program_upper);
    difference((low.bytes, high.bytes), (low.freed_bytes, high.freed_bytes))
}

fn live_allocations(counters: &Counters) -> Measure {
    let (low, high) = (&counters.program, &counters.program_upper);
    difference((low.allocations, high.allocations), (low.frees, high.frees))
}

/// First minus second, both given as low and high.
pub(super) fn difference(first: (u64, u64), second: (u64, u64)) -> Measure {
    let low = first.0.saturating_sub(second.1);
    let high = first.1.saturating_sub(second.0).max(low);
    Measure { value: first.1.saturating_sub(second.1).clamp(low, high), low, high: Some(high) }
}

fn rest(total: Measure, recorded: Measure) -> Measure {
    let high = total.high.map(|high| high.saturating_sub(recorded.low));
    let low = recorded.high.map_or(0, |high| total.low.saturating_sub(high));
    Measure { value: total.value.saturating_sub(recorded.value), low, high }
}

/// The newest reading of the counters. In an exact capture that did not end in an orderly way the events after that
/// reading are added.
fn totals(profile: &Profile, heap: &Heap) -> TotalsMeasure {
    let Some(counters) = profile.counters.last() else { return from_events(profile, heap) };
    let since = if profile.is_exact() && !is_orderly(profile) { heap.since_counters } else { Default::default() };
    let (low, high) = (&counters.program, &counters.program_upper);
    let grown = |low: u64, high: u64, since: u64| {
        let (low, high) = (low.min(high), low.max(high));
        Measure { value: high.saturating_add(since), low, high: Some(high.saturating_add(since)) }
    };
    let live = |measure: Measure, allocated: u64, freed: u64| Measure {
        value: measure.value.saturating_add(allocated).saturating_sub(freed),
        low: measure.low.saturating_sub(freed),
        high: measure.high.map(|high| high.saturating_add(allocated)),
    };
    let at_ticks = if since == Default::default() { counters.ticks } else { profile.end.ticks };
    TotalsMeasure {
        allocations: grown(low.allocations, high.allocations, since.allocations),
        bytes: grown(low.bytes, high.bytes, since.bytes),
        frees: grown(low.frees, high.frees, since.frees),
        freed_bytes: grown(low.freed_bytes, high.freed_bytes, since.freed_bytes),
        reallocations: grown(low.reallocations, high.reallocations, since.reallocations),
        live_bytes: live(live_bytes(counters), since.bytes, since.freed_bytes),
        live_allocations: live(live_allocations(counters), since.allocations, since.frees),
        at_ns: profile.ns(at_ticks),
    }
}

fn is_orderly(profile: &Profile) -> bool {
    matches!(profile.end.kind, EndKind::Clean | EndKind::Detached)
}

/// Totals of a capture that was cut off before its first reading of the counters: what was before the session, and
/// at least what was recorded.
fn from_events(profile: &Profile, heap: &Heap) -> TotalsMeasure {
    let before = &profile.header.before;
    let total = heap.sum(|site| site.total);
    let freed = heap.sum(|site| site.freed);
    let at_least = |before: u64, recorded: Measure| Measure {
        value: before.saturating_add(recorded.value),
        low: before,
        high: None,
    };
    let live = |before: i64, live: Measure| Measure {
        value: u64::try_from(before).unwrap_or(0).saturating_add(live.value),
        low: 0,
        high: None,
    };
    let mut live_tally = total;
    live_tally -= freed;
    TotalsMeasure {
        allocations: at_least(before.allocations, total.measure_blocks()),
        bytes: at_least(before.bytes, total.measure_bytes()),
        frees: at_least(before.frees, freed.measure_blocks()),
        freed_bytes: at_least(before.freed_bytes, freed.measure_bytes()),
        reallocations: at_least(before.reallocations, Measure::exact(heap.reallocations)),
        live_bytes: live(before.live_bytes(), live_tally.measure_bytes()),
        live_allocations: live(before.live_allocations(), live_tally.measure_blocks()),
        at_ns: profile.duration_ns,
    }
}
