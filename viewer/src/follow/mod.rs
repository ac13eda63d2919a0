//! Follows captures while they grow: the live picture that the terminal, the dashboard, the status lines and the alerts
//! show.
//!
//! There are two speeds. Every second the blocks that have come to each capture are read, and nothing twice: memory,
//! counters, losses, how the process is. Sites and verdicts need all events; a thread in the background looks at the
//! whole capture again, for a bounded part of a processor's time, and its age is shown. The profiled program pays for
//! neither. `docs/follow.md` says what is promised.
//!
//! ```no_run
//! use std::time::Duration;
//! use plimsoll_viewer::follow::{FollowOptions, Follower, Target};
//!
//! let targets = vec![Target::named("captures/".as_ref())];
//! let follower = Follower::start(FollowOptions { targets, ..FollowOptions::default() })?;
//! let mut picture = follower.now();
//! while let Some(next) = follower.wait(picture.number, Duration::from_secs(10)) {
//!     picture = next;
//!     for capture in &picture.captures {
//!         println!("{} {} {}", capture.program, capture.state.name(), capture.rss.bars);
//!     }
//! }
//! # Ok::<(), plimsoll_viewer::follow::FollowError>(())
//! ```

mod alive;
mod asking;
mod following;
mod found;
mod level;
mod look;
mod looking;
mod open;
mod options;
mod picture;
mod processes;
mod series;
mod session;
mod strip;
mod tail;
#[cfg(test)]
mod tail_test;
mod watching;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use asking::{AskError, ask_program};
pub use level::{Level, Levels, Limit, LimitOf};
pub use look::{Look, LookError, LookOptions};
pub use options::{EVERY, FollowOptions, Target};
pub use picture::{Followed, Picture, Process, Rates, Reading, State, Sum, System, Trend};
pub use series::{POINTS, Sample, Series, Span, Values};
pub use strip::{STRIP_BARS, Strip};

use looking::Board;
use watching::Watching;

/// Why nothing can be followed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FollowError {
    /// The system gave no thread.
    #[error("cannot start a thread to follow captures with: {0}; raise the limit of processes and try again")]
    Thread(#[source] std::io::Error),
}

/// Follows captures and processes until it is dropped; see the [module](self).
#[derive(Debug)]
pub struct Follower {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<Latest>,
    changed: Condvar,
    board: Board,
}

#[derive(Debug, Default)]
struct Latest {
    picture: Arc<Picture>,
    /// A picture is asked for before its time.
    hurry: bool,
    stopped: bool,
}

impl Follower {
    /// Starts to follow. The first picture comes after one round, see [`Follower::wait`].
    ///
    /// # Errors
    ///
    /// When the system gives no thread.
    pub fn start(options: FollowOptions) -> Result<Follower, FollowError> {
        let shared = Arc::new(Shared::default());
        let mut follower = Follower { shared: shared.clone(), threads: Vec::new() };
        if let Some(look) = options.look.clone() {
            let shared = shared.clone();
            follower.spawn("looking", move || shared.board.run(&look, &|| shared.hurry()))?;
        }
        follower.spawn("following", move || shared.run(options))?;
        Ok(follower)
    }

    fn spawn(&mut self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), FollowError> {
        let thread = thread::Builder::new().name(name.to_owned()).spawn(run).map_err(FollowError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }

    /// The newest picture; before the first one an empty one with number 0.
    pub fn now(&self) -> Arc<Picture> {
        self.shared.lock().picture.clone()
    }

    /// Waits for a picture with a larger number than `after`; `None` when none comes within `timeout`.
    pub fn wait(&self, after: u64, timeout: Duration) -> Option<Arc<Picture>> {
        let is_old = |latest: &mut Latest| latest.picture.number <= after;
        let waited = self.shared.changed.wait_timeout_while(self.shared.lock(), timeout, is_old);
        let (latest, _) = waited.unwrap_or_else(PoisonError::into_inner);
        (latest.picture.number > after).then(|| latest.picture.clone())
    }

    /// Asks for a picture now rather than at its time.
    pub fn hurry(&self) {
        self.shared.hurry();
    }

    /// Asks for a look at a capture, by its id, before its turn.
    pub fn want(&self, id: &str) {
        self.shared.board.want(id);
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        self.shared.board.stop();
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hurry(&self) {
        self.lock().hurry = true;
        self.changed.notify_all();
    }

    /// Makes pictures until it is told to stop.
    fn run(&self, options: FollowOptions) {
        let every = options.every.clamp(EVERY.0, EVERY.1);
        let mut watching = Watching::new(options);
        loop {
            let due = Instant::now() + every;
            let picture = watching.picture(&self.board);
            let mut latest = self.lock();
            latest.picture = Arc::new(picture);
            self.changed.notify_all();
            let goes_on = |latest: &mut Latest| !latest.stopped && !latest.hurry;
            let left = due.saturating_duration_since(Instant::now());
            let waited = self.changed.wait_timeout_while(latest, left, goes_on);
            latest = waited.unwrap_or_else(PoisonError::into_inner).0;
            latest.hurry = false;
            if latest.stopped {
                return;
            }
        }
    }
}
