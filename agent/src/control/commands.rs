//! What can be asked of the program, carried out on the control thread.

use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

use plimsoll_format::control::{
    Answer, MAX_NAME_BYTES, MAX_PATH_BYTES, Purged, Recording, Request, StartOptions, Status, Stopped, Written,
};
use plimsoll_format::{Hook, Mode, Phase};

use super::place;
use crate::allocator_stats::{self, Source};
use crate::config::{self, Config, DEFAULT_INTERVAL, MAX_INTERVAL};
use crate::error::{Error, Kind};
use crate::reserve::{WhenEmpty, when_empty};
use crate::session::{self, Busy, Running};
use crate::writer::Ask;
use crate::{clock, memory, slot};

/// Longest wait for the writer.
const WRITER_WAIT: Duration = Duration::from_secs(5);

/// Why nothing was done, in one line.
type Refused = String;

/// Carries requests out.
pub(super) struct Commands {
    config: Config,
    hook: Hook,
    /// What can give memory back.
    allocator: Option<Source>,
    snapshots: u32,
}

impl From<Busy> for Refused {
    fn from(_: Busy) -> Refused {
        "a session is being started or ended at this moment; ask again".to_owned()
    }
}

impl Commands {
    /// Sessions are started as `config` says, unless the request says otherwise.
    pub(super) fn new(config: Config, hook: Hook, allocator: Option<Source>) -> Commands {
        Commands { config, hook, allocator, snapshots: 0 }
    }

    /// Does what is asked, and says what came of it.
    pub(super) fn answer(&mut self, request: Request) -> Answer {
        // Parking here could be with what the program waits for, and would end a recording for want of memory for an answer.
        let done = when_empty(WhenEmpty::TakeHeldBack, || self.carry_out(request));
        done.unwrap_or_else(Answer::Refused)
    }

    fn carry_out(&mut self, request: Request) -> Result<Answer, Refused> {
        match request {
            Request::Status => status(),
            Request::Start(options) => self.start(&options),
            Request::Stop => stop(),
            Request::Pause => set_phase(Phase::Paused),
            Request::Resume => set_phase(Phase::Recording),
            Request::Interval { bytes } => set_interval(bytes),
            Request::Mark { name } => mark(name),
            Request::Snapshot { name } => self.snapshot(name),
            Request::Flush => Ok(written(have_done(|_| Ok(Ask::Flush))?, String::new())),
            Request::Purge => self.purge(),
        }
    }

    fn start(&self, options: &StartOptions) -> Result<Answer, Refused> {
        if let Some(path) = session::with_current(|running| running.map(|running| running.path.clone()))? {
            return Err(format!("it records already, into {}; stop that first", path.display()));
        }
        let recording = asked_recording(options, self.config.recording)?;
        let config = Config { recording, output: Some(self.place(options)?), ..self.config.clone() };
        match session::start_asked(&config, self.hook) {
            Ok(_number) => status(),
            Err(Kind::AlreadyRecording) => Err(Busy.into()),
            Err(kind) => Err(Error(kind).to_string()),
        }
    }

    /// Where the capture goes: as asked; else into the directory that the program was given; else into one of the user's.
    fn place(&self, options: &StartOptions) -> Result<PathBuf, Refused> {
        if let Some(output) = &options.output {
            let is_whole = Path::new(output).is_absolute() && output.len() <= MAX_PATH_BYTES;
            return is_whole.then(|| PathBuf::from(output)).ok_or_else(|| "the path is not a whole one".to_owned());
        }
        let is_directory = |path: &&PathBuf| path.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir();
        let given = self.config.output.as_ref().filter(is_directory).cloned();
        given.map_or_else(place::for_captures, Ok).map_err(|why| format!("no place for a capture: {why}"))
    }

    fn snapshot(&mut self, name: Option<String>) -> Result<Answer, Refused> {
        let name = match name {
            Some(name) => checked_name(name)?,
            None => {
                self.snapshots += 1;
                format!("snapshot-{}", self.snapshots)
            }
        };
        Ok(written(have_done(|_| Ok(Ask::Snapshot(name.clone())))?, name))
    }

    fn purge(&self) -> Result<Answer, Refused> {
        let (start, rss_before_bytes) = (clock::monotonic_ns(), memory::rss_bytes());
        let allocators = allocator_stats::purge(self.allocator);
        let took_ns = clock::monotonic_ns().saturating_sub(start);
        if allocators.is_empty() {
            return Err(
                "no allocator of this program can give memory back: it is neither glibc's, nor one that says so by \
                        AllocatorStats::purge"
                    .to_owned(),
            );
        }
        Ok(Answer::Purged(Purged { allocators, rss_before_bytes, rss_after_bytes: memory::rss_bytes(), took_ns }))
    }
}

