//! Sessions: from the first line of `main` to the last record of the capture.
//!
//! ```text
//!            start                pause
//!   Idle ──────────▶ Recording ◀────────▶ Paused
//!    ▲                   │       resume      │
//!    │                   ▼                   │
//!    └───── Draining ◀── finish, drop, exit ─┘
//!
//!   any ──▶ Detached   (fork: the child; a hook that does not return: the recorder is never freed)
//! ```
//!
//! | a block that is | allocated | freed | shows as |
//! |---|---|---|---|
//! | older than the session | not recorded | ignored | in the totals only |
//! | allocated while recording | recorded | recorded in any phase | live from allocation to free |
//! | allocated while paused | not recorded | ignored | in the totals only |
//! | alive at the end | recorded | – | live at the end |

mod current;
mod launch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Once};
use std::time::Duration;

use plimsoll_format::{EndReason, Hook, Phase};

use crate::agent_side::{self, AgentThread};
use crate::config::{Compression, Config, KeepIn, Recording, Unwinder};
use crate::error::{Error, Kind};
use crate::recorder::{self, Recorder};
use crate::writer::{Shared, lock};
use crate::{control, filter, reserve, slot, sys, watcher};

use current::Change;
pub(crate) use current::{Busy, count, start_asked, stop_asked, with_current};

/// Characters kept of a marker's name.
const LONGEST_MARKER: usize = 1024;
/// Longest waits for the writer at the end: when asked to finish, and when the process exits.
const FINISH_WAIT: Duration = Duration::from_secs(10);
const EXIT_WAIT: Duration = Duration::from_secs(1);
/// Longest wait for the last look at what the resident set is for.
const LAST_READING_WAIT: Duration = Duration::from_millis(500);

/// Records the program's allocations into a capture until it is finished or dropped.
///
/// ```no_run
/// #[global_allocator]
/// static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();
///
/// fn main() {
///     let _session = plimsoll::Session::from_env_or_idle();
///     // the service
/// }
/// ```
///
/// A process that returns from `main` or calls `std::process::exit` leaves a whole capture even when the session is
/// not dropped. One that is killed leaves everything as well: what was not written yet stays in shared memory
/// ([`KeepIn`]), where the viewer and the next start of the program find it.
#[derive(Debug)]
#[must_use = "the session ends when this is dropped"]
pub struct Session {
    /// Number of the session in this process, 0 for an idle one.
    number: u32,
    /// Whether it listens for control. What is started by that is this session's too.
    listens: bool,
}

/// What a finished session has written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Summary {
    /// The capture (its first segment), `None` when the session was idle.
    pub path: Option<PathBuf>,
    /// Bytes written to all segments.
    pub written_bytes: u64,
    /// Allocations, frees and steps of reallocations recorded.
    pub events: u64,
    /// Allocations that could not be recorded, or only without the inner part of their stack.
    pub lost_allocations: u64,
    /// Frees that could not be recorded. Live figures have bounds then.
    pub lost_frees: u64,
}

/// Sets a session up step by step; made by [`Session::builder`].
///
/// ```no_run
/// # fn main() -> Result<(), plimsoll::Error> {
/// let session = plimsoll::Session::builder().output("run.plim").exact().start()?;
/// // …
/// let summary = session.finish()?;
/// println!("{} events", summary.events);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    config: Config,
}

/// A session that records.
pub(crate) struct Running {
    number: u32,
    /// Started by a request, not by the program.
    was_asked_for: bool,
    pid: u32,
    pub(crate) recorder: &'static Recorder,
    pub(crate) shared: Arc<Shared>,
    writer: AgentThread,
    watcher: AgentThread,
    watcher_stop: Arc<watcher::Stop>,
    pub(crate) path: PathBuf,
}

/// The session that records now. Held only while it is looked at; never touched by a hook.
static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
static SESSIONS: AtomicU32 = AtomicU32::new(0);
/// Process that started the last session: a forked child must leave its parent's session alone.
static OWNER: AtomicU32 = AtomicU32::new(0);

