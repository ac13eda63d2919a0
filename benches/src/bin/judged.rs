//! Runs one program of the judged suite under Plimsoll, as the `PLIMSOLL_*` variables say, and prints what is true of it.

use std::process::ExitCode;

use clap::Parser;
use clap::builder::PossibleValuesParser;
use plimsoll_benches::judged::stage::Stage;
use plimsoll_benches::judged::{self, told::Told};

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// Runs one program of the judged suite and prints what is true of it, as one JSON object
#[derive(Debug, Parser)]
struct Arguments {
    /// What to run
    #[arg(value_parser = PossibleValuesParser::new(judged::names()))]
    program: String,
    /// Chooses its random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Length in steps of 10 ms; the program's own unless given
    #[arg(long)]
    steps: Option<u32>,
}

fn run(arguments: &Arguments) -> Result<Told, String> {
    let program = judged::find(&arguments.program).ok_or("unknown program")?;
    let steps = arguments.steps.unwrap_or(program.steps).max(1);
    let mut stage = Stage::new(program, arguments.seed, steps).map_err(|error| error.to_string())?;
    program.run(&mut stage);
    stage.told().ok_or_else(|| "the program ended before its last step".to_owned())
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let told = run(&arguments).and_then(|told| serde_json::to_string(&told).map_err(|error| error.to_string()));
    match told {
        Ok(told) => {
            println!("{told}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("judged {}: {error}", arguments.program);
            ExitCode::from(2)
        }
    }
}
