//! The JSON of `ctl`: what programs answered.

use std::path::Path;

use plimsoll_format::control::{Answer, Purged, Status, Stopped, Written};
use plimsoll_format::{Mode, Phase};
use serde::Serialize;

use crate::present::{answer_text, safe};

/// What a request came to.
#[derive(Debug, Serialize)]
pub struct ControlJson {
    /// What was asked.
    pub command: &'static str,
    /// The programs that were asked.
    pub programs: Vec<ProgramJson>,
}

/// A program, and what it answered.
#[derive(Debug, Default, Serialize)]
pub struct ProgramJson {
    /// Its process, as its socket is named.
    pub pid: u32,
    /// Its socket.
    pub socket: String,
    /// The answer in one line, for people.
    pub text: String,
    /// Why there is none of the following.
    pub error: Option<String>,
    /// What it does now: to status, start, pause, resume, interval.
    pub status: Option<StatusJson>,
    /// To stop.
    pub stopped: Option<StoppedJson>,
    /// To mark, snapshot, flush.
    pub written: Option<WrittenJson>,
    /// To purge.
    pub purged: Option<PurgedJson>,
}

impl ProgramJson {
    /// What a program answered.
    pub fn new(pid: u32, socket: &Path, answer: Answer) -> ProgramJson {
        let (socket, text) = (socket.to_string_lossy().into_owned(), answer_text(&answer));
        let mut program = ProgramJson { pid, socket, text, ..Default::default() };
        match answer {
            Answer::Status(status) => program.status = Some(status.into()),
            Answer::Stopped(stopped) => program.stopped = Some(stopped.into()),
            Answer::Written(written) => program.written = Some(written.into()),
            Answer::Purged(purged) => program.purged = Some(purged.into()),
            Answer::Refused(why) => program.error = Some(why),
        }
        program
    }

    /// A program that did not answer.
    pub fn failed(pid: u32, socket: &Path, error: &str) -> ProgramJson {
        let (socket, text) = (socket.to_string_lossy().into_owned(), safe(error).into_owned());
        ProgramJson { pid, socket, text, error: Some(error.to_owned()), ..Default::default() }
    }

    /// Its name for people, as far as it is known.
    pub fn name(&self) -> String {
        match &self.status {
            Some(status) => format!("{} ({})", safe(&status.program), self.pid),
            None => format!("process {}", self.pid),
        }
    }
}

/// What a program does.
#[derive(Debug, Serialize)]
pub struct StatusJson {
    /// The process as it sees itself.
    pub pid: u32,
    /// File name of the program.
    pub program: String,
    /// Version of its agent.
    pub agent_version: String,
    /// `idle`, `recording` or `paused`.
    pub state: &'static str,
    /// First file of the capture.
    pub capture: Option<String>,
    /// `sampled` or `exact`.
    pub mode: Option<&'static str>,
    /// Mean bytes between samples now.
    pub interval_bytes: Option<u64>,
    /// Sessions since it began.
    pub sessions: u32,
    /// Bytes allocated and not freed.
    pub live_bytes: u64,
    /// Resident memory.
    pub rss_bytes: u64,
}

impl From<Status> for StatusJson {
    fn from(status: Status) -> StatusJson {
        let recording = status.recording.as_ref();
        StatusJson {
            pid: status.pid,
            state: recording.map_or("idle", |recording| match recording.phase {
                Phase::Recording => "recording",
                Phase::Paused => "paused",
            }),
            mode: recording.map(|recording| match recording.mode {
                Mode::Sampled => "sampled",
                Mode::Exact => "exact",
            }),
            interval_bytes: recording.map(|recording| recording.interval_bytes),
            capture: recording.map(|recording| recording.path.clone()),
            program: status.program,
            agent_version: status.agent_version,
            sessions: status.sessions,
            live_bytes: status.live_bytes,
            rss_bytes: status.rss_bytes,
        }
    }
}

/// A capture that was ended.
#[derive(Debug, Serialize)]
pub struct StoppedJson {
    /// First file of the capture.
    pub path: String,
    /// Bytes of all its files.
    pub written_bytes: u64,
    /// Events recorded.
    pub events: u64,
    /// Allocations that could not be recorded.
    pub lost_allocations: u64,
    /// Frees that could not be recorded.
    pub lost_frees: u64,
}

impl From<Stopped> for StoppedJson {
    fn from(stopped: Stopped) -> StoppedJson {
        let Stopped { path, written_bytes, events, lost_allocations, lost_frees } = stopped;
        StoppedJson { path, written_bytes, events, lost_allocations, lost_frees }
    }
}

/// What went into a capture.
#[derive(Debug, Serialize)]
pub struct WrittenJson {
    /// First file of the capture.
    pub path: String,
    /// The moment's name; none for a flush.
    pub name: Option<String>,
}

impl From<Written> for WrittenJson {
    fn from(Written { path, name }: Written) -> WrittenJson {
        WrittenJson { path, name: Some(name).filter(|name| !name.is_empty()) }
    }
}

/// What giving memory back did.
#[derive(Debug, Serialize)]
pub struct PurgedJson {
    /// Allocators that were asked.
    pub allocators: Vec<String>,
    /// Resident memory before.
    pub rss_before_bytes: u64,
    /// Resident memory after.
    pub rss_after_bytes: u64,
    /// What went back.
    pub given_back_bytes: u64,
    /// How long it took.
    pub took_ms: f64,
}

impl From<Purged> for PurgedJson {
    fn from(purged: Purged) -> PurgedJson {
        PurgedJson {
            given_back_bytes: purged.given_back_bytes(),
            took_ms: purged.took_ns as f64 / 1e6,
            allocators: purged.allocators,
            rss_before_bytes: purged.rss_before_bytes,
            rss_after_bytes: purged.rss_after_bytes,
        }
    }
}
