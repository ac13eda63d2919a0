//! What events refer to: modules, threads, tags and stack nodes. New ones are written as they appear, all of them at
//! keyframes.

use plimsoll_format::{Record, StackNode, Thread};

use super::{Shared, lock};
use crate::recorder::{Recorder, ThreadEnd};
use crate::{clock, slot, tag};

/// Nodes in one record.
const NODE_BATCH: usize = 4096;

/// What has been written so far.
#[derive(Default)]
pub(super) struct Definitions {
    /// Stack nodes below this were written, or wait in `unready`.
    nodes: u32,
    /// Nodes whose hook had not filled them in when they were looked at.
    unready: Vec<u32>,
    tags: usize,
    /// Thread last seen in each slot.
    threads: Vec<Thread>,
}

impl Definitions {
    /// What is new since the last call.
    pub(super) fn news(&mut self, recorder: &Recorder, shared: &Shared, write: &mut impl FnMut(&Record)) {
        let modules = std::mem::take(&mut lock(&shared.modules).news);
        modules.iter().for_each(&mut *write);
        self.new_tags().iter().for_each(&mut *write);
        self.new_threads().iter().for_each(&mut *write);
        self.new_nodes(recorder, write);
    }

    /// Everything that is still needed.
    pub(super) fn all(&mut self, recorder: &Recorder, shared: &Shared, write: &mut impl FnMut(&Record)) {
        let mut modules = lock(&shared.modules);
        // That a module has gone must still be said, and before the one that took its place.
        let mut records = std::mem::take(&mut modules.news);
        records.retain(|record| matches!(record, Record::ModuleUnloaded { .. }));
        records.extend(modules.all());
        drop(modules);
        records.iter().for_each(&mut *write);
        (self.nodes, self.tags) = (1, 0);
        self.unready.clear();
        self.new_tags().iter().for_each(&mut *write);
        self.new_threads();
        let threads = self.threads.iter().filter(|thread| thread.id != 0).cloned();
        threads.map(Record::Thread).for_each(|thread| write(&thread));
        self.new_nodes(recorder, write);
    }

    /// Batch by batch: all nodes of a full table would take 32 MiB at once.
    fn new_nodes(&mut self, recorder: &Recorder, write: &mut impl FnMut(&Record)) {
        let end = recorder.stacks.len() + 1;
        let mut candidates = std::mem::take(&mut self.unready).into_iter().chain(self.nodes.max(1)..end).peekable();
        while candidates.peek().is_some() {
            let mut ready: Vec<StackNode> = Vec::new();
            for id in candidates.by_ref().take(NODE_BATCH) {
                match recorder.stacks.node(id) {
                    Some(node) => ready.push(node),
                    None => self.unready.push(id),
                }
            }
            if !ready.is_empty() {
                write(&Record::StackNodes(ready));
            }
        }
        self.nodes = end;
    }

    fn new_tags(&mut self) -> Vec<Record> {
        let names = tag::names_after(self.tags);
        let first = self.tags as u32 + 1;
        self.tags += names.len();
        (first..).zip(names).map(|(id, name)| Record::Tag { id, name }).collect()
    }

    fn new_threads(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for (at, slot) in slot::all().enumerate() {
            if self.threads.len() <= at {
                self.threads.push(Thread { id: 0, os_id: 0, ticks: 0, name: String::new() });
            }
            let Some(known) = self.threads.get_mut(at) else { continue };
            let id = slot.thread.load(std::sync::atomic::Ordering::Acquire);
            if slot.is_agents() || !slot.is_used() || (known.id == id && !known.name.is_empty()) {
                continue;
            }
            let os_id = slot.os_thread.load(std::sync::atomic::Ordering::Relaxed);
            let name = std::fs::read_to_string(format!("/proc/self/task/{os_id}/comm")).unwrap_or_default();
            if known.id == id && name.is_empty() {
                continue;
            }
            *known = Thread { id, os_id, ticks: clock::now(), name: name.trim_end().to_owned() };
            records.push(Record::Thread(known.clone()));
        }
        records
    }

    /// What is to be written of a thread that has ended.
    pub(super) fn thread_ended(&mut self, end: &ThreadEnd) -> [Record; 3] {
        let name = end.name.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let thread = Thread { id: end.thread, os_id: end.os_thread, ticks: end.ticks, name };
        if let Some(known) = self.threads.iter_mut().find(|known| known.id == end.thread) {
            known.name.clone_from(&thread.name);
        }
        [
            Record::Thread(thread),
            Record::ThreadTotals { thread: end.thread, ticks: end.ticks, totals: end.totals },
            Record::ThreadEnd { thread: end.thread, ticks: end.ticks },
        ]
    }
}
