//! A long run at a high rate: the agent's memory must not grow, and the totals must be right to the byte at its end.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use plimsoll_format::{LossCause, Tick};

use crate::job::{Job, Mode, RECORDED, finish};
use crate::judge::{Ended, Expected};
use crate::os::Thread;
use crate::page::Page;

/// The least rate that counts as a soak.
const LEAST_RATE: f64 = if cfg!(debug_assertions) { 2e5 } else { 1e6 };
/// What each of two threads allocates a second, at most.
const RATE: f64 = 600e3;
/// Captures of longer runs go on in segments.
const MOST_BYTES: u64 = 4 << 30;
const LONGEST_WHOLE: f64 = 600.0;
/// What the agent may grow by in the whole soak, at the upper end of the interval.
const MOST_GROWTH: f64 = 1048576.0;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// How long, in each mode
    #[arg(long, default_value_t = 30.0)]
    minutes: f64,
    /// Only this mode
    #[arg(long, value_enum)]
    mode: Option<Mode>,
}

impl Arguments {
    pub(crate) fn of(minutes: f64) -> Arguments {
        Arguments { minutes, mode: None }
    }
}

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    for mode in RECORDED.into_iter().filter(|mode| arguments.mode.is_none_or(|only| only == *mode)) {
        let seconds = arguments.minutes * 60.0;
        let max_bytes = if seconds > LONGEST_WHOLE { MOST_BYTES } else { 0 };
        let job = Job { interval_bytes: 512 << 10, tick_ms: 1000, max_bytes, ..Job::new("soak", mode) };
        let job = if seconds < 30.0 { Job { tick_ms: 50, ..job } } else { job };
        let longest = Duration::from_secs(60 + seconds as u64 / 10);
        // A busy machine may keep the writer from its turn for longer than hooks wait: that must be counted.
        let expected = Expected { longest, may_lose: true, replays: seconds <= LONGEST_WHOLE, ..Expected::default() };
        let Some(ended) = page.run(&job.seconds(seconds), &expected) else { continue };
        judge_growth(page, &ended, seconds);
    }
}

fn judge_growth(page: &mut Page, ended: &Ended, seconds: f64) {
    let rate = ended.figure("allocations") / seconds;
    let agent = slope(ended, |tick| tick.agent.mapped_bytes + tick.agent.heap_bytes);
    let heap = slope(ended, |tick| tick.agent.heap_bytes);
    let resident = slope(ended, |tick| tick.process.rss_bytes);
    let lost = ended.lost(|cause| cause != LossCause::StackTableFull);
    let (waits, waited) = ended
        .capture
        .as_ref()
        .and_then(|capture| capture.profile.counters.last())
        .map_or((0, 0), |counters| (counters.waits, counters.waited_ns / 1_000_000));
    let nodes = new_nodes(ended);
    page.line(
        ended,
        &format!(
            "{rate:.0} allocations/s; agent {:.1} MiB, {:+.1} ± {:.1} B/s, its heap {:+.1} ± {:.1} B/s, {nodes} new stack nodes; resident {:+.1} ± {:.1} B/s; {} events lost, \
             {waits} waits of {waited} ms in all",
            ended.agent_bytes() as f64 / f64::from(1 << 20),
            agent.0,
            agent.1,
            heap.0,
            heap.1,
            resident.0,
            resident.1,
            lost.allocations + lost.frees,
        ),
    );
    page.note(&format!("the agent's KiB by fifths of the run, at most: {:?}", fifths(ended)));
    page.at_most("growth of the agent over the soak in bytes", (agent.0 + agent.1) * seconds, MOST_GROWTH);
    if rate < LEAST_RATE {
        page.fail(format!("soak: only {rate:.0} allocations/s"));
    }
}

