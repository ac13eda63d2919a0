//! Everything a capture says besides its events.

use std::collections::BTreeMap;
use std::path::PathBuf;

use plimsoll_format::{
    AllocatorReading, ArenaPlace, Counters, Header, Loss, Mappings, Mode, Phase, Remains, Symbols, Tick, Totals,
};

use super::clock::SessionClock;
use super::ids::{StackId, TagId, ThreadId};
use super::limits::Limits;
use super::modules::Modules;
use super::stacks::StackTable;

/// How a capture ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EndKind {
    /// The session was finished, or the process exited in an orderly way.
    Clean,
    /// The file ends within a block, or in zeros: cut off.
    Truncated,
    /// The process was killed.
    Killed,
    /// The process is still recording.
    Running,
    /// The agent gave up; the program went on.
    Detached,
}

impl EndKind {
    /// The name in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            EndKind::Clean => "clean",
            EndKind::Truncated => "truncated",
            EndKind::Killed => "killed",
            EndKind::Running => "running",
            EndKind::Detached => "detached",
        }
    }
}

/// How and when a capture ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndState {
    /// How.
    pub kind: EndKind,
    /// The last moment that the capture knows of.
    pub ticks: u64,
    /// Why the agent gave up, when it did.
    pub reason: Option<String>,
}

/// A file of the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its number, from 0.
    pub number: u32,
    /// Bytes read.
    pub bytes: u64,
}

/// A span of time that no file covers, since its segments were dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MissingTime {
    /// From this moment, nanoseconds since the session started.
    pub from_ns: u64,
    /// Up to this one.
    pub to_ns: u64,
    /// First segment that is missing.
    pub first_segment: u32,
    /// Last one.
    pub last_segment: u32,
}

/// Blocks that are missing inside the capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockGap {
    /// First missing sequence number.
    pub first: u64,
    /// Number of blocks missing.
    pub blocks: u64,
}

/// A thread of the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ThreadInfo {
    /// The system's id.
    pub os_id: u32,
    /// Its name, empty when unknown.
    pub name: String,
    /// Its first event, or the session's start.
    pub start_ticks: u64,
    /// When it ended.
    pub end_ticks: Option<u64>,
    /// What it did since it began, at the last reading.
    pub totals: Option<Totals>,
}

/// The session was paused or went on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PhaseChange {
    /// When.
    pub ticks: u64,
    /// What it changed to.
    pub phase: Phase,
}

/// What was recovered from the arena of a process that was killed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The arena.
    pub path: PathBuf,
    /// Events that the files may lack.
    pub events: u64,
    /// Threads that they are of.
    pub threads: u32,
    /// Whether the process was killed for want of memory, by the counts of its cgroup; `None` when they do not tell.
    pub killed_for_memory: Option<bool>,
}

impl Recovered {
    /// From this arena.
    pub fn of(path: PathBuf, remains: &Remains) -> Recovered {
        let (before, after) = (remains.oom_kills_before, remains.oom_kills_after);
        let killed_for_memory = before.zip(after).map(|(before, after)| after > before);
        Recovered { path, events: remains.count, threads: remains.threads, killed_for_memory }
    }
}

/// What could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// Records of an unknown kind, or that did not decode.
    pub records: u64,
    /// Blocks of an unknown codec, or that do not decompress.
    pub codec_blocks: u64,
    /// Blocks of another session.
    pub foreign_blocks: u64,
    /// Copies of blocks that were read.
    pub copied_blocks: u64,
    /// Damaged regions in the middle, and their bytes.
    pub damaged_regions: u64,
    /// Bytes of these.
    pub damaged_bytes: u64,
    /// Bytes after the last whole block.
    pub cut_bytes: u64,
    /// Missing blocks.
    pub gaps: Vec<BlockGap>,
    /// Definitions and readings beyond what files of this size may bring.
    pub beyond_limits: u64,
}

/// How well stacks were walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unwinding {
    /// In words.
    pub unwinder: String,
    /// Stacks walked.
    pub walks: u64,
    /// Of these, stacks that reached the thread's root.
    pub complete: u64,
    /// Of these, stacks cut at the depth limit.
    pub truncated: u64,
}

/// What the resident set is for, at about one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footprint {
    /// What it is mapped for.
    pub mappings: Mappings,
    /// What the allocators said shortly before.
    pub allocators: Vec<AllocatorReading>,
}

