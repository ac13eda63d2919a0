//! What Plimsoll costs beside the bare allocator and beside other profilers: runs the `with_*` programs in turns and
//! makes tables, a list of goals and a chart of what they print.

mod callgrind;
mod chart;
mod collect;
mod goals;
mod leaks;
mod stats;
mod table;
mod ways;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};
use plimsoll_benches::row::{self, Row};
use plimsoll_benches::workload::{self, Workload};

use collect::Keep;
use ways::Way;

/// Measures what heap profilers cost.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs workloads under every allocator and profiler in turns
    Table(Selection),
    /// Runs workloads in one program, through Plimsoll or past it: for differences smaller than those of two builds
    Switch(Selection),
    /// Counts instructions under valgrind
    Callgrind(callgrind::Options),
    /// Prints the tables of raw runs that were kept
    Show {
        /// Files of raw runs
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Holds raw runs and instruction counts that were kept against the goals
    Goals {
        /// Files of raw runs and of instruction counts
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Draws the time of a pair of churn under each way
    Chart {
        /// A file of raw runs
        file: PathBuf,
        /// The picture
        #[arg(short, long)]
        output: PathBuf,
    },
    /// Compares what profilers report of three known leaks
    Leaks,
}

#[derive(Debug, Args)]
struct Selection {
    /// Workloads; all unless given
    #[arg(value_parser = PossibleValuesParser::new(workload::names()))]
    workloads: Vec<String>,
    /// Rounds, each of which runs every way once
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// A tenth of the work and three rounds: whether everything runs, not what it costs
    #[arg(long)]
    quick: bool,
    /// Only these sets of ways
    #[arg(long, value_enum)]
    set: Option<Set>,
    /// Another recorder, as NAME=LIBRARY to load into the program
    #[arg(long, value_parser = preload)]
    preload: Vec<(String, PathBuf)>,
    /// Name of the file of raw runs in `benches/runs/<today>`
    #[arg(long)]
    name: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Set {
    /// The bare allocator and what costs little
    Light,
    /// What records every event
    Recorded,
}

fn preload(text: &str) -> Result<(String, PathBuf), String> {
    let (name, path) = text.split_once('=').ok_or("expected NAME=LIBRARY")?;
    let path = std::fs::canonicalize(path).map_err(|error| format!("{path}: {error}"))?;
    Ok((name.to_owned(), path))
}

impl Selection {
    fn workloads(&self) -> Vec<&'static Workload> {
        let asked =
            |workload: &&Workload| self.workloads.is_empty() || self.workloads.iter().any(|name| name == workload.name);
        workload::ALL.iter().filter(asked).collect()
    }

    fn rounds(&self) -> u32 {
        if self.quick { 3 } else { self.rounds }
    }

    fn units(&self, units: u64) -> u64 {
        if self.quick { units.div_ceil(10) } else { units }
    }

    fn keep(&self, command: &str) -> Result<Keep, String> {
        let quick = if self.quick { "-quick" } else { "" };
        Keep::create(self.name.as_deref().unwrap_or(&format!("{command}{quick}")))
    }
}

fn table(selection: &Selection) -> Result<(), String> {
    let light = collect::available(ways::light())?;
    let recorded = collect::available(ways::recorded(&selection.preload))?;
    let sets = [(Set::Light, light), (Set::Recorded, recorded)];
    let mut keep = selection.keep("table")?;
    let mut rows = Vec::new();
    for workload in selection.workloads() {
        for (set, ways) in &sets {
            let units = if *set == Set::Light { workload.units } else { workload.recorded_units };
            if units == 0 || selection.set.is_some_and(|only| only != *set) {
                continue;
            }
            eprintln!("{} ({set:?})", workload.name);
            let wanted: Vec<Way> = ways.iter().filter(|way| workload.peers || way.is_own()).cloned().collect();
            let collected = collect::collect(workload, selection.units(units), &wanted, selection.rounds())?;
            collected.iter().try_for_each(|row| keep.line(row))?;
            rows.extend(collected);
        }
    }
    conclude(&rows)?;
    eprintln!("raw runs: {}", keep.path.display());
    Ok(())
}

fn switch(selection: &Selection) -> Result<(), String> {
    let mut keep = selection.keep("switch")?;
    let mut rows = Vec::new();
    for workload in selection.workloads() {
        for (units, modes) in [(workload.units, "bare,idle,sampled"), (workload.recorded_units, "bare,exact")] {
            let program = collect::programs()?.join("switched");
            let mut command = std::process::Command::new(program);
            command.args([workload.name, "--mode", modes]);
            command.args(["--units", &selection.units(units).to_string(), "--rounds", &selection.rounds().to_string()]);
            if units == 0 {
                continue;
            }
            eprintln!("{} ({modes})", workload.name);
            let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
            if !output.status.success() {
                return Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()));
            }
            let collected = row::parse(&String::from_utf8_lossy(&output.stdout));
            collected.iter().try_for_each(|row| keep.line(row))?;
            rows.extend(collected);
        }
    }
    conclude(&rows)?;
    eprintln!("raw runs: {}", keep.path.display());
    Ok(())
}

/// Prints the tables; fails when not all did the same work.
fn conclude(rows: &[Row]) -> Result<(), String> {
    println!("{}", table::page(rows));
    let complaints = table::unequal(rows);
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n")) }
}

fn load(files: &[PathBuf]) -> Result<Vec<Row>, String> {
    files.iter().map(|file| row::load(file)).collect::<Result<Vec<_>, _>>().map(|files| files.concat())
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Table(selection) => table(&selection),
        Command::Switch(selection) => switch(&selection),
        Command::Callgrind(options) => callgrind::run(&options),
        Command::Show { files } => load(&files).and_then(|rows| conclude(&rows)),
        Command::Goals { files } => goals::run(&files),
        Command::Chart { file, output } => row::load(&file).and_then(|rows| chart::draw(&rows, &output)),
        Command::Leaks => leaks::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("costs: {error}");
            ExitCode::from(2)
        }
    }
}