impl Session {
    /// A session as the environment asks for it, or an idle one: whatever is wrong becomes one line on standard error
    /// and never stops the program. This is for services.
    ///
    /// `PLIMSOLL_OUTPUT` names the file, which must not exist, or a directory (ending in `/`, or existing) that gets
    /// a new file at each start; without it the session is idle. `PLIMSOLL_MODE` is `sampled` (default), `exact` or
    /// `off`; `PLIMSOLL_INTERVAL` the mean bytes between samples (512KiB); `PLIMSOLL_MAX_BYTES` the bound on the
    /// capture (1GiB sampled, none exact); `PLIMSOLL_UNWINDER` is `auto`, `framehop`, `frame-pointer` or `backtrace`;
    /// `PLIMSOLL_COMPRESS` is `zstd` or `none` (by the crate's feature `zstd`, [`Compression`]); `PLIMSOLL_ARENA` is
    /// `shared`, `off` or a directory ([`KeepIn`]); `PLIMSOLL_SEED` makes sampling repeatable; `PLIMSOLL_CONTROL` is `1` for
    /// a session that listens to `plimsoll ctl` ([`Builder::control`]), also while it is idle, and `0` (default) for none.
    /// All are ignored in a process with raised privileges.
    pub fn from_env_or_idle() -> Session {
        let not = |what: &str, error: Error| agent_side::run(|| say(&format!("not {what}: {error}")));
        let idle = Session { number: 0, listens: false };
        let config = match owned(Config::from_env) {
            Ok(config) => config,
            Err(error) => {
                not("recording", error);
                return idle;
            }
        };
        let (records, listens) = (config.records, config.control);
        if !records && !listens {
            return idle;
        }
        // One may go on without the other.
        let hook = match ready() {
            Ok(hook) => hook,
            Err(error) => {
                not("recording", error);
                return idle;
            }
        };
        let listens = listens && listen(&config, hook).map_err(|error| not("listening for control", error)).is_ok();
        let number = if records { record(&config, hook) } else { Ok(0) };
        Session { number: number.map_err(|error| not("recording", error)).unwrap_or(0), listens }
    }

    /// As [`Session::from_env_or_idle`], for programs that want to handle what is wrong.
    ///
    /// # Errors
    /// A variable that cannot be understood (the text names it, its value and what is allowed), or a session that
    /// cannot be started, as in [`Builder::start`].
    pub fn from_env() -> Result<Session, Error> {
        start(&owned(Config::from_env)?)
    }

    /// A session set up by the program.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Whether this session records (also while paused), rather than being idle or ended by control.
    pub fn is_recording(&self) -> bool {
        self.with_running(|_| ()).is_some()
    }

    /// Stops recording allocations; frees of recorded blocks are recorded further, so that nothing looks leaked.
    pub fn pause(&self) {
        self.set_phase(Phase::Paused);
    }

    /// Goes on recording allocations.
    pub fn resume(&self) {
        self.set_phase(Phase::Recording);
    }

    fn set_phase(&self, phase: Phase) {
        self.with_running(|running| running.set_phase(phase));
    }

    /// Puts a named moment into the capture; views accept its name as a time.
    pub fn mark(&self, name: &str) {
        self.with_running(|running| running.mark(name.chars().take(LONGEST_MARKER).collect()));
    }

    fn with_running<R>(&self, work: impl FnOnce(&Running) -> R) -> Option<R> {
        if self.is_idle() || OWNER.load(Ordering::Relaxed) != std::process::id() {
            return None;
        }
        agent_side::run(|| lock(&RUNNING).as_ref().filter(|running| self.owns(running)).map(work))
    }

    /// Neither recording nor listening.
    fn is_idle(&self) -> bool {
        self.number == 0 && !self.listens
    }

    fn owns(&self, running: &Running) -> bool {
        running.number == self.number || self.listens && running.was_asked_for
    }

    /// Ends the session: what is on its way is written, the file closed.
    ///
    /// # Errors
    /// Writing failed at some point (the capture says what is missing), or the writer did not finish within ten
    /// seconds.
    pub fn finish(self) -> Result<Summary, Error> {
        // Nothing is left for the drop that follows.
        owned(|| self.end())
    }

    fn end(&self) -> Result<Summary, Kind> {
        if self.is_idle() {
            return Ok(Summary::default());
        }
        if self.listens {
            // First, so that nothing is started behind our back.
            control::close();
        }
        finish_running(|running| self.owns(running), EndReason::Finished, FINISH_WAIT)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // As in `finish`, for when nobody asks what became of the session: a write error was said when it happened.
        // Nothing of this is the program's allocation.
        agent_side::run(|| drop(self.end()));
    }
}

