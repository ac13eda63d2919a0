//! The session that runs, whoever started it: what the control thread does with it.
//!
//! The control thread never waits for ever: whoever holds the lock may be in the middle of ending a session, or a thread
//! of the parent's that a forked child does not have.

use std::sync::TryLockError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plimsoll_format::{EndReason, Hook, Phase, Record};

use super::{FINISH_WAIT, OWNER, RUNNING, Running, SESSIONS, Summary, launch, stop};
use crate::config::Config;
use crate::error::Kind;
use crate::{clock, sys};

/// Longest wait for a session that is being started or ended.
const BUSY_WAIT: Duration = Duration::from_secs(3);

/// Another thread starts or ends a session at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy;

impl Running {
    /// Pauses, or goes on.
    pub(crate) fn set_phase(&self, phase: Phase) {
        self.recorder.paused.store(phase == Phase::Paused, Ordering::Relaxed);
        self.shared.note([Record::Phase { ticks: clock::now(), phase }]);
    }

    /// Names this moment.
    pub(crate) fn mark(&self, name: String) {
        self.shared.note([Record::Marker { ticks: clock::now(), name }]);
    }
}

/// Sessions that this process has begun.
pub(crate) fn count() -> u32 {
    SESSIONS.load(Ordering::Relaxed)
}

/// Gives `work` the session that runs, `None` when none does.
pub(crate) fn with_current<R>(work: impl FnOnce(Option<&Running>) -> R) -> Result<R, Busy> {
    with_lock(|running| work(running.as_ref().filter(|running| running.pid == std::process::id())))
}

/// Starts a session because somebody asks for it; its number.
pub(crate) fn start_asked(config: &Config, hook: Hook) -> Result<u32, Kind> {
    launch::start_running(config, hook, true)
}

/// Ends the session that runs because somebody asks for it; `None` when none does.
pub(crate) fn stop_asked() -> Result<Result<Option<Summary>, Kind>, Busy> {
    if OWNER.load(Ordering::Relaxed) != std::process::id() {
        return Ok(Ok(None));
    }
    with_lock(|running| running.take().map(|ours| stop(ours, EndReason::Finished, FINISH_WAIT)).transpose())
}

fn with_lock<R>(work: impl FnOnce(&mut Option<Running>) -> R) -> Result<R, Busy> {
    let start = clock::monotonic_ns();
    loop {
        match RUNNING.try_lock() {
            Ok(mut running) => return Ok(work(&mut running)),
            Err(TryLockError::Poisoned(poisoned)) => return Ok(work(&mut poisoned.into_inner())),
            Err(TryLockError::WouldBlock) => {}
        }
        if clock::monotonic_ns().saturating_sub(start) > BUSY_WAIT.as_nanos() as u64 {
            return Err(Busy);
        }
        sys::sleep(Duration::from_millis(1));
    }
}
