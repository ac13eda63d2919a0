//! Tortures the agent: programs that do to a process what breaks heap profilers, each watched by an independent count of
//! every allocation and by a watchdog, its capture read by the viewer.
//!
//! Each case runs this very program again as its child, recorded in exact and in sampled mode: it must end as it would
//! without Plimsoll, in time, with a capture that says to the byte what the witness below Plimsoll counted.

mod coroutines;
mod cpu_profiler;
mod ends;
mod forks;
mod inner;
mod itself;
mod job;
mod judge;
mod late;
mod modules;
mod os;
mod page;
mod signals;
mod small_stacks;
mod soak;
mod stacks;
mod storage;
mod threads;
mod witness;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use job::{Job, VARIABLE};
use page::Page;

/// Tortures the agent, and says what it bore
///
/// Exit code 1 when a case failed: a hang, another end than without the agent, a capture that does not say what the
/// independent witness counted, or a bound that was crossed.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    case: Case,
}

#[derive(Debug, Subcommand)]
enum Case {
    /// Ten thousand threads at once, a million one after the other, and all ways in which threads end
    Threads(threads::Arguments),
    /// Stacks of 16 KiB, and how much of a stack the hooks use
    SmallStacks(small_stacks::Arguments),
    /// Forks under load
    Forks(forks::Arguments),
    /// All ways in which a process ends, goes on as another, or becomes a daemon
    Ends(ends::Arguments),
    /// Signal handlers that allocate, and handlers that jump out of hooks
    Signals(signals::Arguments),
    /// Libraries that are loaded and unloaded while threads allocate and panic
    Modules(modules::Arguments),
    /// Allocations before main, in threads' destructors and after main
    Late(late::Arguments),
    /// Coroutines on stacks of their own
    Coroutines(coroutines::Arguments),
    /// A CPU profiler at the same time
    CpuProfiler(cpu_profiler::Arguments),
    /// Storage that refuses, fills up or hangs, and a wall clock that jumps
    Storage(storage::Arguments),
    /// Ten million distinct stacks
    Stacks(stacks::Arguments),
    /// A long run at a high rate
    Soak(soak::Arguments),
    /// Children that hang, crash, miscount and speak, which the judge must notice
    JudgeItself,
    /// All cases
    All {
        /// In short: about a minute
        #[arg(long)]
        quick: bool,
    },
}

impl Case {
    fn judge(&self, page: &mut Page) {
        match self {
            Case::Threads(arguments) => threads::judge(arguments, page),
            Case::SmallStacks(arguments) => small_stacks::judge(arguments, page),
            Case::Forks(arguments) => forks::judge(arguments, page),
            Case::Ends(arguments) => ends::judge(arguments, page),
            Case::Signals(arguments) => signals::judge(arguments, page),
            Case::Modules(arguments) => modules::judge(arguments, page),
            Case::Late(arguments) => late::judge(arguments, page),
            Case::Coroutines(arguments) => coroutines::judge(arguments, page),
            Case::CpuProfiler(arguments) => cpu_profiler::judge(arguments, page),
            Case::Storage(arguments) => storage::judge(arguments, page),
            Case::Stacks(arguments) => stacks::judge(arguments, page),
            Case::Soak(arguments) => soak::judge(arguments, page),
            Case::JudgeItself => itself::judge(page),
            Case::All { quick } => Case::all(*quick).iter().for_each(|case| case.judge(page)),
        }
    }

    fn all(quick: bool) -> Vec<Case> {
        fn of<A: Default>(quick: bool, arguments: impl Fn() -> A) -> A {
            if quick { arguments() } else { A::default() }
        }
        vec![
            Case::JudgeItself,
            Case::Threads(of(quick, threads::Arguments::quick)),
            Case::SmallStacks(Default::default()),
            Case::Forks(of(quick, forks::Arguments::quick)),
            Case::Ends(Default::default()),
            Case::Signals(of(quick, signals::Arguments::quick)),
            Case::Modules(of(quick, modules::Arguments::quick)),
            Case::Late(Default::default()),
            Case::Coroutines(of(quick, coroutines::Arguments::quick)),
            Case::CpuProfiler(of(quick, cpu_profiler::Arguments::quick)),
            Case::Storage(of(quick, storage::Arguments::quick)),
            Case::Stacks(of(quick, stacks::Arguments::quick)),
            Case::Soak(soak::Arguments::of(if quick { 0.05 } else { 30.0 })),
        ]
    }
}

/// What a child does.
type Work = fn(&Job);

/// What children can be told to do.
const WORKS: [(&str, Work); 17] = [
    ("live-threads", threads::live),
    ("created-threads", threads::created),
    ("ending-threads", threads::ending),
    ("small-stacks", small_stacks::child),
    ("forks", forks::child),
    ("ends", ends::child),
    ("itself", itself::child),
    ("signals", signals::child),
    ("signal-masks", signals::masks),
    ("modules", modules::child),
    ("late", late::child),
    ("coroutines", coroutines::child),
    ("cpu-profiler", cpu_profiler::child),
    ("storage", storage::child),
    ("wall-clock", storage::wall_clock),
    ("stacks", stacks::child),
    ("soak", soak::child),
];

fn child(job: &str) -> Result<(), String> {
    let job: Job = serde_json::from_str(job).map_err(|error| format!("{VARIABLE}: {error}"))?;
    let (_, work) = WORKS.iter().find(|(name, _)| *name == job.work).ok_or("no such work")?;
    work(&job);
    Ok(())
}

fn main() -> ExitCode {
    if let Ok(job) = std::env::var(VARIABLE) {
        return match child(&job) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("torture: {error}");
                ExitCode::from(2)
            }
        };
    }
    let mut page = Page::default();
    Arguments::parse().case.judge(&mut page);
    page.end()
}
