//! Ten million distinct stacks: more than any table holds.

use std::hint::black_box;
use std::time::Duration;

use plimsoll_format::LossCause;

use crate::job::{Job, RECORDED, finish};
use crate::judge::Expected;
use crate::page::Page;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Stacks, in each mode
    #[arg(long, default_value_t = 10_000_000)]
    count: u64,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { count: 10_000_000 }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { count: 200_000 }
    }
}

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    let longest = Duration::from_secs(60 + arguments.count / 50_000);
    for mode in RECORDED {
        // Sampled, every block is a sample.
        let job = Job { interval_bytes: 1, ..Job::new("stacks", mode).count(arguments.count) };
        // Samples that come faster than the writer takes them are lost, and counted.
        let expected = Expected { longest, may_lose: true, ..Expected::default() };
        let Some(ended) = page.run(&job, &expected) else { continue };
        let cut = ended.lost(|cause| cause == LossCause::StackTableFull).allocations;
        let lost = ended.lost(|cause| cause != LossCause::StackTableFull).allocations;
        let nodes = ended.capture.as_ref().map_or(0, |capture| capture.profile.stacks.len());
        let sites = ended.heap.as_ref().map_or(0, |heap| heap.sites.len());
        let agent = ended.agent_bytes() as f64 / f64::from(1 << 20);
        page.line(
            &ended,
            &format!(
                "{} stacks, {nodes} nodes, {sites} sites, {cut} cut to outer frames, {lost} lost, agent {agent:.1} MiB",
                arguments.count
            ),
        );
        page.at_most("MiB of the agent", agent, 68.0);
    }
}

/// One of two calls at each step, as the bits of `path` say: every path is a stack of its own.
#[inline(never)]
fn branch(path: u64, depth: u32) -> u64 {
    if depth == 0 {
        drop(black_box(vec![1u8; 64]));
        path
    } else if path & 1 == 0 {
        black_box(branch(path >> 1, depth - 1)) + 1
    } else {
        // Other arguments, or the compiler makes one call of the two.
        black_box(branch(black_box(path >> 1), black_box(depth - 1))) * 3
    }
}

pub(crate) fn child(job: &Job) {
    let session = job.start();
    let depth = 64 - job.count.leading_zeros();
    (0..job.count).for_each(|path| _ = black_box(branch(path, depth)));
    finish(session, Default::default());
}
