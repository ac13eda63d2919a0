//! Handlers that allocate ten thousand times a second, whatever they interrupt; handlers on stacks of their own; handlers
//! that jump out of hooks; and that the agent leaves the program's signals alone.

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;
use plimsoll_format::LossCause;

use crate::inner::use_signal_safe;
use crate::job::{Figures, Job, Mode, RECORDED, finish};
use crate::judge::Expected;
use crate::os::{self, Alarms, Place, Thread};
use crate::page::Page;
use crate::witness::is_inside;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// How long handlers run, in each mode
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
    /// Signals a second, to each of the threads that runs
    #[arg(long, default_value_t = 10_000)]
    rate: u64,
    /// Only these forms; all unless given
    #[arg(long = "form", value_parser = PossibleValuesParser::new(FORMS))]
    forms: Vec<String>,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { seconds: 60.0, rate: 10_000, forms: Vec::new() }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { seconds: 1.0, ..Arguments::default() }
    }
}

/// Over an allocator that takes no lock, so that handlers may interrupt anything; over the system's, which they spare; on
/// stacks of 8 KiB; and handlers that jump out of hooks.
const FORMS: [&str; 4] = ["lock-free", "system", "own stack", "jump"];

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    for mode in RECORDED {
        let share = |form| if form == "lock-free" { 1.0 } else { 0.2 };
        let is_asked = |form: &&str| arguments.forms.is_empty() || arguments.forms.iter().any(|asked| asked == form);
        for form in FORMS.into_iter().filter(is_asked) {
            let seconds = arguments.seconds * share(form);
            let job = Job::new("signals", mode).form(form).count(arguments.rate).seconds(seconds);
            judge_form(page, &job);
        }
        judge_masks(page, mode);
    }
}

fn judge_form(page: &mut Page, job: &Job) {
    // A handler that comes into a hook passes it by, which is counted; one that leaves a hook takes an event with it.
    let expected = Expected { may_lose: true, jumps: job.form == "jump", ..Expected::default() };
    let Some(ended) = page.run(job, &expected) else { return };
    let handlers = ended.figure("handlers");
    let nested = ended.lost(|cause| cause == LossCause::Reentered);
    let rate = handlers / job.seconds;
    page.line(
        &ended,
        &format!(
            "{handlers} handlers, {rate:.0}/s; in hooks {} allocations, {} frees",
            nested.allocations, nested.frees
        ),
    );
    if job.form == "jump" {
        page.at_most("events lost by jumps out of hooks", (nested.allocations + nested.frees) as f64, handlers);
    }
    if rate < job.count as f64 / 20.0 {
        page.fail(format!("signals {}: only {rate:.0} handlers ran a second", job.form));
    }
}

fn judge_masks(page: &mut Page, mode: Mode) {
    let job = Job::new("signal-masks", mode);
    let Some(ended) = page.run(&job, &Expected::default()) else { return };
    let (added, open) = (ended.figure("handlers added"), ended.figure("signals that the agent's threads take"));
    page.line(&ended, &format!("{added} handlers installed, {open} signals taken by the agent's threads"));
    page.at_most("handlers installed", added, 0.0);
    page.at_most("signals taken by the agent's threads", open, 0.0);
    if ended.figure("threads of the agent") < 1.0 {
        page.fail("no thread of the agent was seen".to_owned());
    }
}

static HANDLERS: AtomicU64 = AtomicU64::new(0);
/// What handlers must not interrupt is the allocator at the bottom.
static SPARES_INNER: AtomicBool = AtomicBool::new(false);

extern "C" fn allocate(_: c_int) {
    if SPARES_INNER.load(Relaxed) && is_inside() {
        return;
    }
    let count = HANDLERS.fetch_add(1, Relaxed);
    let mut block: Vec<u8> = black_box(Vec::with_capacity(16 + count as usize % 100));
    block.reserve_exact(300);
    drop(black_box(block));
}

struct OfThread(UnsafeCell<Place>);

thread_local! {
    static PLACE: OfThread = const { OfThread(UnsafeCell::new(Place::new())) };
    static MAY_JUMP: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

extern "C" fn jump_out(_: c_int) {
    if is_inside() || !MAY_JUMP.get() {
        return;
    }
    HANDLERS.fetch_add(1, Relaxed);
    MAY_JUMP.set(false);
    os::jump(PLACE.with(|place| place.0.get()));
}

extern "C" fn allocate_until_left() {
    MAY_JUMP.set(true);
    loop {
        churn();
    }
}

fn churn() {
    for size in 0..50usize {
        let mut block: Vec<u8> = black_box(Vec::with_capacity(16 + size));
        block.reserve_exact(size * 3);
        drop(black_box(block));
    }
}

const THREADS: usize = 8;

pub(crate) fn child(job: &Job) {
    SPARES_INNER.store(job.form == "system", Relaxed);
    if job.form != "system" {
        use_signal_safe();
    }
    let session = job.start();
    let jumps = job.form == "jump";
    let own_stack = if job.form == "own stack" { 8 << 10 } else { 0 };
    os::take_alarms(false);
    os::on_alarm(if jumps { jump_out } else { allocate }, own_stack, jumps);
    let stop = Arc::new(AtomicBool::new(false));
    let rate = job.count;
    let threads: Vec<Thread> = (0..THREADS)
        .map(|_| {
            let stop = stop.clone();
            Thread::spawn(256 << 10, move || {
                // The C library is asked for memory at a thread's first event, by the system's own calls.
                churn();
                os::on_alarm(if jumps { jump_out } else { allocate }, own_stack, jumps);
                os::take_alarms(true);
                let alarms = Alarms::start(rate);
                while !stop.load(Relaxed) {
                    if jumps {
                        let place = PLACE.with(|place| place.0.get());
                        os::guarded(place, allocate_until_left);
                    } else {
                        churn();
                    }
                }
                os::take_alarms(false);
                drop(alarms);
                (0..10).for_each(|_| churn());
            })
        })
        .collect();
    let start = Instant::now();
    while start.elapsed() < job.time() {
        std::thread::sleep(Duration::from_millis(20));
    }
    stop.store(true, Relaxed);
    threads.into_iter().for_each(Thread::join);
    let handlers = HANDLERS.load(Relaxed) as f64;
    finish(session, [("handlers".to_owned(), handlers)].into());
}

/// Looks at the handlers before and after the session starts, and at what the agent's threads take.
pub(crate) fn masks(job: &Job) {
    const STATUS: &str = "/proc/self/status";
    // Those that cannot be blocked: SIGKILL, SIGSTOP, and the C library's own two, one of which it takes when the first
    // thread starts.
    const NEVER: u64 = 1 << 8 | 1 << 18 | 1 << 31 | 1 << 32;
    let before = os::signal_set(STATUS, "SigCgt");
    let session = job.start();
    let added = os::signal_set(STATUS, "SigCgt") & !before & !NEVER;
    let (mut open, mut threads) = (0u64, 0.0);
    for task in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let comm = std::fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if comm.starts_with("plimsoll") {
            threads += 1.0;
            open |= !os::signal_set(&task.path().join("status").to_string_lossy(), "SigBlk") & !NEVER;
        }
    }
    let mut figures = Figures::new();
    figures.insert("handlers added".to_owned(), f64::from(added.count_ones()));
    figures.insert("signals that the agent's threads take".to_owned(), f64::from(open.count_ones()));
    figures.insert("threads of the agent".to_owned(), threads);
    finish(session, figures);
}
