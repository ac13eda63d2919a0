//! The parts that every command's JSON has.

use plimsoll_format::{Loss, LossCause};
use serde::Serialize;

use crate::analysis::Summary;
use crate::model::{Measure, Profile};
use crate::replay::{Heap, Moment};

/// A number with its 95 % interval; exact numbers have all three equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MeasureJson {
    /// Best value.
    pub value: u64,
    /// The truth is at least this.
    pub low: u64,
    /// The truth is at most this; `null` when nothing bounds it.
    pub high: Option<u64>,
}

impl From<Measure> for MeasureJson {
    fn from(measure: Measure) -> MeasureJson {
        MeasureJson { value: measure.value, low: measure.low, high: measure.high }
    }
}

/// Where the numbers come from.
#[derive(Debug, Serialize)]
pub struct CaptureJson {
    /// As the user named it.
    pub path: String,
    /// `exact` or `sampled`.
    pub mode: &'static str,
    /// Mean bytes between samples at the end; 1 in exact mode.
    pub interval_bytes: u64,
    /// When the session started, RFC 3339; `null` when the clock says nothing sensible.
    pub started: Option<String>,
    /// From the session's start to the last moment known.
    pub duration_ms: f64,
    /// Process id.
    pub pid: u32,
    /// File name of the program.
    pub program: String,
    /// `clean`, `truncated`, `killed`, `running` or `detached`.
    pub end: &'static str,
}

/// The process since it started, at the last moment known.
#[derive(Debug, Serialize)]
pub struct TotalsJson {
    /// Allocations, a successful reallocation counted as one.
    pub allocations: MeasureJson,
    /// Bytes of these.
    pub bytes: MeasureJson,
    /// Frees, a successful reallocation counted as one.
    pub frees: MeasureJson,
    /// Bytes of these.
    pub freed_bytes: MeasureJson,
    /// Successful reallocations.
    pub reallocations: MeasureJson,
    /// Bytes allocated and not freed.
    pub live_bytes: MeasureJson,
    /// Blocks allocated and not freed.
    pub live_allocations: MeasureJson,
    /// The agent's own bytes on the same allocator, in none of the numbers above.
    pub agent_live_bytes: u64,
    /// The agent's own allocations since the process started.
    pub agent_allocations: u64,
    /// Bytes of these.
    pub agent_bytes: u64,
}

/// The largest live total of the process.
#[derive(Debug, Serialize)]
pub struct PeakJson {
    /// Bytes live then.
    pub live_bytes: MeasureJson,
    /// When, since the session's start.
    pub at_ms: f64,
}

/// The moment that live figures are for, and the time that they are of.
#[derive(Debug, Serialize)]
pub struct AtJson {
    /// `end`, `peak`, `time` or `range`: the end of `range`.
    pub moment: &'static str,
    /// Since the session's start.
    pub at_ms: f64,
    /// Only what was allocated then is in the figures of the list; `null` for all of the time.
    pub range: Option<RangeJson>,
}

/// A span of time.
#[derive(Debug, Serialize)]
pub struct RangeJson {
    /// Its begin, since the session's start.
    pub from_ms: f64,
    /// Its end.
    pub to_ms: f64,
}

/// What could not be recorded or read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LostJson {
    /// Allocations (samples in sampled mode) that were not recorded.
    pub allocations: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frees that were not recorded.
    pub frees: u64,
    /// Bytes of these, as far as known.
    pub freed_bytes: u64,
    /// Allocations whose stack is known only in part, since the table of stacks was full.
    pub short_stacks: u64,
    /// Records that could not be read.
    pub unread_records: u64,
    /// Blocks compressed in a way that this version does not know, or damaged inside.
    pub unread_blocks: u64,
    /// Bytes that belong to no whole block.
    pub damaged_bytes: u64,
    /// Blocks that are missing.
    pub missing_blocks: u64,
    /// Segments that were dropped to keep the capture bounded.
    pub dropped_segments: u64,
}

/// Memory of the process and its cgroup at the last reading.
#[derive(Debug, Serialize)]
pub struct MemoryJson {
    /// Since the session's start.
    pub at_ms: f64,
    /// Resident set.
    pub rss_bytes: u64,
    /// Its anonymous part.
    pub anon_bytes: u64,
    /// Its file-backed part.
    pub file_bytes: u64,
    /// Its shared-memory part.
    pub shmem_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
    /// High-water mark of the resident set.
    pub peak_rss_bytes: u64,
    /// The memory cgroup, `null` when there is none.
    pub cgroup: Option<CgroupJson>,
    /// What the agent mapped for itself.
    pub agent_mapped_bytes: u64,
    /// CPU time of the agent's threads.
    pub agent_cpu_ms: f64,
    /// CPU time of the whole process.
    pub process_cpu_ms: f64,
}

