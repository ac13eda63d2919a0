//! Forks under load: children allocate and end while the parent's threads go on, and nothing of it may reach the
//! parent's capture.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::inner::use_signal_safe;
use crate::job::{Job, RECORDED, finish};
use crate::judge::Expected;
use crate::os::{self, Thread};
use crate::page::Page;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Forks from 16 threads, in each mode
    #[arg(long, default_value_t = 10_000)]
    count: u64,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { count: 10_000 }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { count: 320 }
    }
}

const THREADS: u64 = 16;

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    let expected = Expected { longest: Duration::from_secs(60 + arguments.count / 20), ..Expected::default() };
    for mode in RECORDED {
        for (form, share) in [("_exit", 1), ("exit", 4), ("clone", 4)] {
            let job = Job::new("forks", mode).form(form).count(arguments.count / share);
            if let Some(ended) = page.run(&job, &expected) {
                let longest = ended.figure("longest child ms");
                page.line(&ended, &format!("{} children, the slowest took {longest:.0} ms", job.count));
            }
        }
    }
}

fn allocate(count: u64) {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    for number in 0..count {
        kept.push(black_box(vec![number as u8; 16 + number as usize % 600]));
        if number % 3 == 0 {
            kept.swap_remove(number as usize / 3 % kept.len());
        }
    }
}

/// 16 threads fork and wait in turns, while four others allocate all the time.
pub(crate) fn child(job: &Job) {
    if job.form == "clone" {
        use_signal_safe();
    }
    let session = job.start();
    let (left, stop) = (Arc::new(AtomicU64::new(job.count)), Arc::new(AtomicBool::new(false)));
    let longest = Arc::new(AtomicU64::new(0));
    let load: Vec<Thread> = (0..4)
        .map(|_| {
            let stop = stop.clone();
            Thread::spawn(256 << 10, move || {
                while !stop.load(Ordering::Relaxed) {
                    allocate(50);
                    std::thread::sleep(Duration::from_micros(200));
                }
            })
        })
        .collect();
    let forking: Vec<Thread> = (0..THREADS)
        .map(|_| {
            let (left, longest, form) = (left.clone(), longest.clone(), job.form.clone());
            Thread::spawn(256 << 10, move || {
                let one_less = |left: u64| left.checked_sub(1);
                while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less).is_ok() {
                    let start = std::time::Instant::now();
                    let status = fork_once(&form);
                    longest.fetch_max(start.elapsed().as_millis() as u64, Ordering::Relaxed);
                    assert_eq!(status, 0, "a child ended with {status:#x}");
                }
            })
        })
        .collect();
    forking.into_iter().for_each(Thread::join);
    stop.store(true, Ordering::Relaxed);
    load.into_iter().for_each(Thread::join);
    let longest = longest.load(Ordering::Relaxed) as f64;
    finish(session, [("longest child ms".to_owned(), longest)].into());
}

fn fork_once(form: &str) -> i32 {
    let inherited = black_box(vec![1u8; 100]);
    let in_child = || {
        drop(inherited);
        allocate(1000);
    };
    let child = match form {
        "_exit" => os::fork(in_child),
        "exit" => os::fork(|| {
            in_child();
            std::process::exit(0)
        }),
        // No handler of the C library's runs: its allocator may be locked for ever by a thread that is not here, so blocks
        // come from the allocator that takes no lock.
        _ => os::clone_process(in_child),
    };
    os::wait_for(child)
}
