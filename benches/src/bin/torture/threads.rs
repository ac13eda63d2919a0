//! Ten thousand threads at once, a million one after the other, and all ways in which threads end.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use plimsoll_format::LossCause;

use crate::job::{Job, Mode, RECORDED, finish};
use crate::judge::{End, Expected};
use crate::os::{self, Thread};
use crate::page::Page;

/// What the agent may hold in exact and in sampled mode, and on top for each thread: `agent/docs/architecture.md`.
const CAPS: [(Mode, u64); 2] = [(Mode::Exact, 68 << 20), (Mode::Sampled, 8 << 20)];
const CAP_PER_THREAD: u64 = 1536;
const MIB: f64 = (1 << 20) as f64;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Threads that live at the same time
    #[arg(long, default_value_t = 10_000)]
    live: u64,
    /// Threads that are created in all, 32 at a time
    #[arg(long, default_value_t = 1_000_000)]
    created: u64,
    /// Mappings that a session may add, however many threads there are; while the C library still has arenas to give, its
    /// own for the agent's two threads come on top
    #[arg(long, default_value_t = 8)]
    most_mappings: u32,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { live: 10_000, created: 1_000_000, most_mappings: 8 }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { live: 2_000, created: 10_000, ..Arguments::default() }
    }
}

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    let expected = Expected { longest: Duration::from_secs(60 + arguments.created / 2000), ..Expected::default() };
    let live = Job::new("live-threads", Mode::Bare).count(arguments.live);
    let bare = page.run(&live, &expected);
    // With so many threads to run the writer may get no turn for longer than hooks wait: that must be counted.
    let loses = Expected { may_lose: true, ..expected };
    for mode in RECORDED {
        let Some(ended) = page.run(&Job { mode, ..live.clone() }, &loses) else { continue };
        let bare = bare.as_ref().map_or(f64::NAN, |bare| bare.figure("mappings"));
        let added = ended.figure("mappings") - bare;
        let bytes = ended.agent_bytes();
        let lost = ended.lost(|cause| cause != LossCause::StackTableFull).allocations;
        let agent = bytes as f64 / MIB;
        let threads = arguments.live;
        page.line(&ended, &format!("{threads} live, mappings +{added}, agent {agent:.1} MiB, {lost} allocations lost"));
        page.at_most("mappings added", added, f64::from(arguments.most_mappings));
        let cap = CAPS.iter().find(|(of, _)| *of == mode).map_or(0, |(_, cap)| *cap);
        page.at_most("bytes of the agent", bytes as f64, (cap + arguments.live * CAP_PER_THREAD) as f64);
    }
    for mode in RECORDED {
        let job = Job::new("created-threads", mode).count(arguments.created);
        if let Some(ended) = page.run(&job, &expected) {
            let agent = ended.agent_bytes() as f64 / MIB;
            // Ends of threads that the writer has no turn to take in time are lost, with their names, and nothing else is.
            let known = ended.capture.as_ref().map_or(0, |capture| capture.profile.threads.len() as u64);
            let unknown = arguments.created.saturating_sub(known);
            let created = arguments.created;
            page.line(
                &ended,
                &format!("{created} threads created, {unknown} not in the capture, agent {agent:.1} MiB"),
            );
        }
        for (form, end) in [
            ("return", End::Exit(0)),
            ("pthread_exit", End::Exit(0)),
            ("pthread_cancel", End::Exit(0)),
            ("process exit", End::Exit(3)),
        ] {
            let job = Job::new("ending-threads", mode).form(form).count(arguments.created.min(2000));
            if let Some(ended) = page.run(&job, &Expected { end, ..expected }) {
                page.line(&ended, "");
            }
        }
    }
}

/// A small stack is enough for what threads do here, and many of them fit.
const STACK: usize = 64 << 10;

/// What each thread does: blocks of its own, one that grows, one that it hands to whoever comes next.
fn work(seed: u64, mailbox: &AtomicU64) {
    let kept: Vec<Box<[u8; 48]>> = (0..8).map(|_| black_box(Box::new([seed as u8; 48]))).collect();
    let mut growing: Vec<u64> = Vec::new();
    (0..40).for_each(|number| growing.push(black_box(number)));
    mailbox.store(kept.iter().map(|block| u64::from(block[0])).sum::<u64>() + growing.len() as u64, Ordering::Relaxed);
}

/// All threads at once: each works, waits until all are there, and works again.
pub(crate) fn live(job: &Job) {
    let session = job.start();
    let count = job.count as usize;
    let (there, measured) = (Arc::new(Barrier::new(count + 1)), Arc::new(Barrier::new(count + 1)));
    let threads: Vec<Thread> = (0..count as u64)
        .map(|seed| {
            let (there, measured) = (there.clone(), measured.clone());
            Thread::spawn(STACK, move || {
                let mailbox = AtomicU64::new(0);
                work(seed, &mailbox);
                there.wait();
                measured.wait();
                (0..4).for_each(|_| work(seed, &mailbox));
            })
        })
        .collect();
    there.wait();
    let mappings = os::mappings();
    // Two ticks of the agent with all of them there.
    std::thread::sleep(Duration::from_millis(2 * job.tick_ms));
    measured.wait();
    threads.into_iter().for_each(Thread::join);
    drop((there, measured));
    finish(session, [("mappings".to_owned(), mappings as f64)].into());
}

/// One thread after the other, 32 at a time.
pub(crate) fn created(job: &Job) {
    let session = job.start();
    let mailbox = Arc::new(AtomicU64::new(0));
    let mut running: std::collections::VecDeque<Thread> = std::collections::VecDeque::with_capacity(33);
    for seed in 0..job.count {
        if running.len() == 32
            && let Some(oldest) = running.pop_front()
        {
            oldest.join();
        }
        let mailbox = mailbox.clone();
        running.push_back(Thread::spawn(STACK, move || work(seed, &mailbox)));
    }
    running.into_iter().for_each(Thread::join);
    finish(session, Default::default());
}

fn allocate_a_little() {
    static MAILBOX: AtomicU64 = AtomicU64::new(0);
    work(1, &MAILBOX);
}

/// Threads that end as the form says.
pub(crate) fn ending(job: &Job) {
    let session = job.start();
    let spawn = match job.form.as_str() {
        "return" => |()| Thread::spawn(STACK, allocate_a_little),
        "pthread_exit" => |()| Thread::spawn_exiting(allocate_a_little),
        "pthread_cancel" => |()| {
            let thread = Thread::spawn_to_cancel(allocate_a_little);
            thread.cancel();
            thread
        },
        "process exit" => return exit_while_running(),
        other => panic!("no form {other}"),
    };
    for _ in 0..job.count / 16 {
        let threads: Vec<Thread> = (0..16).map(|_| spawn(())).collect();
        threads.into_iter().for_each(Thread::join);
    }
    finish(session, Default::default());
}

/// The process exits while its threads allocate: no totals can be told then.
fn exit_while_running() {
    static RUNNING: AtomicU32 = AtomicU32::new(0);
    static NEVER: AtomicBool = AtomicBool::new(false);
    for _ in 0..16 {
        Thread::spawn(256 << 10, || {
            RUNNING.fetch_add(1, Ordering::Relaxed);
            while !NEVER.load(Ordering::Relaxed) {
                allocate_a_little();
            }
        });
    }
    while RUNNING.load(Ordering::Relaxed) < 16 {
        std::thread::yield_now();
    }
    std::process::exit(3);
}
