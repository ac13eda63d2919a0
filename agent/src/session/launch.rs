//! How a session comes to be: checks, tables, the capture's file, the two threads, and last the hooks.

use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, TryLockError};

use plimsoll_format::{ArenaInfo, EndReason, Header, Hook, Mode};

use super::current::Change;
use super::{OWNER, RUNNING, Running, SESSIONS, at_process_events, program_name};
use crate::agent_side::AgentThread;
use crate::allocator_stats::{self, glibc};
use crate::chunk::CHUNK_BYTES;
use crate::config::{Config, LEAST_MAX_BYTES, MAX_INTERVAL, Recording};
use crate::dead_arenas::{self, Identity};
use crate::error::Kind;
use crate::memory::{self, Footprint, oom_kills_of};
use crate::recorder::{self, Recorder, TableSizes};
use crate::shared_arena::Place;
use crate::writer::{Output, Shared, Writer, lock};
use crate::{clock, modules, slot, sys, unwind, watcher};

/// Starts a session in this process, if there is none; its number.
pub(super) fn start_running(config: &Config, hook: Hook, was_asked_for: bool) -> Result<u32, Kind> {
    check(config)?;
    let _change = Change::begin().ok_or(Kind::AlreadyRecording)?;
    match RUNNING.try_lock() {
        Ok(mut running) => forget_parents(&mut running)?,
        Err(TryLockError::Poisoned(poisoned)) => forget_parents(&mut poisoned.into_inner())?,
        Err(TryLockError::WouldBlock) => return Err(Kind::AlreadyRecording),
    }
    // Without the lock, which threads of the program wait for.
    let started = Running { was_asked_for, ..launch(config, hook)? };
    let number = started.number;
    *lock(&RUNNING) = Some(started);
    Ok(number)
}

/// A parent's session in a forked child: its threads are not here.
fn forget_parents(running: &mut Option<Running>) -> Result<(), Kind> {
    match running.take() {
        Some(other) if other.pid == std::process::id() => {
            *running = Some(other);
            return Err(Kind::AlreadyRecording);
        }
        Some(other) => std::mem::forget(other),
        None => {}
    }
    Ok(())
}

fn check(config: &Config) -> Result<(), Kind> {
    if let Recording::Sampled { interval } = config.recording
        && !(1..=MAX_INTERVAL).contains(&interval)
    {
        return Err(Kind::BadInterval);
    }
    if !config.compression.is_built_in() {
        return Err(Kind::NoZstd);
    }
    match config.max_bytes {
        Some(bytes) if bytes < LEAST_MAX_BYTES => Err(Kind::BadMaxBytes(LEAST_MAX_BYTES)),
        _ => Ok(()),
    }
}

fn launch(config: &Config, hook: Hook) -> Result<Running, Kind> {
    let output = config.output.as_deref().ok_or(Kind::NoOutput)?;
    at_process_events();
    glibc::find();
    #[cfg(debug_assertions)]
    crate::kill_point::set_up();
    let footprint = Footprint::new(allocator_stats::ask());
    let clock = clock::choose();
    let loaded = modules::loaded();
    let (unwinder, unwinder_text) = unwind::choose(config.unwinder, &loaded);
    // Nobody else starts one meanwhile.
    let number = SESSIONS.load(Ordering::Relaxed) + 1;
    let seed = config.seed.unwrap_or_else(sys::random);
    let output = Output::create(output, config.bound())?;
    let path = output.base().to_owned();
    let session = sys::random();
    let (sizes, place, oom_kills) = tables(config, session, &path);
    let Some(recorder) = Recorder::map(number, config.recording, seed, unwinder, &loaded, (&sizes, &place)) else {
        place.give_up();
        let _ = std::fs::remove_file(&path);
        return Err(Kind::NoMemory);
    };
    recorder.arena.set_oom_kills(oom_kills);
    let shared = Arc::new(Shared::default());
    lock(&shared.modules).update(&loaded);
    let header = header(config, &recorder, session, hook, clock, unwinder_text);
    let recorder = recorder::leak(recorder);
    let writer = Writer::open(recorder, shared.clone(), header, output, config);
    if let Some(error) = writer.opening_error() {
        let path = writer.path().to_owned();
        drop(writer);
        place.give_up();
        // SAFETY: hooks have never seen this recorder, and the writer is gone.
        unsafe { recorder::free(recorder) };
        return Err(Kind::Writing { path, error: error.to_string() });
    }
    let writer = AgentThread::spawn("plimsoll-writer", Box::new(move || writer.run())).map_err(Kind::NoThread)?;
    let watcher_stop = Arc::new(watcher::Stop::default());
    let watch = {
        let (shared, stop, tick) = (shared.clone(), watcher_stop.clone(), config.tick);
        move || watcher::run(recorder, &shared, &stop, tick, footprint)
    };
    let watcher = match AgentThread::spawn("plimsoll-watch", Box::new(watch)) {
        Ok(watcher) => watcher,
        Err(error) => {
            // The writer ends by itself; its recorder stays, as it may take a moment.
            *lock(&shared.ending) = Some(EndReason::Detached("a thread could not be started".to_owned()));
            recorder.call_writer();
            return Err(Kind::NoThread(error));
        }
    };
    OWNER.store(std::process::id(), Ordering::Relaxed);
    SESSIONS.store(number, Ordering::Relaxed);
    recorder::install(recorder);
    let (was_asked_for, pid) = (false, std::process::id());
    Ok(Running { number, was_asked_for, pid, recorder, shared, writer, watcher, watcher_stop, path })
}

/// Sizes and place of the tables that are to outlive the process. Saves what earlier ones left first: it takes memory.
fn tables(config: &Config, session: u64, capture: &Path) -> (TableSizes, Place, Option<u64>) {
    let program = program_name();
    let own = Identity::own();
    dead_arenas::save(&config.keep_in, &program, &own);
    let (limit_bytes, oom_file) = memory::limit();
    let oom_kills = oom_kills_of(&oom_file);
    let mode = config.recording.mode();
    let sizes = TableSizes::of(mode, limit_bytes);
    let info = ArenaInfo {
        session,
        pid: std::process::id(),
        start_time: own.start_time,
        boot_id: own.boot_id,
        pid_namespace: own.pid_namespace,
        program,
        capture: capture.as_os_str().as_encoded_bytes().to_vec(),
        oom_file,
        mode,
        ring_positions: sizes.ring as u32,
        journal_entries: sizes.journal as u32,
        chunks: sizes.chunks as u32,
        chunk_bytes: CHUNK_BYTES as u32,
    };
    let place = Place::make(&config.keep_in, &info, limit_bytes);
    (sizes, place, oom_kills)
}

fn header(
    config: &Config,
    recorder: &Recorder,
    session: u64,
    hook: Hook,
    clock: plimsoll_format::Clock,
    unwinder: String,
) -> Header {
    Header {
        session,
        segment: 0,
        mode: recorder.mode,
        interval_bytes: if recorder.mode == Mode::Exact { 1 } else { recorder.intervals.first() },
        pointer_bits: usize::BITS as u8,
        clock,
        start: clock::anchor(),
        hook,
        pid: std::process::id(),
        program: program_name(),
        arch: std::env::consts::ARCH.to_owned(),
        os: std::env::consts::OS.to_owned(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        unwinder,
        tick_ns: config.tick.as_nanos() as u64,
        max_bytes: config.bound().unwrap_or(0),
        before: slot::sums().program,
        dropped_segments: 0,
    }
}