impl Builder {
    /// Where to record: a file that must not exist, or a directory (existing, or ending in `/`).
    pub fn output(mut self, path: impl Into<PathBuf>) -> Builder {
        self.config.output = Some(path.into());
        self
    }

    /// Samples, one per `interval_bytes` allocated on average. This is the default, at 512 KiB.
    pub fn sampled(mut self, interval_bytes: u64) -> Builder {
        self.config.recording = Recording::Sampled { interval: interval_bytes };
        self
    }

    /// Records every allocation, free and reallocation.
    pub fn exact(mut self) -> Builder {
        self.config.recording = Recording::Exact;
        self
    }

    /// How stacks are walked; [`Unwinder::Auto`] unless said otherwise.
    pub fn unwinder(mut self, unwinder: Unwinder) -> Builder {
        self.config.unwinder = unwinder;
        self
    }

    /// How often the file is brought up to date and memory is measured; a second unless said otherwise, 10 ms at
    /// least.
    pub fn tick(mut self, tick: Duration) -> Builder {
        self.config.tick = tick.max(Duration::from_millis(10));
        self
    }

    /// Bound on the capture's size: at a fifth of it a new segment begins beside the first, and the oldest of more
    /// than five is dropped. 1 GiB for sampled sessions, none for exact ones, unless said otherwise. An exact session
    /// with a bound keeps a list of live blocks on the heap, as each segment has to state them.
    pub fn max_bytes(mut self, bytes: u64) -> Builder {
        self.config.max_bytes = Some(bytes);
        self
    }

    /// How the capture is compressed; with zstd where the crate's feature `zstd` is on, unless said otherwise.
    pub fn compress(mut self, compression: Compression) -> Builder {
        self.config.compression = compression;
        self
    }

    /// Where events are kept on their way to the capture; in memory that outlives the process, unless said otherwise.
    pub fn keep_in(mut self, place: KeepIn) -> Builder {
        self.config.keep_in = place;
        self
    }

    /// Makes sampling repeatable: the same program with the same seed samples the same allocations, as long as its
    /// threads start in the same order.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.config.seed = Some(seed);
        self
    }

    /// Whether to listen to `plimsoll ctl` and the dashboard, on a Unix socket that this user (and root) alone can reach:
    /// they can start and stop recording, name moments and give memory back. It takes one thread, which sleeps; without
    /// an output the session is idle until it is asked to record. Off unless said otherwise.
    pub fn control(mut self, listens: bool) -> Builder {
        self.config.control = listens;
        self
    }

    /// Starts recording, or listening, or both.
    ///
    /// # Errors
    /// Neither an output nor control was given; the output cannot be created (an existing file is refused); an interval or
    /// a bound is out of range; there is no place for the control socket, or this process listens already; zstd was asked for and is not built in; [`Allocator`](crate::Allocator) is not the global allocator; a session is recording already; the system
    /// refuses memory or a thread. Nothing is recorded then, and the program can go on.
    pub fn start(mut self) -> Result<Session, Error> {
        self.config.records = self.config.output.is_some();
        if !self.config.records && !self.config.control {
            return Err(Kind::NoOutput.into());
        }
        start(&self.config)
    }
}

/// Runs agent work whose result belongs to the program: made again outside, so that it is freed as what it was
/// allocated as.
fn owned<T: Clone>(work: impl FnOnce() -> Result<T, Kind>) -> Result<T, Error> {
    let made = agent_side::run(work);
    let result = made.clone().map_err(Error);
    agent_side::run(|| drop(made));
    result
}

fn start(config: &Config) -> Result<Session, Error> {
    let mut session = Session { number: 0, listens: false };
    if !config.records && !config.control {
        return Ok(session);
    }
    let hook = ready()?;
    if config.control {
        listen(config, hook)?;
        // From here on an error ends it again.
        session.listens = true;
    }
    if config.records {
        session.number = record(config, hook)?;
    }
    Ok(session)
}

/// What a session needs in any case: a hook that is called, and the reserve.
fn ready() -> Result<Hook, Error> {
    let hook = installed_hook()?;
    if reserve::map() { Ok(hook) } else { Err(Kind::NoMemory.into()) }
}

fn listen(config: &Config, hook: Hook) -> Result<(), Error> {
    owned(|| {
        at_process_events();
        control::listen(config, hook)
    })
}

