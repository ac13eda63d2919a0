//! The thread that notices libraries coming and going.
//!
//! It asks the loader once a tick, which takes the loader's lock; the writer must not do that, since a thread inside
//! the loader may be waiting for the writer. While the loader's lock is held nothing of ours is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use plimsoll_format::{Module, Record};

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

/// The thread's whole life: until `stop` is not zero.
pub(crate) fn run(recorder: &'static Recorder, shared: &Arc<Shared>, stop: &AtomicU32, tick: Duration) {
    let mut generation = modules::generation();
    while stop.load(Ordering::Acquire) == 0 {
        sys::futex_wait(stop, 0, tick);
        let now = modules::generation();
        if now == generation || stop.load(Ordering::Acquire) != 0 {
            continue;
        }
        generation = now;
        let loaded = modules::loaded();
        if lock(&shared.modules).update(&loaded) {
            recorder.unwinders.update(&loaded);
        }
    }
}