/// What is asked for, where something is; else as the program was set up.
fn asked_recording(options: &StartOptions, given: config::Recording) -> Result<config::Recording, Refused> {
    let interval = match (options.interval_bytes, given) {
        (Some(asked), _) => checked_interval(asked)?,
        (None, config::Recording::Sampled { interval }) => interval,
        (None, config::Recording::Exact) => DEFAULT_INTERVAL,
    };
    match (options.mode, options.interval_bytes) {
        (Some(Mode::Exact), Some(_)) => Err("exact recording has no interval".to_owned()),
        (Some(Mode::Exact), None) => Ok(config::Recording::Exact),
        (None, None) => Ok(given),
        (Some(Mode::Sampled), _) | (None, Some(_)) => Ok(config::Recording::Sampled { interval }),
    }
}

fn checked_interval(bytes: u64) -> Result<u64, Refused> {
    if (1..=MAX_INTERVAL).contains(&bytes) { Ok(bytes) } else { Err(Error(Kind::BadInterval).to_string()) }
}

fn checked_name(name: String) -> Result<String, Refused> {
    match name.len() {
        0 => Err("the name is empty".to_owned()),
        1..=MAX_NAME_BYTES => Ok(name),
        longer => Err(format!("the name has {longer} bytes, more than {MAX_NAME_BYTES}")),
    }
}

/// Does something with the session that records.
fn with_recording<R>(work: impl FnOnce(&Running) -> R) -> Result<R, Refused> {
    session::with_current(|running| running.map(work))?
        .ok_or_else(|| "it records nothing at the moment; start that first".to_owned())
}

/// Has the writer do something; the capture's path. The session may end meanwhile, so nothing of it is held.
fn have_done(ask: impl FnOnce(&Running) -> Result<Ask, Refused>) -> Result<PathBuf, Refused> {
    let (path, shared, number) = with_recording(|running| {
        let number = running.shared.desk.ask(running.recorder, ask(running)?);
        Ok::<_, Refused>((running.path.clone(), running.shared.clone(), number))
    })??;
    shared.desk.wait(number, &shared, WRITER_WAIT)?;
    Ok(path)
}

fn written(path: PathBuf, name: String) -> Answer {
    Answer::Written(Written { path: text(path), name })
}

/// A path as it can be sent.
fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

fn stop() -> Result<Answer, Refused> {
    let summary = session::stop_asked()?.map_err(|kind| Error(kind).to_string())?;
    let summary = summary.ok_or_else(|| "it records nothing at the moment".to_owned())?;
    Ok(Answer::Stopped(Stopped {
        path: summary.path.map(text).unwrap_or_default(),
        written_bytes: summary.written_bytes,
        events: summary.events,
        lost_allocations: summary.lost_allocations,
        lost_frees: summary.lost_frees,
    }))
}

fn set_phase(phase: Phase) -> Result<Answer, Refused> {
    with_recording(|running| running.set_phase(phase))?;
    status()
}

fn set_interval(bytes: u64) -> Result<Answer, Refused> {
    let bytes = checked_interval(bytes)?;
    have_done(|running| match running.recorder.mode {
        Mode::Sampled => Ok(Ask::Interval(bytes)),
        Mode::Exact => Err("it records everything, which has no interval".to_owned()),
    })?;
    status()
}

fn mark(name: String) -> Result<Answer, Refused> {
    let name = checked_name(name)?;
    let path = with_recording(|running| {
        running.mark(name.clone());
        running.path.clone()
    })?;
    Ok(written(path, name))
}

fn status() -> Result<Answer, Refused> {
    Ok(Answer::Status(Status {
        pid: std::process::id(),
        program: session::program_name(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        recording: session::with_current(|running| running.map(recording))?,
        sessions: session::count(),
        live_bytes: slot::sums().program.live_bytes().max(0) as u64,
        rss_bytes: memory::rss_bytes(),
    }))
}

fn recording(running: &Running) -> Recording {
    let recorder = running.recorder;
    let is_paused = recorder.paused.load(Ordering::Relaxed);
    Recording {
        path: text(running.path.clone()),
        mode: recorder.mode,
        phase: if is_paused { Phase::Paused } else { Phase::Recording },
        interval_bytes: recorder.intervals.now(),
    }
}
