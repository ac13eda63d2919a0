//! Tortures the agent: programs that do to a process what breaks heap profilers, each watched by an independent count of
//! every allocation and by a watchdog, its capture read by the viewer.
//!
//! Each case runs this very program again as its child, recorded in exact and in sampled mode: it must end as it would
//! without Plimsoll, in time, with a capture that says to the byte what the witness below Plimsoll counted.

mod ends;
mod forks;
mod inner;
mod job;
mod judge;
mod os;
mod page;
mod small_stacks;
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
    /// All cases
    All {
        /// In less than a minute
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
            Case::All { quick } => Case::all(*quick).iter().for_each(|case| case.judge(page)),
        }
    }

    fn all(quick: bool) -> Vec<Case> {
        vec![
            Case::Threads(if quick { threads::Arguments::quick() } else { Default::default() }),
            Case::SmallStacks(Default::default()),
            Case::Forks(if quick { forks::Arguments::quick() } else { Default::default() }),
            Case::Ends(Default::default()),
        ]
    }
}

/// What children can be told to do.
const WORKS: [(&str, fn(&Job)); 6] = [
    ("live-threads", threads::live),
    ("created-threads", threads::created),
    ("ending-threads", threads::ending),
    ("small-stacks", small_stacks::child),
    ("forks", forks::child),
    ("ends", ends::child),
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
