//! Threads that work step by step, together with the program's own.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Threads that each keep something and do a piece of work when they are told.
pub(super) struct Crew {
    workers: Vec<(SyncSender<u32>, Receiver<()>)>,
}

impl Crew {
    /// No threads yet.
    pub(super) fn with_capacity(capacity: usize) -> Crew {
        Crew { workers: Vec::with_capacity(capacity) }
    }

    /// One thread more: it keeps what `begin` makes and calls `work` with it at every step.
    pub(super) fn join<T: 'static>(
        &mut self,
        begin: impl FnOnce() -> T + Send + 'static,
        work: impl Fn(&mut T, u32) + Send + 'static,
    ) {
        let (tell, told) = sync_channel::<u32>(1);
        let (say, said) = sync_channel(1);
        let run = move || {
            let mut kept = begin();
            while let Ok(step) = told.recv() {
                work(&mut kept, step);
                if say.send(()).is_err() {
                    break;
                }
            }
        };
        std::thread::spawn(run);
        self.workers.push((tell, said));
    }

    /// Lets every thread do its work of this step, one after the other, so that all runs are alike.
    pub(super) fn step(&self, step: u32) {
        for (tell, said) in &self.workers {
            if tell.send(step).is_ok() {
                let _ended = said.recv();
            }
        }
    }
}
