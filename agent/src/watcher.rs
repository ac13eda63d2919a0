//! The thread that notices libraries coming and going, and reads what the resident set is for.
//!
//! It asks the loader once a tick, which takes the loader's lock; the writer must not do that, since a thread inside
//! the loader may be waiting for the writer. While the loader's lock is held nothing of ours is. The same goes for the
//! locks of the allocators and of the address space, which readings of the [`Footprint`] take: hooks wait for the
//! writer, and nobody waits for this thread, but the end of a session for some time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;

use plimsoll_format::{Module, Record};

use crate::memory::Footprint;
use crate::modules::{self, LoadedModule};
use crate::recorder::Recorder;
use crate::writer::{Shared, lock};
use crate::{clock, sys};

/// Modules of a session, and what the writer has not been told yet.
#[derive(Default)]
pub(crate) struct ModuleList {
    known: Vec<(Module, LoadedModule)>,
    next_id: u32,
    pub(crate) news: Vec<Record>,
}

impl ModuleList {
    /// Compares with what is mapped now; true when something changed.
    pub(crate) fn update(&mut self, loaded: &[LoadedModule]) -> bool {
        let ticks = clock::now();
        let before = self.news.len();
        let news = &mut self.news;
        self.known.retain(|(module, known)| {
            let stays = loaded.iter().any(|module| module.is_same(known));
            if !stays {
                news.push(Record::ModuleUnloaded { id: module.id, ticks });
            }
            stays
        });
        for new in loaded {
            if self.known.iter().any(|(_, known)| known.is_same(new)) {
                continue;
            }
            self.next_id += 1;
            let module = Module {
                id: self.next_id,
                ticks,
                bias: new.bias,
                start: new.start,
                end: new.end,
                path: new.path.clone(),
                build_id: new.build_id.clone(),
            };
            self.news.push(Record::Module(module.clone()));
            self.known.push((module, new.clone()));
        }
        self.news.len() > before
    }

    /// All modules that are mapped now.
    pub(crate) fn all(&self) -> Vec<Record> {
        self.known.iter().map(|(module, _)| Record::Module(module.clone())).collect()
    }
}

/// What the session tells its watcher, and the other way round.
#[derive(Default)]
pub(crate) struct Stop {
    asked: AtomicU32,
    /// The last readings have been noted, or there will be none.
    done: AtomicBool,
}

impl Stop {
    /// Asks the thread to end, and waits for its last readings, `longest` at most.
    pub(crate) fn ask(&self, longest: Duration) {
        self.asked.store(1, Ordering::Release);
        sys::futex_wake(&self.asked);
        let start = clock::monotonic_ns();
        while !self.done.load(Ordering::Acquire)
            && clock::monotonic_ns().saturating_sub(start) < longest.as_nanos() as u64
        {
            sys::sleep(Duration::from_micros(100));
        }
    }
}

/// Says that there is nothing more to wait for, whatever ends the thread.
struct Done<'a>(&'a Stop);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
    }
}

/// The thread's whole life: until it is asked to stop.
pub(crate) fn run(
    recorder: &'static Recorder,
    shared: &Arc<Shared>,
    stop: &Stop,
    tick: Duration,
    mut footprint: Footprint,
) {
    let _done = Done(stop);
    let note = |records: Vec<Record>| shared.note(records);
    let mut generation = modules::generation();
    while stop.asked.load(Ordering::Acquire) == 0 {
        note(footprint.read_if_due());
        sys::futex_wait(&stop.asked, 0, tick);
        let now = modules::generation();
        if now == generation || stop.asked.load(Ordering::Acquire) != 0 {
            continue;
        }
        generation = now;
        let loaded = modules::loaded();
        if lock(&shared.modules).update(&loaded) {
            recorder.unwinders.update(&loaded, || stop.asked.load(Ordering::Acquire) != 0);
        }
    }
    note(footprint.read_at_end());
}