/// Nodes that the table of stacks got after the first fifth of the run: each new one touches up to a page of its index.
fn new_nodes(ended: &Ended) -> u32 {
    let Some(profile) = ended.capture.as_ref().map(|capture| &capture.profile) else { return 0 };
    let late = |ticks: u64| profile.ns(ticks) >= profile.duration_ns / 5;
    let mut nodes =
        profile.counters.iter().filter(|counters| late(counters.ticks)).map(|counters| counters.stack_nodes);
    nodes.next().map_or(0, |first| nodes.next_back().unwrap_or(first).saturating_sub(first))
}

/// The most that the agent held in each fifth of the run, in KiB: what goes to a limit is told from what grows.
fn fifths(ended: &Ended) -> [u64; 5] {
    let mut most = [0; 5];
    for profile in ended.capture.iter().map(|capture| &capture.profile) {
        for tick in &profile.ticks {
            let fifth = profile.ns(tick.ticks).saturating_mul(5) / profile.duration_ns.max(1);
            if let Some(most) = most.get_mut(fifth as usize) {
                *most = (tick.agent.mapped_bytes + tick.agent.heap_bytes).div_ceil(1024).max(*most);
            }
        }
    }
    most
}

/// Bytes a second that a figure grew by after the first fifth of the run, and half the width of its 95 % interval.
fn slope(ended: &Ended, figure: impl Fn(&Tick) -> u64) -> (f64, f64) {
    let Some(profile) = ended.capture.as_ref().map(|capture| &capture.profile) else { return (f64::NAN, f64::NAN) };
    let from = profile.duration_ns / 5;
    let points: Vec<(f64, f64)> = profile
        .ticks
        .iter()
        .map(|tick| (profile.ns(tick.ticks), figure(tick)))
        .filter(|(ns, _)| *ns >= from)
        .map(|(ns, bytes)| (ns as f64 / 1e9, bytes as f64))
        .collect();
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (time, bytes) = (mean(|point| point.0), mean(|point| point.1));
    let spread: f64 = points.iter().map(|point| (point.0 - time).powi(2)).sum();
    let slope = points.iter().map(|point| (point.0 - time) * (point.1 - bytes)).sum::<f64>() / spread;
    let residual: f64 = points.iter().map(|point| (point.1 - bytes - slope * (point.0 - time)).powi(2)).sum();
    (slope, 1.96 * (residual / (count - 2.0) / spread).sqrt())
}

const SLOTS: usize = 4096;

/// Random allocations and frees of 16 to 512 B, now and then one that grows or goes to another thread.
fn work(seed: u64, stop: &AtomicBool, total: &AtomicU64) {
    let mut slots: Vec<Option<Vec<u8>>> = (0..SLOTS).map(|_| None).collect();
    let (mut state, mut count) = (88_172_645_463_325_252 ^ seed, 0u64);
    let start = Instant::now();
    while !stop.load(Relaxed) {
        if count as f64 > start.elapsed().as_secs_f64() * RATE {
            std::thread::sleep(Duration::from_millis(1));
        }
        for _ in 0..1000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let Some(slot) = slots.get_mut(state as usize % SLOTS) else { continue };
            let mut block: Vec<u8> = Vec::with_capacity(16 + (state >> 20) as usize % 497);
            count += 1;
            if state % 16 == 3 {
                block.reserve_exact(600);
                count += 1;
            }
            *slot = Some(black_box(block));
        }
    }
    total.fetch_add(count, Relaxed);
}

pub(crate) fn child(job: &Job) {
    let session = job.start();
    let (stop, total) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let threads: Vec<Thread> = (0..2)
        .map(|seed| {
            let (stop, total) = (stop.clone(), total.clone());
            Thread::spawn(512 << 10, move || work(seed, &stop, &total))
        })
        .collect();
    let start = Instant::now();
    while start.elapsed() < job.time() {
        // Threads come and go as well.
        let (stop, total) = (Arc::new(AtomicBool::new(true)), total.clone());
        Thread::spawn(128 << 10, move || work(7, &stop, &total)).join();
        std::thread::sleep(Duration::from_millis(10));
    }
    stop.store(true, Relaxed);
    threads.into_iter().for_each(Thread::join);
    finish(session, [("allocations".to_owned(), total.load(Relaxed) as f64)].into());
}