/// The memory cgroup of the process.
#[derive(Debug, Serialize)]
pub struct CgroupJson {
    /// 1 or 2.
    pub version: u8,
    /// Lowest limit, `null` when unlimited.
    pub limit_bytes: Option<u64>,
    /// What counts against the limit: usage without inactive files.
    pub used_bytes: u64,
}

pub(super) fn ms(ns: u64) -> f64 {
    // To the microsecond.
    (ns / 1_000) as f64 / 1_000.0
}

impl CaptureJson {
    /// From a capture.
    pub fn new(profile: &Profile) -> CaptureJson {
        let started = jiff::Timestamp::from_nanosecond(i128::from(profile.start_wall_ns)).ok();
        CaptureJson {
            path: profile.path.to_string_lossy().into_owned(),
            mode: if profile.is_exact() { "exact" } else { "sampled" },
            interval_bytes: profile.interval_bytes(),
            started: started.map(|started| started.to_string()),
            duration_ms: ms(profile.duration_ns),
            pid: profile.header.pid,
            program: profile.header.program.clone(),
            end: profile.end.kind.name(),
        }
    }
}

impl TotalsJson {
    /// From an analysis.
    pub fn new(summary: &Summary) -> TotalsJson {
        let totals = &summary.totals;
        TotalsJson {
            allocations: totals.allocations.into(),
            bytes: totals.bytes.into(),
            frees: totals.frees.into(),
            freed_bytes: totals.freed_bytes.into(),
            reallocations: totals.reallocations.into(),
            live_bytes: totals.live_bytes.into(),
            live_allocations: totals.live_allocations.into(),
            agent_live_bytes: u64::try_from(summary.agent.live_bytes()).unwrap_or(0),
            agent_allocations: summary.agent.allocations,
            agent_bytes: summary.agent.bytes,
        }
    }
}

impl PeakJson {
    /// From an analysis.
    pub fn new(summary: &Summary) -> PeakJson {
        PeakJson { live_bytes: summary.peak.live_bytes.into(), at_ms: ms(summary.peak.at_ns) }
    }
}

impl AtJson {
    /// The moment of a replay.
    pub fn new(heap: &Heap) -> AtJson {
        let moment = match (heap.options.range, heap.options.moment) {
            (Some(_), _) => "range",
            (None, Moment::End) => "end",
            (None, Moment::Peak) => "peak",
            (None, Moment::Time(_)) => "time",
        };
        let range = heap.options.range.map(|range| RangeJson { from_ms: ms(range.from_ns), to_ms: ms(range.to_ns) });
        AtJson { moment, at_ms: ms(heap.moment_ns), range }
    }
}

impl LostJson {
    /// Adds up what a capture says of losses.
    pub fn new(profile: &Profile) -> LostJson {
        let unread = &profile.unread;
        let dropped = profile
            .missing
            .iter()
            .map(|missing| u64::from(missing.last_segment - missing.first_segment.min(missing.last_segment)) + 1);
        let mut lost = LostJson {
            unread_records: unread.records,
            unread_blocks: unread.codec_blocks,
            damaged_bytes: unread.damaged_bytes.saturating_add(unread.cut_bytes),
            missing_blocks: unread.gaps.iter().fold(0, |sum: u64, gap| sum.saturating_add(gap.blocks)),
            dropped_segments: dropped.fold(0, u64::saturating_add),
            ..LostJson::default()
        };
        profile.losses.iter().for_each(|loss| lost.add(loss));
        lost
    }

    /// Adds one loss.
    pub(crate) fn add(&mut self, loss: &Loss) {
        if loss.cause == LossCause::StackTableFull {
            self.short_stacks = self.short_stacks.saturating_add(loss.allocations);
            return;
        }
        self.allocations = self.allocations.saturating_add(loss.allocations);
        self.bytes = self.bytes.saturating_add(loss.bytes);
        self.frees = self.frees.saturating_add(loss.frees);
        self.freed_bytes = self.freed_bytes.saturating_add(loss.freed_bytes);
    }

    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        *self == LostJson::default()
    }
}

impl MemoryJson {
    /// The last reading of a capture.
    pub fn last(profile: &Profile) -> Option<MemoryJson> {
        let tick = profile.ticks.last()?;
        let process = &tick.process;
        Some(MemoryJson {
            at_ms: ms(profile.ns(tick.ticks)),
            rss_bytes: process.rss_bytes,
            anon_bytes: process.anon_bytes,
            file_bytes: process.file_bytes,
            shmem_bytes: process.shmem_bytes,
            swap_bytes: process.swap_bytes,
            peak_rss_bytes: process.peak_rss_bytes,
            cgroup: tick.cgroup.map(|cgroup| CgroupJson {
                version: cgroup.version,
                limit_bytes: cgroup.limit_bytes,
                used_bytes: cgroup.usage_bytes.saturating_sub(cgroup.inactive_file_bytes),
            }),
            agent_mapped_bytes: tick.agent.mapped_bytes,
            agent_cpu_ms: ms(tick.agent.cpu_ns),
            process_cpu_ms: ms(tick.process_cpu_ns),
        })
    }
}
