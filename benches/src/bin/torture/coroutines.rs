//! Coroutines: code that runs on stacks which the thread knows nothing of, down to a few KiB.

use std::hint::black_box;

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};

use crate::job::{Job, Mode, RECORDED, finish};
use crate::judge::Expected;
use crate::page::Page;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Coroutines, in each mode
    #[arg(long, default_value_t = 20_000)]
    count: u64,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { count: 20_000 }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { count: 500 }
    }
}

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    for form in ["1024 KiB", "64 KiB", "16 KiB", "8 KiB"] {
        let job = |mode| Job { interval_bytes: 64, ..Job::new("coroutines", mode).form(form).count(arguments.count) };
        // A stack that is too small for the program alone says nothing.
        if page.run(&job(Mode::Bare), &Expected::default()).is_none() {
            continue;
        }
        for mode in RECORDED {
            if let Some(ended) = page.run(&job(mode), &Expected::default()) {
                let walked = ended.capture.as_ref().map(|capture| capture.profile.unwinding());
                let share = walked.map_or(f64::NAN, |all| 100.0 * all.complete as f64 / all.walks.max(1) as f64);
                page.line(&ended, &format!("{} coroutines, {share:.0} % of stacks reach a root", arguments.count));
            }
        }
    }
}

fn allocate(seed: usize) -> Vec<u8> {
    let mut block: Vec<u8> = black_box(Vec::with_capacity(32 + seed % 64));
    block.reserve_exact(400);
    drop(black_box(Box::new([seed; 4])));
    block
}

pub(crate) fn child(job: &Job) {
    let kib: usize = job.form.split(' ').next().and_then(|kib| kib.parse().ok()).expect("a size");
    let session = job.start();
    for number in 0..job.count as usize / 8 {
        let mut running: Vec<Coroutine<usize, Vec<u8>, usize, DefaultStack>> = (0..8)
            .map(|_| {
                let stack = DefaultStack::new(kib << 10).expect("a stack");
                Coroutine::with_stack(stack, move |yielder, mut input: usize| {
                    for _ in 0..10 {
                        input = yielder.suspend(allocate(input));
                    }
                    input
                })
            })
            .collect();
        // In turns, so that each thread's last stack is another one every time; blocks are freed outside.
        while !running.is_empty() {
            running.retain_mut(|coroutine| match coroutine.resume(number) {
                CoroutineResult::Yield(block) => {
                    drop(black_box(block));
                    drop(black_box(allocate(number)));
                    true
                }
                CoroutineResult::Return(_) => false,
            });
        }
    }
    finish(session, Default::default());
}
