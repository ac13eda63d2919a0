//! What a follower sees at one moment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use plimsoll_format::{Counters, Mode, Tick};

use crate::model::Measure;
use crate::present::json::LostJson;

use super::level::{Level, Limit};
use super::look::Look;
use super::series::Series;
use super::strip::Strip;

/// Everything that is followed at one moment. Pictures are never changed: a new one comes in place of the old.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// Counts up from 1; 0 before the first one.
    pub number: u64,
    /// When it was made.
    pub at: Option<SystemTime>,
    /// The machine.
    pub system: System,
    /// Captures: those of running processes first, then the newest.
    pub captures: Vec<Arc<Followed>>,
    /// Processes that were asked for, and those of running captures, each once.
    pub processes: Vec<Arc<Process>>,
    /// All processes together.
    pub sum: Sum,
    /// What could not be followed, one sentence each.
    pub warnings: Vec<String>,
}

impl Picture {
    /// A capture by its id.
    pub fn capture(&self, id: &str) -> Option<&Arc<Followed>> {
        self.captures.iter().find(|followed| followed.id == id)
    }
}

/// What a capture's process is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// There is no capture yet, or nothing in it that tells whose it is.
    Waiting,
    /// It records.
    Running,
    /// It runs, and does not record allocations for now.
    Paused,
    /// The session was finished, or the process exited in an orderly way.
    Ended,
    /// The process was killed.
    Killed,
    /// The agent gave up; the program may go on.
    Detached,
    /// The file ends within a block, and its process is not there.
    Truncated,
}

impl State {
    /// The name in JSON and on screens.
    pub fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Running => "running",
            State::Paused => "paused",
            State::Ended => "ended",
            State::Killed => "killed",
            State::Detached => "detached",
            State::Truncated => "truncated",
        }
    }

    /// Whether more is to come.
    pub fn is_live(self) -> bool {
        matches!(self, State::Waiting | State::Running | State::Paused)
    }
}

/// One capture, followed.
#[derive(Debug, Clone)]
pub struct Followed {
    /// Stays the same as long as the session does; fit for a URL.
    pub id: String,
    /// The capture: of one in segments the name of the first.
    pub path: PathBuf,
    /// File name of the program; empty while waiting. From a capture: hostile.
    pub program: String,
    /// Process id; 0 while waiting.
    pub pid: u32,
    /// How allocations are recorded; `None` while waiting.
    pub mode: Option<Mode>,
    /// Mean bytes between samples now; 1 in exact mode.
    pub interval_bytes: u64,
    /// Wall clock at the session's start, nanoseconds since 1970 UTC; 0 while waiting.
    pub start_wall_ns: i64,
    /// What its process is doing.
    pub state: State,
    /// Why the agent gave up, when it did.
    pub reason: Option<String>,
    /// What was read last.
    pub latest: Reading,
    /// How it went.
    pub series: Arc<Series>,
    /// How fast it goes.
    pub rates: Rates,
    /// How it changed over the last minute.
    pub trend: Trend,
    /// What could not be recorded or read so far.
    pub lost: LostJson,
    /// The limit, and what is used of it; `None` before the first reading.
    pub limit: Option<Limit>,
    /// How near it is.
    pub level: Option<Level>,
    /// Of the resident set.
    pub rss: Strip,
    /// Of live bytes.
    pub live: Strip,
    /// Named moments, oldest first: nanoseconds since the session's start, and the name. The last ones of many.
    pub markers: Vec<(u64, String)>,
    /// Bytes of the capture that are still to be read: not 0 while a long one is caught up with.
    pub behind_bytes: u64,
    /// Sites and verdicts, once they have been looked at.
    pub look: Option<Arc<Look>>,
    /// Why the last look failed.
    pub look_error: Option<String>,
    /// What a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

/// What was read last of a capture.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// The newest moment known, nanoseconds since the session's start.
    pub at_ns: u64,
    /// The counters.
    pub counters: Option<Arc<Counters>>,
    /// Memory of the process, its cgroup and the machine.
    pub memory: Option<Tick>,
}

impl Reading {
    /// Live bytes of the program.
    pub fn live_bytes(&self) -> Option<Measure> {
        self.counters.as_deref().map(crate::analysis::live_bytes)
    }

