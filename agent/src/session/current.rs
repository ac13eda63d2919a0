//! The session that runs, whoever started it: what the control thread does with it.
//!
//! The lock is held for moments only: threads of the program wait for it. Whoever starts or ends a session has its
//! [`Change`] meanwhile.

use std::sync::TryLockError;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use plimsoll_format::{EndReason, Hook, Phase, Record};

use super::{FINISH_WAIT, OWNER, RUNNING, Running, SESSIONS, Summary, launch, stop};
use crate::config::Config;
use crate::error::Kind;
use crate::writer::lock;
use crate::{clock, sys};

/// Longest wait for the lock. A forked child may have inherited it locked.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// Another thread starts or ends a session at this moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy;

/// Held by the one thread that starts or ends a session.
pub(super) struct Change(());

static CHANGING: AtomicBool = AtomicBool::new(false);

impl Change {
    /// `None` when another thread is at it.
    pub(super) fn begin() -> Option<Change> {
        CHANGING.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok().then_some(Change(()))
    }

    /// As [`Change::begin`], after waiting for the other thread, `longest` at most.
    pub(super) fn begin_within(longest: Duration) -> Option<Change> {
        let start = clock::monotonic_ns();
        loop {
            let change = Change::begin();
            if change.is_some() || clock::monotonic_ns().saturating_sub(start) > longest.as_nanos() as u64 {
                return change;
            }
            sys::sleep(Duration::from_micros(200));
        }
    }

    /// In a forked child: whoever was at it is not here.
    pub(super) fn forget_other_threads() {
        CHANGING.store(false, Ordering::Relaxed);
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        CHANGING.store(false, Ordering::Release);
    }
}

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
    let start = clock::monotonic_ns();
    loop {
        let own = |running: &Option<Running>| running.as_ref().is_some_and(|running| running.pid == std::process::id());
        match RUNNING.try_lock() {
            Ok(running) => return Ok(work(running.as_ref().filter(|_| own(&running)))),
            Err(TryLockError::Poisoned(poisoned)) => {
                let running = poisoned.into_inner();
                return Ok(work(running.as_ref().filter(|_| own(&running))));
            }
            Err(TryLockError::WouldBlock) => {}
        }
        if clock::monotonic_ns().saturating_sub(start) > BUSY_WAIT.as_nanos() as u64 {
            return Err(Busy);
        }
        sys::sleep(Duration::from_millis(1));
    }
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
    let _change = Change::begin().ok_or(Busy)?;
    let running = lock(&RUNNING).take();
    Ok(running.map(|running| stop(running, EndReason::Finished, FINISH_WAIT)).transpose())
}
