//! How a session takes its recorder away from hooks, and how a starting one reaches every thread: the steps of
//! `hook::enter_if`, `recorder::{install, detach}` and `Slot::set_stops`, one line each.
//!
//! loom knows no `membarrier`; a fence of either side stands for it, which is what it amounts to wherever the hook's
//! compiler fence is.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use loom::sync::atomic::{AtomicBool, AtomicU32, fence};
use loom::thread;

#[derive(Default)]
struct World {
    /// Whether there is a recorder: `CURRENT`.
    current: AtomicBool,
    busy: AtomicBool,
    /// The next event is due.
    stopped: AtomicBool,
    joined: AtomicU32,
    /// What the recorder points to: freed by writing to it, used by reading.
    recorder: UnsafeCell<u32>,
}

impl World {
    /// One event; `set_stops` is its last step.
    fn hook(&self) {
        if !self.stopped.load(Acquire) {
            return;
        }
        self.busy.store(true, Relaxed);
        fence(SeqCst);
        let current = self.current.load(Acquire);
        if current {
            self.recorder.with(|_| ());
            self.joined.fetch_add(1, Relaxed);
        }
        self.stopped.store(false, Release);
        fence(SeqCst);
        if self.current.load(Acquire) != current {
            self.stopped.fetch_or(true, AcqRel);
        }
        self.busy.store(false, Release);
    }
}

/// The recorder is freed only when no hook uses it; loom reports a read that meets the write.
#[test]
fn no_hook_uses_a_recorder_that_is_freed() {
    loom::model(|| {
        let world = Arc::new(World::default());
        world.current.store(true, Release);
        world.stopped.store(true, Release);
        let hook = {
            let world = world.clone();
            thread::spawn(move || {
                world.hook();
                world.hook();
            })
        };
        world.current.store(false, Release);
        fence(SeqCst);
        while world.busy.load(Acquire) {
            thread::yield_now();
        }
        world.recorder.with_mut(|_| ());
        hook.join().expect("no panic");
    });
}

/// A thread that is in its slow path while a session starts joins it at its next event: its stop is not overwritten.
#[test]
fn a_starting_session_reaches_a_thread_in_its_slow_path() {
    loom::model(|| {
        let world = Arc::new(World::default());
        world.stopped.store(true, Release);
        let hook = {
            let world = world.clone();
            thread::spawn(move || world.hook())
        };
        world.current.store(true, Release);
        fence(SeqCst);
        world.stopped.fetch_or(true, AcqRel);
        hook.join().expect("no panic");
        world.hook();
        assert!(world.joined.load(Relaxed) >= 1, "the session is not joined");
    });
}
