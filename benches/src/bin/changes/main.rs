//! Whether `plimsoll diff` keeps its promises: pairs of runs that differ by their samples alone, and pairs with planted
//! changes, of the real agent, read by the real viewer.

mod runs;
mod subject;

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use runs::{Outcome, Tools};
use subject::Plant;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// Of 500 pairs without a change so many may report one: twice the promised hundredth.
const MAX_ALARMS_PERCENT: f64 = 2.0;
/// Of pairs with a planted change so many must report it.
const MIN_FOUND_PERCENT: f64 = 95.0;

/// Whether plimsoll diff finds planted changes, and reports none where there is none
///
/// Exit code 1 when more than 2 % of the pairs without a change report one, or fewer than 95 % of the planted changes
/// are found.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the program once: what `measure` starts
    Subject {
        /// What is changed
        plant: Plant,
    },
    /// Compares pairs of runs under different seeds
    Measure {
        /// Pairs without a change
        #[arg(long, default_value_t = 500)]
        equal: u64,
        /// Pairs with each kind of planted change
        #[arg(long, default_value_t = 100)]
        planted: u64,
        /// The viewer's program; the one beside this program unless given
        #[arg(long)]
        viewer: Option<PathBuf>,
        /// Keeps the outcomes in this new file, a line of JSON for each pair
        #[arg(long)]
        keep: Option<PathBuf>,
    },
}

fn percent(part: usize, whole: usize) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

/// Prints what came out of the pairs with one plant; whether it is good enough.
fn judge(plant: Plant, outcomes: &[Outcome]) -> bool {
    let pairs = outcomes.len();
    let alarms = outcomes.iter().filter(|outcome| outcome.others > 0).count();
    let alarms_good = percent(alarms, pairs) <= MAX_ALARMS_PERCENT;
    println!("{}: {pairs} pairs, {alarms} report a site that did not change", plant.told());
    let mut good = alarms_good;
    for (at, (site, change)) in plant.sites().into_iter().enumerate() {
        let found = outcomes.iter().filter(|outcome| outcome.found.get(at) == Some(&true)).count();
        println!("  {change} at site {site}: found in {found}");
        good &= percent(found, pairs) >= MIN_FOUND_PERCENT;
    }
    good
}

fn measure(equal: u64, planted: u64, viewer: Option<PathBuf>, keep: Option<PathBuf>) -> Result<bool, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let viewer = viewer.unwrap_or_else(|| own.with_file_name("plimsoll"));
    let tools = Tools { own, viewer };
    let mut good = true;
    let mut kept = String::new();
    for plant in Plant::ALL {
        let pairs = if plant == Plant::None { equal } else { planted };
        let outcomes = runs::compare(&tools, plant, pairs)?;
        for outcome in &outcomes {
            kept.push_str(&serde_json::to_string(outcome).map_err(|error| error.to_string())?);
            kept.push('\n');
        }
        good &= judge(plant, &outcomes);
    }
    if let Some(path) = keep {
        let file = File::create_new(&path).and_then(|mut file| file.write_all(kept.as_bytes()));
        file.map_err(|error| format!("cannot keep outcomes in {}: {error}", path.display()))?;
    }
    Ok(good)
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Subject { plant } => subject::run(plant).map(|()| true).map_err(|error| error.to_string()),
        Command::Measure { equal, planted, viewer, keep } => measure(equal, planted, viewer, keep),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("changes: {error}");
            ExitCode::from(2)
        }
    }
}
