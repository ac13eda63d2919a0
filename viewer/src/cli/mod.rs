//! The command line of `plimsoll`. Each command has a file; this one parses, runs and turns errors into exit codes.

mod arenas;
mod args;
mod check;
mod ctl;
mod diff;
mod dump;
mod error;
mod export;
mod flamegraph;
mod generate;
mod histogram;
mod load;
mod menu;
mod output;
mod pack;
mod rss;
mod run;
mod serve;
mod sites;
mod size;
mod status;
mod suppress;
mod top;
mod watch;

use std::io::{ErrorKind, Write};
use std::process::ExitCode;

use clap::Parser;

pub use args::Cli;
use args::Command;
pub use error::CliError;
pub(crate) use size::Size;

use crate::present::safe;

/// A check failed.
const EXIT_FAILED: u8 = 1;
/// Usage that makes no sense, or input that cannot be read.
const EXIT_UNUSABLE: u8 = 2;

/// Runs the program with the process's arguments.
pub fn main() -> ExitCode {
    // Bad usage ends here with exit code 2, --help and --version with 0.
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(code) => ExitCode::from(code),
        Err(error) if error.is_closed_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // One line, whatever names are in it; when even that cannot be written, the exit code must do.
            let line = format!("plimsoll: {}\n", safe(&error.to_string()));
            let _ = anstream::stderr().write_all(line.as_bytes());
            ExitCode::from(EXIT_UNUSABLE)
        }
    }
}

/// Runs one command; gives the exit code.
fn dispatch(command: Command) -> Result<u8, CliError> {
    match command {
        Command::Report(args) => sites::report(&args),
        Command::Leaks(args) => sites::leaks(&args),
        Command::Histogram(args) => histogram::histogram(&args),
        Command::Flamegraph(args) => flamegraph::flamegraph(&args),
        Command::Export(args) => export::export(&args),
        Command::Diff(args) => diff::diff(&args),
        Command::Rss(args) => rss::rss(&args),
        Command::Dump(args) => dump::dump(&args),
        Command::Check(args) => check::check(&args),
        Command::Run(args) => run::run(&args),
        Command::Top(args) => top::top(&args),
        Command::Watch(args) => watch::watch(&args),
        Command::Status(args) => status::status(&args),
        Command::Menu(args) => menu::menu(&args),
        Command::Serve(args) => serve::serve(&args),
        Command::Ctl(args) => ctl::ctl(&args),
        Command::Pack(args) => pack::pack(&args),
        Command::List(args) => arenas::list(&args),
        Command::Clean(args) => arenas::clean(&args),
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
    }
    .map(|()| 0)
    .or_else(|error| match error {
        CliError::Child(code) | CliError::Alerts(code) => Ok(code),
        CliError::Failed => Ok(EXIT_FAILED),
        error => Err(error),
    })
}

impl CliError {
    /// The reader of our output has gone: nothing went wrong.
    fn is_closed_pipe(&self) -> bool {
        matches!(self, CliError::Output(error) if error.kind() == ErrorKind::BrokenPipe)
    }
}