fn record(config: &Config, hook: Hook) -> Result<u32, Error> {
    owned(|| launch::start_running(config, hook, false))
}

/// Which hook sees this program's allocations: makes one and looks how often it was counted.
pub(crate) fn installed_hook() -> Result<Hook, Error> {
    let counted = || crate::thread_stats().allocations;
    // The first event of a thread gives it a slot, from which the second can be told.
    let make = || drop(std::hint::black_box(Box::new(1u8)));
    make();
    let before = counted();
    make();
    match (counted() - before, crate::adapter_is_installed()) {
        (0, _) => Err(Kind::NotInstalled.into()),
        (1, true) => Ok(Hook::TrackingAllocator),
        (1, false) => Ok(Hook::Allocator),
        _ => Err(Kind::BothHooks.into()),
    }
}

/// Ends the session that runs, if `is_meant` says so.
fn finish_running(
    is_meant: impl FnOnce(&Running) -> bool,
    reason: EndReason,
    longest: Duration,
) -> Result<Summary, Kind> {
    if OWNER.load(Ordering::Relaxed) != std::process::id() {
        return Ok(Summary::default());
    }
    // One that is being ended by control is waited for: after this the process may exit.
    let _change = Change::begin_within(longest);
    let running = lock(&RUNNING).take_if(|running| is_meant(running));
    running.map_or_else(|| Ok(Summary::default()), |running| stop(running, reason, longest))
}

fn stop(running: Running, reason: EndReason, longest: Duration) -> Result<Summary, Kind> {
    let Running { recorder, shared, writer, watcher, watcher_stop, path, .. } = running;
    let no_hook_is_left = recorder::detach();
    watcher_stop.ask(LAST_READING_WAIT);
    *lock(&shared.ending) = Some(reason);
    recorder.call_writer();
    let Some(outcome) = shared.wait_for_outcome(longest) else {
        return Err(Kind::WriterStuck(path));
    };
    if reserve::has_parked() {
        // One of the two will never end, and what it knows of the session stays for ever.
        return Err(Kind::WriterStuck(path));
    }
    writer.join();
    watcher.join();
    filter::clear();
    if std::env::var_os("PLIMSOLL_CHECK_STACKS").is_some_and(|value| value == "report") {
        let stacks = recorder.unwinders.checked();
        eprintln!("plimsoll: PLIMSOLL_CHECK_STACKS: {stacks} stacks compared with whole walks, none differs");
    }
    if no_hook_is_left {
        // SAFETY: detached, and both threads that used it have ended.
        unsafe { recorder::free(recorder) };
    }
    match outcome.write_error {
        Some(error) => Err(Kind::Writing { path, error }),
        None => Ok(Summary {
            path: Some(path),
            written_bytes: outcome.written_bytes,
            events: outcome.events,
            lost_allocations: outcome.lost_allocations,
            lost_frees: outcome.lost_frees,
        }),
    }
}

/// Once per process: what happens when it exits or forks.
fn at_process_events() {
    static ONCE: Once = Once::new();
    extern "C" fn on_exit() {
        // A forked child that exits finds its parent's session here, perhaps locked by a thread that it does not have.
        if OWNER.load(Ordering::Relaxed) == std::process::id() || control::is_listening() {
            agent_side::run(|| {
                control::close();
                drop(finish_running(|_| true, EndReason::Exit, EXIT_WAIT));
            });
        }
    }
    extern "C" fn in_child() {
        control::abandon();
        Change::forget_other_threads();
        recorder::abandon();
        slot::forget_other_threads();
        reserve::forget_other_threads();
    }
    ONCE.call_once(|| {
        sys::at_exit(on_exit);
        sys::in_forked_children(in_child);
    });
}

/// File name of the program, without what a file name should not hold.
pub(crate) fn program_name() -> String {
    let path = std::env::current_exe().unwrap_or_default();
    let name = path.file_name().map_or_else(|| "program".into(), |name| name.to_string_lossy());
    name.chars().map(|c| if c.is_alphanumeric() || "-_.+".contains(c) { c } else { '_' }).take(64).collect()
}

/// One line on standard error, if there is one.
pub(crate) fn say(line: &str) {
    sys::write_to_stderr(format!("plimsoll: {line}\n").as_bytes());
}
