//! Control from outside: a thread that listens on a Unix socket, when the program was set up so. `docs/control.md` says
//! what can be asked and who may.
//!
//! The thread is the agent's, and all that runs in an idle session. What it starts, pauses and ends is the one session of
//! the process, also one that the program started itself. A forked child has no such thread, and closes its copy of the
//! socket, so that it does not keep alive what nobody answers.

mod clients;
mod commands;
mod place;

use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use plimsoll_format::Hook;

use crate::agent_side::AgentThread;
use crate::allocator_stats::{self, glibc};
use crate::config::Config;
use crate::error::Kind;
use crate::writer::lock;
use crate::{clock, sys};
use commands::Commands;
use place::Listener;

/// Longest wait for the thread when the session ends: it may be in the middle of giving memory back.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// What the session and the thread tell each other.
#[derive(Default)]
struct Stop {
    asked: AtomicU32,
    done: AtomicBool,
    /// The socket, which is removed at the end.
    path: Mutex<PathBuf>,
}

impl Stop {
    fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Acquire) != 0
    }

    /// Waits for the end, `longest` at most.
    fn wait(&self, longest: Duration) {
        sys::futex_wait(&self.asked, 0, longest);
    }
}

/// Says that the thread has ended, whatever ends it.
struct Done(Arc<Stop>);

impl Drop for Done {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::Release);
    }
}

struct Listening {
    thread: AgentThread,
    stop: Arc<Stop>,
}

/// Never held while the thread is waited for.
static LISTENING: Mutex<Option<Listening>> = Mutex::new(None);
/// The process that listens, 0 for none.
static OWNER: AtomicU32 = AtomicU32::new(0);
/// The listening descriptor and the file on it, for children, which may take no lock.
static DESCRIPTOR: AtomicI32 = AtomicI32::new(-1);
static IDENTITY: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

/// Begins to listen.
///
/// # Errors
/// The process listens already, or there is no place for a socket, or no thread.
pub(crate) fn listen(config: &Config, hook: Hook) -> Result<(), Kind> {
    // A parent's lock may be held for ever in a child; its socket is not ours.
    let mut listening = match LISTENING.try_lock() {
        Ok(listening) => listening,
        Err(std::sync::TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => return Err(Kind::AlreadyListening),
    };
    if is_listening() {
        return Err(Kind::AlreadyListening);
    }
    std::mem::forget(listening.take());
    glibc::find();
    let allocator = allocator_stats::ask();
    let listener = place::listen().map_err(Kind::NoControl)?;
    let stop = Arc::new(Stop { path: Mutex::new(listener.path.clone()), ..Stop::default() });
    publish(&listener);
    let path = listener.path.clone();
    let work = {
        let (stop, mut commands) = (stop.clone(), Commands::new(config.clone(), hook, allocator));
        move || {
            let _done = Done(stop.clone());
            clients::run(listener, &stop, |request| commands.answer(request));
        }
    };
    match AgentThread::spawn("plimsoll-ctl", Box::new(work)) {
        Ok(thread) => {
            OWNER.store(std::process::id(), Ordering::Relaxed);
            *listening = Some(Listening { thread, stop });
            Ok(())
        }
        Err(error) => {
            let _ = std::fs::remove_file(path);
            Err(Kind::NoThread(error))
        }
    }
}

/// The descriptor was lost: another socket in its place.
fn listen_again(stop: &Stop) -> Option<Listener> {
    let listener = place::listen().ok()?;
    // Made before the lock is taken: with it in hand this thread must not run out of memory.
    let mut path = listener.path.clone();
    std::mem::swap(&mut *lock(&stop.path), &mut path);
    publish(&listener);
    Some(listener)
}

/// Says which descriptor children are to close.
fn publish(listener: &Listener) {
    let Ok(file) = listener.socket.get() else { return };
    let Ok(metadata) = file.metadata() else { return };
    IDENTITY[0].store(metadata.dev(), Ordering::Relaxed);
    IDENTITY[1].store(metadata.ino(), Ordering::Relaxed);
    DESCRIPTOR.store(file.as_raw_fd(), Ordering::Release);
}

/// Whether this process listens, rather than its parent or nobody.
pub(crate) fn is_listening() -> bool {
    OWNER.load(Ordering::Relaxed) == std::process::id()
}

/// Ends listening, if this process does.
pub(crate) fn close() {
    if !is_listening() {
        return;
    }
    let Some(Listening { thread, stop }) = lock(&LISTENING).take() else { return };
    OWNER.store(0, Ordering::Relaxed);
    // Before the thread ends: nobody is to find a socket that does not answer.
    let _ = std::fs::remove_file(&*lock(&stop.path));
    stop.asked.store(1, Ordering::Release);
    sys::futex_wake(&stop.asked);
    sys::shut_down_if_still(DESCRIPTOR.swap(-1, Ordering::Acquire), identity());
    let start = clock::monotonic_ns();
    while !stop.done.load(Ordering::Acquire) {
        if clock::monotonic_ns().saturating_sub(start) > STOP_WAIT.as_nanos() as u64 {
            // It sees that it is to end as soon as it has done what it does.
            return;
        }
        sys::sleep(Duration::from_micros(200));
    }
    thread.join();
}

/// In a forked child: the socket is the parent's.
pub(crate) fn abandon() {
    sys::close_if_still(DESCRIPTOR.swap(-1, Ordering::Relaxed), identity());
}

fn identity() -> (u64, u64) {
    (IDENTITY[0].load(Ordering::Relaxed), IDENTITY[1].load(Ordering::Relaxed))
}
