//! What happened before a process was killed: its memory, the limit, and what grew most.

use crate::analysis::verdict::Series;
use crate::model::{EndKind, Measure, Profile};
use crate::replay::{BINS, Heap};
use crate::view::{Group, Grouping};

use super::timeline::timeline;

/// How far back the last moments go, as far as bins of time allow.
const LAST_NS: u64 = 5 * 60 * 1_000_000_000;
/// Growth below this part of what is live is not worth a line.
const WORTH: f64 = 0.01;
/// Sites that are named.
const MOST: usize = 3;

/// See the module's description. Of a number at two moments, at the first and at the last.
#[derive(Debug, Clone, PartialEq)]
pub struct LastMoments<'a> {
    /// The first moment, nanoseconds after the session's start.
    pub from_ns: u64,
    /// The last one.
    pub to_ns: u64,
    /// Resident set of the process.
    pub rss_bytes: Option<(u64, u64)>,
    /// What counts against the cgroup's limit, and the limit.
    pub of_limit: Option<(u64, u64)>,
    /// Live heap.
    pub live_bytes: Option<(Measure, Measure)>,
    /// Groups of sites that grew most, with what they grew by.
    pub grew: Vec<(&'a Group, Measure)>,
}

/// The last minutes of a process that was killed; `None` of any other.
pub fn last_moments<'a>(profile: &Profile, heap: &Heap, grouping: &'a Grouping) -> Option<LastMoments<'a>> {
    if profile.end.kind != EndKind::Killed || heap.grid.span_ns == 0 {
        return None;
    }
    let bin_ns = (heap.grid.span_ns / BINS as u64).max(1);
    let bins = (LAST_NS / bin_ns).clamp(2, BINS as u64) as usize;
    let to_ns = heap.moment_ns;
    let from_ns = to_ns.saturating_sub(bins as u64 * bin_ns);
    let points: Vec<_> = timeline(profile).into_iter().filter(|point| point.at_ns >= from_ns).collect();
    let memory: Vec<_> = points.iter().filter_map(|point| point.memory).collect();
    let live: Vec<_> = points.iter().filter_map(|point| point.live_bytes).collect();
    let cgroup = memory.last().and_then(|tick| tick.cgroup);
    let mut grew: Vec<(&Group, Measure)> =
        grouping.groups.iter().filter_map(|group| Some((group, growth(heap, group, bins)?))).collect();
    grew.sort_by_key(|(_, growth)| std::cmp::Reverse(growth.value));
    grew.truncate(MOST);
    Some(LastMoments {
        from_ns,
        to_ns,
        rss_bytes: memory
            .first()
            .zip(memory.last())
            .map(|(first, last)| (first.process.rss_bytes, last.process.rss_bytes)),
        of_limit: cgroup.and_then(|cgroup| {
            Some((cgroup.usage_bytes.saturating_sub(cgroup.inactive_file_bytes), cgroup.limit_bytes?))
        }),
        live_bytes: live.first().copied().zip(live.last().copied()),
        grew,
    })
}

/// What a group holds more than so many bins before the end; `None` when that is little.
fn growth(heap: &Heap, group: &Group, bins: usize) -> Option<Measure> {
    let series = Series::of(heap, &group.sites);
    let before = BINS.checked_sub(bins + 1).and_then(|at| series.live.get(at)).copied().unwrap_or(0.0);
    let after = series.live.last().copied().unwrap_or(0.0);
    let more = after - before;
    if more <= 0.0 || more < WORTH * after {
        return None;
    }
    // Of samples: each of the two levels has at most the variance interval × level, and those that are in both cancel.
    let error =
        if heap.interval_bytes > 1 { 1.96 * (heap.interval_bytes as f64 * (before + after)).sqrt() } else { 0.0 };
    (more > error).then_some(Measure {
        value: more as u64,
        low: (more - error) as u64,
        high: Some((more + error) as u64),
    })
}
