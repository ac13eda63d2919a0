//! Holds the verdicts of `plimsoll leaks` against programs whose leaks are known.

mod outcome;
mod page;
mod row;
mod runs;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use plimsoll_benches::judged::{self, Class, Program};

use row::{Mode, Row};
use runs::{Job, Tools};

/// Runs programs whose leaks are known and holds the verdicts of `plimsoll leaks` against the truth
///
/// Exit code 1 when a leak is missed that is large enough, a healthy site is accused, or there is said to be too
/// little evidence where there is enough.
#[derive(Debug, Parser)]
struct Arguments {
    /// Programs; all unless given
    #[arg(value_parser = PossibleValuesParser::new(judged::names()))]
    programs: Vec<String>,
    /// Lists the programs and what they do
    #[arg(long)]
    list: bool,
    /// Seeds that each program runs with
    #[arg(long, default_value_t = 5)]
    seeds: u64,
    /// The first of them, to leave out those that the verdicts were tuned on
    #[arg(long, default_value_t = 1)]
    first_seed: u64,
    /// Only this mode
    #[arg(long, value_enum)]
    mode: Option<Mode>,
    /// Mean bytes between samples in sampled mode
    #[arg(long, default_value_t = 4096)]
    interval: u64,
    /// Only whole runs, not the shorter ones
    #[arg(long)]
    whole: bool,
    /// Programs that run at the same time
    #[arg(long, default_value_t = 16)]
    at_once: usize,
    /// The viewer's program; the one beside this program unless given
    #[arg(long)]
    viewer: Option<PathBuf>,
    /// Keeps every run in this new file, a line each
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Judges the runs of this file again instead of running anything
    #[arg(long, conflicts_with_all = ["programs", "keep"])]
    kept: Vec<PathBuf>,
    /// Takes every verdict for this one: the judge must notice
    #[arg(long = "as", value_enum)]
    every_verdict: Option<Class>,
}

impl Arguments {
    fn programs(&self) -> Vec<&'static Program> {
        let asked =
            |program: &&Program| self.programs.is_empty() || self.programs.iter().any(|name| name == program.name);
        judged::all().into_iter().filter(asked).collect()
    }

    fn jobs(&self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for program in self.programs() {
            let short = program.short.iter().copied().filter(|_| !self.whole);
            for steps in short.chain([program.steps]) {
                for mode in [Mode::Exact, Mode::Sampled] {
                    let seeds = self.first_seed..self.first_seed.saturating_add(self.seeds);
                    let seeds = seeds.filter(|_| self.mode.is_none_or(|only| only == mode));
                    jobs.extend(seeds.map(|seed| Job { program, steps, seed, mode }));
                }
            }
        }
        // Of like lengths together, since each batch is as long as its longest.
        jobs.sort_by_key(|job| job.steps);
        jobs
    }

    fn tools(&self) -> Result<Tools, String> {
        let own = std::env::current_exe().map_err(|error| format!("cannot find the built programs: {error}"))?;
        let beside = |name: &str| own.with_file_name(name);
        let viewer = self.viewer.clone().unwrap_or_else(|| beside("plimsoll"));
        let judged = beside("judged");
        for (tool, package) in [(&viewer, "plimsoll-viewer"), (&judged, "plimsoll-benches")] {
            if !tool.exists() {
                return Err(format!("{} is missing; build it with `cargo build -p {package}`", tool.display()));
            }
        }
        Ok(Tools { judged, viewer, interval_bytes: self.interval })
    }

    fn rows(&self) -> Result<Vec<Row>, String> {
        if !self.kept.is_empty() {
            let files = self.kept.iter().map(|file| row::load(file)).collect::<Result<Vec<_>, _>>()?;
            return Ok(files.concat());
        }
        let mut keep = None;
        if let Some(path) = &self.keep {
            keep = Some(
                File::create_new(path).map_err(|error| format!("cannot keep runs in {}: {error}", path.display()))?,
            );
        }
        let (tools, jobs) = (self.tools()?, self.jobs());
        let mut rows = Vec::with_capacity(jobs.len());
        for batch in jobs.chunks(self.at_once.max(1)) {
            for row in tools.run(batch)? {
                if let Some(file) = &mut keep {
                    let line = serde_json::to_string(&row).map_err(|error| error.to_string())?;
                    writeln!(file, "{line}").map_err(|error| format!("cannot keep a run: {error}"))?;
                }
                rows.push(row);
            }
            eprintln!(
                "{} of {} runs, the latest {} steps long",
                rows.len(),
                jobs.len(),
                batch.last().map_or(0, |job| job.steps)
            );
        }
        Ok(rows)
    }
}

fn list() -> String {
    judged::all().iter().map(|program| format!("{:30} {}\n", program.name, program.about)).collect()
}

fn judge(arguments: &Arguments) -> Result<bool, String> {
    if arguments.list {
        print!("{}", list());
        return Ok(true);
    }
    let mut rows = arguments.rows()?;
    if let Some(class) = arguments.every_verdict {
        rows = rows.into_iter().map(|row| row.with_every_verdict(class)).collect();
    }
    println!("{}", page::page(&rows));
    if let Some(late) = rows.iter().max_by(|one, other| one.told.late_ms.total_cmp(&other.told.late_ms)) {
        println!("The latest step began {:.0} ms after its time: {}.", late.told.late_ms, late.title());
    }
    let failures = page::failures(&rows);
    println!(
        "{}",
        if failures == 0 { "The aim is met.".to_owned() } else { format!("The aim is missed {failures} times.") }
    );
    Ok(failures == 0)
}

fn main() -> ExitCode {
    match judge(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("judge: {error}");
            ExitCode::from(2)
        }
    }
}