/// A capture, read. Damage and loss are told in [`warnings`](Profile::warnings); the events are for
/// [`Capture::replay`](crate::capture::Capture::replay).
#[derive(Debug, Clone)]
pub struct Profile {
    /// What the user named.
    pub path: PathBuf,
    /// The files read, in order.
    pub segments: Vec<SegmentInfo>,
    /// Time that no file covers.
    pub missing: Vec<MissingTime>,
    /// Who wrote the capture and how; of the first segment read.
    pub header: Header,
    /// How it ended.
    pub end: EndState,
    /// Ticks as times.
    pub clock: SessionClock,
    /// From the session's start to the last moment known.
    pub duration_ns: u64,
    /// Wall clock at the session's start, nanoseconds since 1970 UTC.
    pub start_wall_ns: i64,
    /// All stacks.
    pub stacks: StackTable,
    /// All modules.
    pub modules: Modules,
    /// Threads by id.
    pub threads: BTreeMap<ThreadId, ThreadInfo>,
    /// Names of tags by id.
    pub tags: BTreeMap<TagId, String>,
    /// Memory of process, cgroup and machine over time, in order.
    pub ticks: Vec<Tick>,
    /// The always-on counters over time, in order; the last one is the newest.
    pub counters: Vec<Counters>,
    /// What the resident set is for over time, in order.
    pub footprints: Vec<Footprint>,
    /// Named moments, in order: ticks and name.
    pub markers: Vec<(u64, String)>,
    /// Pauses, in order.
    pub phases: Vec<PhaseChange>,
    /// Events that could not be recorded.
    pub losses: Vec<Loss>,
    /// Changes of the sampling interval: ticks and the interval from then on.
    pub intervals: Vec<(u64, u64)>,
    /// Symbols that were packed into the capture.
    pub symbols: Vec<Symbols>,
    /// What could not be read.
    pub unread: Unread,
    /// A moment by which the last missing block had been written: what was allocated before may have been freed in it.
    pub gap_until_ticks: Option<u64>,
    /// Blocks that the agent could not write and could not even note as a gap.
    pub lost_blocks: u64,
    /// What a killed process left in its arena.
    pub recovered: Option<Recovered>,
    /// Where the arena was, or why there was none; `None` in captures of before arenas.
    pub arena: Option<ArenaPlace>,
    /// Everything a reader should know, one plain sentence each.
    pub warnings: Vec<String>,
}

impl Profile {
    /// What this capture may make a reader keep.
    pub(crate) fn limits(&self) -> Limits {
        Limits::of(self.segments.iter().fold(0, |sum, segment| sum.saturating_add(segment.bytes)))
    }

    /// Whether every allocation was recorded.
    pub fn is_exact(&self) -> bool {
        self.header.mode == Mode::Exact
    }

    /// Mean bytes between samples at the end of the capture; 1 in exact mode.
    pub fn interval_bytes(&self) -> u64 {
        let last = self.intervals.last().map_or(self.header.interval_bytes, |change| change.1);
        if self.is_exact() { 1 } else { last.max(2) }
    }

    /// The largest mean number of bytes between samples of the capture, which bounds what was missed; 1 in exact mode.
    /// Thinning raises the interval, so that it is the last one, unless somebody asked for a smaller one meanwhile.
    pub fn widest_interval_bytes(&self) -> u64 {
        let changes = self.intervals.iter().map(|change| change.1);
        if self.is_exact() { 1 } else { changes.fold(self.header.interval_bytes, u64::max).max(2) }
    }

    /// Nanoseconds since the session started.
    pub fn ns(&self, ticks: u64) -> u64 {
        self.clock.ns(ticks)
    }

    /// How well stacks were walked, at the last reading.
    pub fn unwinding(&self) -> Unwinding {
        let quality = self.counters.last().map(|counters| counters.unwind).unwrap_or_default();
        Unwinding {
            unwinder: self.header.unwinder.clone(),
            walks: quality.walks,
            complete: quality.complete,
            truncated: quality.truncated,
        }
    }

    /// Name of a thread: as the system knows it, or its number.
    pub fn thread_name(&self, thread: ThreadId) -> String {
        match self.threads.get(&thread) {
            Some(info) if !info.name.is_empty() => info.name.clone(),
            _ => format!("thread {}", thread.0),
        }
    }

    /// Name of a tag, `None` for no tag.
    pub fn tag_name(&self, tag: TagId) -> Option<String> {
        match tag {
            TagId(0) => None,
            tag => Some(self.tags.get(&tag).cloned().unwrap_or_else(|| format!("tag {}", tag.0))),
        }
    }

    /// Whether a stack's innermost node is defined in the capture.
    pub fn knows_stack(&self, stack: StackId) -> bool {
        stack.0 != 0 && self.stacks.node(stack).is_some()
    }
}
