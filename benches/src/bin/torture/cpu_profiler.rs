//! A CPU profiler that takes samples at the same time: its handler unwinds what may be the middle of a hook.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use plimsoll_format::LossCause;

use crate::job::{Job, RECORDED, finish};
use crate::judge::Expected;
use crate::os::Thread;
use crate::page::Page;

/// Samples a second.
const FREQUENCY: i32 = 999;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// How long both profile, in each mode
    #[arg(long, default_value_t = 60.0)]
    seconds: f64,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { seconds: 60.0 }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { seconds: 1.0 }
    }
}

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    for mode in RECORDED {
        let job = Job { interval_bytes: 16 << 10, ..Job::new("cpu-profiler", mode).seconds(arguments.seconds) };
        let Some(ended) = page.run(&job, &Expected { may_lose: true, ..Expected::default() }) else { continue };
        let samples = ended.figure("samples");
        let lost = ended.lost(|cause| cause != LossCause::StackTableFull).allocations;
        page.line(&ended, &format!("{samples} samples of {FREQUENCY} Hz, {lost} allocations lost"));
        if samples < arguments.seconds * 100.0 {
            page.fail(format!("the CPU profiler took only {samples} samples"));
        }
    }
}

#[inline(never)]
fn deep(depth: u32) {
    if depth > 0 {
        deep(black_box(depth - 1));
    } else {
        (0..20usize).for_each(|size| drop(black_box(vec![1u8; 16 + size * 9])));
    }
    black_box(depth);
}

pub(crate) fn child(job: &Job) {
    let session = job.start();
    let guard = pprof::ProfilerGuardBuilder::default().frequency(FREQUENCY).build().expect("a CPU profiler");
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<Thread> = (0..4)
        .map(|thread| {
            let stop = stop.clone();
            Thread::spawn(512 << 10, move || {
                while !stop.load(Relaxed) {
                    deep(10 * (thread + 1));
                }
            })
        })
        .collect();
    std::thread::sleep(job.time());
    stop.store(true, Relaxed);
    threads.into_iter().for_each(Thread::join);
    let samples = guard.report().build().map_or(0, |report| report.data.values().sum::<isize>());
    drop(guard);
    finish(session, [("samples".to_owned(), samples as f64)].into());
}
