//! `run`: records a program that links the agent, then shows its report.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf, absolute};
use std::process::{Command, ExitStatus};

use crate::capture::LoadError;
use crate::present::safe;

use super::args::RunArgs;
use super::error::CliError;
use super::output::print;
use super::sites::plain_report;

/// Shown when a program leaves no capture. The two lines are all that it needs.
const HOW_TO_LINK: &str = "\
add plimsoll to its dependencies and these two lines, build it again, and run the same command:

    #[global_allocator] static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

    let _session = plimsoll::Session::from_env_or_idle();   // first line of main
";

pub(super) fn run(args: &RunArgs) -> Result<(), CliError> {
    let directory = tempfile::Builder::new().prefix("plimsoll-").tempdir();
    let directory = directory.map_err(|source| CliError::Write { path: std::env::temp_dir(), source })?;
    let capture = match &args.keep {
        Some(keep) => kept(keep)?,
        None => directory.path().join("capture.plim"),
    };
    let status = record(args, &capture)?;
    let code = exit_code(status);
    let told = match plain_report(&capture) {
        Ok(report) => print(&format!("\n{report}{}", kept_where(args, &capture))),
        Err(CliError::Load(LoadError::Missing { .. })) => Err(no_capture(args)),
        Err(error) => Err(error),
    };
    match (told, code) {
        (told, 0) => told,
        (Ok(()), code) => Err(CliError::Child(code)),
        (Err(error), code) => {
            // Both failed: the program's exit code says more to a script, the reason more to a person.
            anstream::eprintln!("plimsoll: {}", safe(&error.to_string()));
            Err(CliError::Child(code))
        }
    }
}

/// The file to keep the capture in. It must be new: a capture is never overwritten.
fn kept(keep: &Path) -> Result<PathBuf, CliError> {
    let refused = |reason: &str| CliError::Refused(format!("cannot record into {}: {reason}", keep.display()));
    if keep.is_dir() {
        return Err(refused("it is a directory; name a file in it"));
    }
    if keep.symlink_metadata().is_ok() {
        return Err(refused("the file exists; name a new one"));
    }
    // The program may change its directory before it starts the session.
    absolute(keep).map_err(|error| refused(&error.to_string()))
}

fn record(args: &RunArgs, capture: &Path) -> Result<ExitStatus, CliError> {
    let Some((program, arguments)) = args.command.split_first() else {
        return Err(CliError::Refused("no program to run".to_owned()));
    };
    // Ctrl-C is for the program; its report still comes. Without a handler the report would be lost, nothing else.
    let _ = ctrlc::set_handler(|| {});
    let mut command = Command::new(program);
    command.args(arguments).env("PLIMSOLL_OUTPUT", capture);
    command.env("PLIMSOLL_MODE", if args.exact { "exact" } else { "sampled" });
    if let Some(interval) = &args.interval {
        command.env("PLIMSOLL_INTERVAL", interval);
    }
    let name = || program.to_string_lossy().into_owned();
    command.status().map_err(|error| match error.kind() {
        ErrorKind::NotFound => CliError::Refused(format!("cannot run {}: there is no such program", name())),
        _ => CliError::Refused(format!("cannot run {}: {error}", name())),
    })
}

/// The program's exit code; 128 + the signal when it was killed, as shells have it.
fn exit_code(status: ExitStatus) -> u8 {
    #[cfg(unix)]
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    #[cfg(not(unix))]
    let signal: Option<i32> = None;
    let code = status.code().or(signal.map(|signal| 128 + signal)).unwrap_or(1);
    // What does not fit is a failure all the same.
    u8::try_from(code).unwrap_or(1)
}

fn kept_where(args: &RunArgs, capture: &Path) -> String {
    match args.keep {
        Some(_) => format!("Next: plimsoll leaks {0}, plimsoll flamegraph {0}\n", safe(&capture.to_string_lossy())),
        None => "Next: run it with --keep FILE to keep the capture for leaks, flamegraph and histogram\n".to_owned(),
    }
}

fn no_capture(args: &RunArgs) -> CliError {
    let program = args.command.first().map(OsString::as_os_str).unwrap_or_default().to_string_lossy().into_owned();
    anstream::eprint!("\nTo make {} record, {HOW_TO_LINK}\n", safe(&program));
    CliError::Refused(format!(
        "{program} left no capture: it does not link the plimsoll crate, or never makes a Session"
    ))
}