    /// The largest live total so far.
    pub fn peak_bytes(&self) -> Option<Measure> {
        let peak = self.counters.as_deref()?.peak;
        Some(Measure { value: peak.high_bytes, low: peak.low_bytes, high: Some(peak.high_bytes) })
    }

    /// Resident set; `None` where the system does not tell.
    pub fn rss_bytes(&self) -> Option<u64> {
        self.memory.map(|tick| tick.process.rss_bytes).filter(|bytes| *bytes > 0)
    }
}

/// How fast a process goes: means between the last two readings.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rates {
    /// Bytes allocated in a second.
    pub allocated_bytes_per_s: Option<Measure>,
    /// Bytes freed in a second.
    pub freed_bytes_per_s: Option<Measure>,
    /// Allocations in a second.
    pub allocations_per_s: Option<Measure>,
    /// CPU time of the process in percent of one core.
    pub cpu_percent: Option<f64>,
    /// CPU time of the agent's threads in percent of one core; it is in that of the process.
    pub agent_cpu_percent: Option<f64>,
}

/// How a process changed over the last minute, or since it is followed: facts, not estimates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Trend {
    /// Over so long.
    pub over_ns: u64,
    /// Change of live bytes.
    pub live_bytes: Option<i64>,
    /// Change of the resident set.
    pub rss_bytes: Option<i64>,
}

/// The machine.
#[derive(Debug, Clone, Default)]
pub struct System {
    /// All of its memory; 0 where it is not known.
    pub total_bytes: u64,
    /// Available without swapping.
    pub available_bytes: u64,
    /// Swap space.
    pub swap_total_bytes: u64,
    /// Unused swap space.
    pub swap_free_bytes: u64,
    /// Processors.
    pub cpus: usize,
    /// Mean number of running processes over 1, 5 and 15 minutes.
    pub load: [f64; 3],
    /// How near memory is to its end.
    pub level: Option<Level>,
    /// Of what is not available.
    pub strip: Strip,
    /// How it went: `rss_bytes` is what is not available.
    pub series: Arc<Series>,
}

impl System {
    /// What is not available.
    pub fn used_bytes(&self) -> u64 {
        self.total_bytes.saturating_sub(self.available_bytes)
    }
}

/// A process by name or number, with or without a capture.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its name as the system has it, or what was asked for. Hostile.
    pub name: String,
    /// Its command line. Hostile.
    pub command: String,
    /// Resident set, or why it cannot be read.
    pub memory: Result<u64, String>,
    /// CPU time in percent of one core; `None` at first and where it cannot be read.
    pub cpu_percent: Option<f64>,
    /// Whether it has gone; it is shown for a while.
    pub has_gone: bool,
    /// The limit, and what is used of it.
    pub limit: Option<Limit>,
    /// How near it is.
    pub level: Option<Level>,
    /// Of the resident set; its peak is since the process is followed.
    pub strip: Strip,
    /// How it went.
    pub series: Arc<Series>,
    /// Whether it was asked for, rather than found by its capture.
    pub asked_for: bool,
    /// The id of its capture.
    pub capture: Option<String>,
}

impl Process {
    /// `Memory: 12.3 MiB`, or `Memory: error (reason)`.
    pub fn memory_text(&self) -> String {
        match &self.memory {
            Ok(bytes) => format!("Memory: {}", crate::present::units::bytes(*bytes)),
            Err(reason) => format!("Memory: error ({})", crate::present::safe(reason)),
        }
    }
}

/// All processes of a picture together.
#[derive(Debug, Clone, Default)]
pub struct Sum {
    /// Processes whose memory was read.
    pub processes: usize,
    /// Processes whose memory could not be read: they are not in the sums.
    pub unreadable: usize,
    /// Resident sets together; pages that they share count for each.
    pub rss_bytes: u64,
    /// CPU time in percent of one core.
    pub cpu_percent: f64,
    /// How near the sum is to all memory of the machine, or the limit that was given.
    pub level: Option<Level>,
    /// Of the resident sets together.
    pub strip: Strip,
    /// How it went.
    pub series: Arc<Series>,
}
