//! Kills a program that records in exact mode, at random times and at each step of the agent's protocol, and holds what
//! the viewer reads then against a witness in shared memory.
//!
//! Exit code 1 when an event was lost that was recorded, a capture does not open, or something was left behind.

mod run;
mod subject;
mod verify;
mod witness;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOC: plimsoll::Allocator<witness::Witness> = plimsoll::Allocator::new(witness::Witness);

/// Steps at which the process kills itself, in builds with debug assertions; `kill_point!` in the agent's sources.
const STEPS: [&str; 21] = [
    "chunk has a thread",
    "chunk taken",
    "event packed",
    "event published",
    "chunk full",
    "chunk handed over",
    "ring event stored",
    "written moved up",
    "part taken",
    "about to write",
    "blocks written",
    "statement written",
    "epoch moved",
    "chunk emptied",
    "chunk given back",
    "ring place given back",
    "about to rotate",
    "segment created",
    "arena made",
    "end written",
    "arena removed",
];

/// Kills a program that records, and looks at what is left
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// SIGKILL at random times
    Random {
        /// How often
        #[arg(long, default_value_t = 1000)]
        runs: u32,
        /// Of the random times
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// SIGKILL at each numbered step of the protocol; needs a build with debug assertions
    Steps,
    /// The program that is killed
    #[command(hide = true)]
    Subject {
        output: PathBuf,
        witness: PathBuf,
        #[arg(long)]
        milliseconds: u64,
        #[arg(long)]
        max_bytes: Option<u64>,
        /// More threads, which hold all chunks there are: the others' events go through the ring
        #[arg(long, default_value_t = 0)]
        crowd: u32,
    },
}

fn main() -> ExitCode {
    let told = match Args::parse().what {
        What::Subject { output, witness, milliseconds, max_bytes, crowd } => {
            return subject::main(&output, &witness, Duration::from_millis(milliseconds), (max_bytes, crowd));
        }
        What::Random { runs, seed } => run::random(runs, seed),
        What::Steps if !cfg!(debug_assertions) => {
            eprintln!("kills: this build has no steps to be killed at; run it without --release");
            return ExitCode::from(2);
        }
        What::Steps => run::steps(),
    };
    match told {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("kills: {error}");
            ExitCode::from(2)
        }
    }
}
