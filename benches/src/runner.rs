//! The `main` of the programs that run a workload under one allocator.

use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;

use crate::clock::{self, Stopwatch};
use crate::row::{BARE, Row};
use crate::workload::{self, Job, Outcome, Workload};

/// Whatever went wrong, in one line.
pub type Failure = Box<dyn Error>;

/// What a mode may want to know.
#[derive(Debug)]
pub struct Request<'a> {
    /// A new empty directory for what the profiler writes.
    pub directory: &'a Path,
    /// Mean bytes between samples.
    pub interval_bytes: u64,
    /// Chooses the samples: the same for the same round.
    pub seed: u64,
}

/// What a profiler wrote.
#[derive(Debug, Clone, Copy, Default)]
pub struct Written {
    /// Size of the capture.
    pub capture_bytes: Option<u64>,
    /// Events in it.
    pub events: Option<u64>,
    /// Events not in it.
    pub lost: Option<u64>,
}

/// Ends a profiler that was started.
pub type Finish = Box<dyn FnOnce() -> Result<Written, Failure>>;

/// One way to run under an allocator.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// Its name.
    pub name: &'static str,
    /// Starts the profiler.
    pub start: fn(&Request<'_>) -> Result<Finish, Failure>,
}

impl Mode {
    /// Nothing but the allocator.
    pub const BARE: Mode = Mode::silent(BARE);

    /// A mode whose profiler is started by other means, such as the environment.
    pub const fn silent(name: &'static str) -> Mode {
        Mode { name, start: |_| Ok(Box::new(|| Ok(Written::default()))) }
    }
}

/// A program's allocator.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Its name.
    pub allocator: &'static str,
    /// What it can do; the first is what it does unless asked otherwise.
    pub modes: &'static [Mode],
    /// Allocations of the program so far, where the allocator counts.
    pub allocations: fn() -> Option<u64>,
}

#[derive(Debug, Parser)]
#[command(about = "Runs one workload under this program's allocator and prints what it took, one JSON object a run")]
struct Arguments {
    /// What to do.
    #[arg(value_parser = PossibleValuesParser::new(workload::names()))]
    workload: String,
    /// Modes of the allocator, which take turns; its first unless given.
    #[arg(long, value_delimiter = ',')]
    mode: Vec<String>,
    /// How much: pairs, requests, documents or threads; the workload's own number unless given.
    #[arg(long)]
    units: Option<u64>,
    /// Runs of each mode.
    #[arg(long, default_value_t = 1)]
    rounds: u32,
    /// Mean bytes between samples.
    #[arg(long, default_value_t = 512 << 10)]
    interval: u64,
    /// Keeps what the profiler writes, in this existing directory.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// Reads the arguments, runs, prints.
pub fn main(subject: Subject) -> ExitCode {
    let arguments = Arguments::parse();
    match run_all(subject, &arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{} {}: {error}", subject.allocator, arguments.workload);
            ExitCode::from(2)
        }
    }
}

/// The modes that were asked for.
fn modes(subject: Subject, names: &[String]) -> Result<Vec<Mode>, Failure> {
    if names.is_empty() {
        return Ok(subject.modes.iter().take(1).copied().collect());
    }
    let find = |name: &String| {
        let known = || subject.modes.iter().map(|mode| mode.name).collect::<Vec<_>>().join(", ");
        let found = subject.modes.iter().find(|mode| mode.name == name).copied();
        found.ok_or_else(|| format!("mode {name} is unknown; choose from {}", known()).into())
    };
    names.iter().map(find).collect()
}

fn run_all(subject: Subject, arguments: &Arguments) -> Result<(), Failure> {
    let workload = workload::find(&arguments.workload).ok_or("unknown workload")?;
    let modes = modes(subject, &arguments.mode)?;
    let temporary = tempfile::tempdir()?;
    let base = arguments.keep.as_deref().unwrap_or(temporary.path());
    for round in 0..arguments.rounds {
        // Each round begins with another mode, so that none is always the first.
        for turn in 0..modes.len() {
            let mode = modes[(turn + round as usize) % modes.len()];
            let directory = base.join(format!("{}-{round}", mode.name));
            std::fs::create_dir_all(&directory)?;
            let request =
                Request { directory: &directory, interval_bytes: arguments.interval, seed: u64::from(round) + 1 };
            let mut row = run(subject, mode, workload, arguments.units, &request)?;
            row.round = round;
            println!("{}", serde_json::to_string(&row)?);
            if arguments.keep.is_none() {
                std::fs::remove_dir_all(&directory)?;
            }
        }
    }
    Ok(())
}

/// What is measured, and nothing else: instruction counters are told to count in here. Never inlined, so that it has
/// a name.
#[inline(never)]
fn measured_section(job: &mut Job) -> Outcome {
    black_box(job.run())
}

fn run(
    subject: Subject,
    mode: Mode,
    workload: &Workload,
    units: Option<u64>,
    request: &Request<'_>,
) -> Result<Row, Failure> {
    let units = units.unwrap_or(workload.units);
    let mut job = (workload.prepare)(units);
    let finish = (mode.start)(request)?;
    job.settle();
    let before = (subject.allocations)();
    let stopwatch = Stopwatch::start();
    let outcome = measured_section(&mut job);
    let elapsed = stopwatch.elapsed();
    let after = (subject.allocations)();
    let peak_rss_bytes = clock::peak_rss_bytes();
    drop(job);
    let written = finish()?;
    Ok(Row {
        workload: workload.name.to_owned(),
        allocator: subject.allocator.to_owned(),
        mode: mode.name.to_owned(),
        units,
        checksum: outcome.checksum,
        allocations: after.zip(before).map(|(after, before)| after - before),
        wall_ns: elapsed.wall_ns,
        cpu_ns: elapsed.cpu_ns,
        own_ns: outcome.own_ns.unwrap_or(elapsed.thread_cpu_ns),
        peak_rss_bytes,
        p50_ns: outcome.latency.map(|latency| latency.p50_ns),
        p99_ns: outcome.latency.map(|latency| latency.p99_ns),
        capture_bytes: written.capture_bytes,
        events: written.events,
        lost: written.lost,
        round: 0,
    })
}
