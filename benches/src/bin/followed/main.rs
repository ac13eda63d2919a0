//! What a service loses to sampling while `plimsoll serve` follows it: windows with and without Plimsoll in turns, in one
//! process, whose difference is told with its interval.
//!
//! In a window without, the allocator goes past Plimsoll and what the agent's own threads take is left out.

mod readings;
mod windows;

use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use clap::Parser;
use clap::builder::PossibleValuesParser;
use plimsoll_benches::switched::Switched;
use plimsoll_benches::workload::steady::Steady;

use readings::own_memory_bytes;
use windows::{Loss, Pair, Window};

#[global_allocator]
static ALLOC: Switched = Switched::new();

const MAX_LOSS_PERCENT: f64 = 0.5;
const MAX_MEMORY_BYTES: u64 = 2 << 20;
/// What the service makes once is there before its memory is read.
const WARM_UP: Duration = Duration::from_secs(5);
const MAX_PAIRS_PER_CPU_SECOND: f64 = 4e6;

#[derive(Debug, Parser)]
#[command(
    about = "Measures what sampling costs a service that `plimsoll serve` follows, window by window in one process"
)]
struct Arguments {
    /// A service at a fixed rate
    #[arg(default_value = "service-sessions", value_parser = PossibleValuesParser::new(["service-paced", "service-sessions"]))]
    workload: String,
    /// Pairs of windows, one with Plimsoll and one without
    #[arg(long, default_value_t = 3_000, value_parser = clap::value_parser!(u32).range(2..))]
    pairs: u32,
    /// Milliseconds of a window
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..))]
    window: u64,
    /// Mean bytes between samples
    #[arg(long, default_value_t = 512 << 10)]
    interval: u64,
    /// The viewer that follows; the one beside this program unless given
    #[arg(long)]
    viewer: Option<PathBuf>,
    /// Writes every window into this new file, one JSON object a line
    #[arg(long)]
    raw: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("followed: {error}");
            ExitCode::from(2)
        }
    }
}

/// Measures and prints; whether the goals are met.
fn run(arguments: &Arguments) -> Result<bool, Box<dyn Error>> {
    let viewer = match &arguments.viewer {
        Some(viewer) => viewer.clone(),
        None => std::env::current_exe()?.with_file_name("plimsoll"),
    };
    let mut raw = arguments.raw.as_deref().map(File::create_new).transpose()?;
    let directory = tempfile::tempdir()?;
    let load = Steady::start(&arguments.workload)?;
    thread::sleep(WARM_UP);
    let before = own_memory_bytes();
    let output = directory.path().join("service.plim");
    let session = plimsoll::Session::builder().sampled(arguments.interval).output(&output).start()?;
    let mut following = Following::start(&viewer, directory.path())?;
    let answered = load.answers();
    let started = Instant::now();
    let pairs = measure(&load, arguments, raw.as_mut())?;
    let rate = (load.answers() - answered) as f64 / started.elapsed().as_secs_f64();
    // The program's own: the list of pairs is the measurement's.
    let memory = own_memory_bytes().saturating_sub(before + size_of_val(pairs.as_slice()) as u64);
    if !following.still_runs() {
        return Err("plimsoll serve ended before the measurement did".into());
    }
    let summary = session.finish()?;
    if summary.lost_allocations + summary.lost_frees > 0 {
        return Err(format!("{} events were lost", summary.lost_allocations + summary.lost_frees).into());
    }
    let p99_us = load.stop()?.map(|ns| f64::from(ns) / 1e3);
    println!("{}, {rate:.0} requests a second; plimsoll serve follows throughout", arguments.workload);
    println!("  windows         {} pairs of {} ms", pairs.len(), arguments.window);
    println!("  p99             {:.0} µs with Plimsoll, {:.0} µs without", p99_us[1], p99_us[0]);
    Ok(conclude(&Loss::of(&pairs), memory))
}

/// All windows; which of a pair comes first changes from pair to pair.
fn measure(load: &Steady, arguments: &Arguments, mut raw: Option<&mut File>) -> Result<Vec<Pair>, Box<dyn Error>> {
    let length = Duration::from_millis(arguments.window);
    let mut pairs = Vec::with_capacity(arguments.pairs as usize);
    for number in 0..arguments.pairs {
        let first_with = number % 2 == 0;
        let first = Window::measure(load, length, first_with);
        let second = Window::measure(load, length, !first_with);
        if let Some(raw) = raw.as_mut() {
            writeln!(raw, "{}\n{}", serde_json::to_string(&first)?, serde_json::to_string(&second)?)?;
        }
        let (with, without) = if first_with { (first, second) } else { (second, first) };
        pairs.push(Pair { with, without });
    }
    Ok(pairs)
}

fn conclude(loss: &Loss, memory: u64) -> bool {
    println!("  CPU a request   {:.2} µs without Plimsoll", loss.without_us);
    println!("  allocations     {:.2} M pairs per CPU-second of the service", loss.pairs_per_cpu_second / 1e6);
    println!("  lost            {:+.3} % CPU, 95 % interval {:+.3} to {:+.3} %", loss.mean, loss.lower, loss.upper);
    println!("                  the agent's own threads are {:.3} % of it", loss.threads);
    println!("  memory          {:.2} MiB more than before the session (anonymous and shared)", memory as f64 / MIB);
    let goals = [
        (loss.upper < MAX_LOSS_PERCENT, "< 0.5 % CPU at the upper end of the interval"),
        (memory < MAX_MEMORY_BYTES, "< 2 MiB"),
        (loss.pairs_per_cpu_second <= MAX_PAIRS_PER_CPU_SECOND, "≤ 4 M pairs per CPU-second"),
    ];
    for (met, goal) in goals {
        println!("  {} {goal}", if met { "met   " } else { "MISSED" });
    }
    goals.iter().all(|(met, _)| *met)
}

const MIB: f64 = (1 << 20) as f64;

/// A viewer that follows captures; it ends with this value.
struct Following(Child);

impl Following {
    /// Starts it, and waits until it says where it listens.
    fn start(viewer: &Path, captures: &Path) -> io::Result<Following> {
        let mut command = Command::new(viewer);
        command.arg("serve").arg(captures).args(["--port", "0"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let failed = |error: io::Error| {
            let why = format!("cannot start {}: {error}; cargo build --release builds it", viewer.display());
            io::Error::new(error.kind(), why)
        };
        let mut child = command.spawn().map_err(failed)?;
        let mut line = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        if line.is_empty() {
            return Err(io::Error::other("plimsoll serve ended without a word"));
        }
        Ok(Following(child))
    }

    fn still_runs(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
