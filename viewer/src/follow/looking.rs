//! Looks at captures in the background, one after the other, for a bounded part of a processor's time: after each look
//! it rests for ten times what that took, and for a second at least.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::look::{Look, LookOptions};
use super::picture::State;

/// Rest after a look, in times of what it took.
const REST: u32 = 10;
/// The shortest rest.
const LEAST_REST: Duration = Duration::from_secs(1);
/// Captures that are looked at; of more, those that are asked for and the first ones.
const MAX_LOOKS: usize = 8;

/// A capture that may be looked at.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub(super) id: String,
    pub(super) path: PathBuf,
    /// Changes whenever something came, or its process went.
    pub(super) version: (u64, State),
}

/// What a look gave.
pub(super) type Looked = Result<Arc<Look>, String>;

/// What the follower and the thread that looks tell each other.
#[derive(Debug, Default)]
pub(super) struct Board {
    inner: Mutex<Notes>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Notes {
    candidates: Vec<Candidate>,
    /// Version that each was looked at, and when.
    done: HashMap<String, ((u64, State), Instant)>,
    /// Asked for out of turn, and not looked at yet.
    wanted: Option<String>,
    /// Asked for last.
    favourite: Option<String>,
    results: HashMap<String, Looked>,
    stopped: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Notes> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what was found since the last call.
    pub(super) fn results(&self) -> HashMap<String, Looked> {
        std::mem::take(&mut self.lock().results)
    }

    /// Says what there is to look at, in order of interest. Gives the ids of those whose looks are of no more interest.
    pub(super) fn offer(&self, candidates: Vec<Candidate>) -> Vec<String> {
        let mut notes = self.lock();
        let rest = candidates.iter().skip(MAX_LOOKS).map(|candidate| &candidate.id);
        let stale = rest.filter(|id| notes.favourite.as_ref() != Some(*id)).cloned().collect();
        notes.done.retain(|id, _| candidates.iter().any(|candidate| candidate.id == *id));
        notes.candidates = candidates;
        self.changed.notify_all();
        stale
    }

    /// Asks for a look at a capture before its turn.
    pub(super) fn want(&self, id: &str) {
        let mut notes = self.lock();
        notes.done.remove(id);
        notes.wanted = Some(id.to_owned());
        notes.favourite = notes.wanted.clone();
        self.changed.notify_all();
    }

    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    /// Looks until it is told to stop; calls `found` after each look.
    pub(super) fn run(&self, options: &LookOptions, found: &dyn Fn()) {
        while let Some(candidate) = self.next() {
            let begin = Instant::now();
            let looked = Look::at(&candidate.path, options).map(Arc::new).map_err(|error| error.to_string());
            let took = begin.elapsed();
            let mut notes = self.lock();
            notes.done.insert(candidate.id.clone(), (candidate.version, Instant::now()));
            notes.results.insert(candidate.id, looked);
            drop(notes);
            found();
            self.rest(took.saturating_mul(REST).max(LEAST_REST));
        }
    }

    /// Waits for something to look at: what was asked for, else of what has changed that which was not looked at for the
    /// longest time. `None` when it is time to stop.
    fn next(&self) -> Option<Candidate> {
        let mut notes = self.lock();
        loop {
            if notes.stopped {
                return None;
            }
            let wanted = notes.wanted.take();
            let asked = notes.candidates.iter().find(|candidate| Some(&candidate.id) == wanted.as_ref());
            let changed = notes.candidates.iter().take(MAX_LOOKS).filter(|candidate| {
                candidate.version.0 > 0 && notes.done.get(&candidate.id).is_none_or(|done| done.0 != candidate.version)
            });
            let oldest = changed.min_by_key(|candidate| notes.done.get(&candidate.id).map(|done| done.1));
            if let Some(candidate) = asked.or(oldest) {
                return Some(candidate.clone());
            }
            notes = self.changed.wait(notes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Rests, unless it is time to stop or something is asked for.
    fn rest(&self, time: Duration) {
        let end = Instant::now() + time;
        let mut notes = self.lock();
        while let Some(left) = end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
            if notes.stopped || notes.wanted.is_some() {
                return;
            }
            notes = self.changed.wait_timeout(notes, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
