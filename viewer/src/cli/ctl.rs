//! `ctl`: asks running programs to record, to name moments, to give memory back.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use plimsoll_format::Mode;
use plimsoll_format::control::{Answer, Request, StartOptions};

use crate::control::{self, ControlError};
use crate::present::json::{ControlJson, ProgramJson};
use crate::present::safe;

use super::error::CliError;
use super::output::{print, print_json};
use super::size::Size;

/// Control a running program: start and stop recording, name moments, give memory back
///
/// The program must listen: start it with PLIMSOLL_CONTROL=1. Only its user and root can control it. Without a PID it is the
/// one program of this user that listens.
#[derive(Debug, Args)]
#[command(
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands",
    after_long_help = "Examples:\n  \
    plimsoll ctl status\n  \
    plimsoll ctl 4711 start\n  \
    plimsoll ctl 4711 start --output captures/ --interval 64KiB\n  \
    plimsoll ctl 4711 mark deployed\n  \
    plimsoll ctl 4711 interval 1MiB\n  \
    plimsoll ctl 4711 stop\n  \
    plimsoll ctl 4711 purge --json"
)]
pub(super) struct CtlArgs {
    /// The program, by the number of its process [default: the one that listens]
    #[arg(value_name = "PID")]
    pid: Option<u32>,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// Say what it records, and where; without a PID of all programs that listen
    Status,
    /// Record into a new capture
    Start(StartArgs),
    /// End the capture
    Stop,
    /// Stop recording allocations; frees of recorded blocks go on, so that nothing looks leaked
    Pause,
    /// Go on recording allocations
    Resume,
    /// Change the mean number of bytes between samples; estimates stay true
    Interval {
        /// The new interval, such as 64KiB
        #[arg(value_name = "SIZE")]
        interval: Size,
    },
    /// Name this moment, for --at, --from and --to
    Mark {
        /// The name
        name: String,
    },
    /// Name this moment, and write everything that is known at it
    Snapshot {
        /// The name [default: snapshot-1, snapshot-2, …]
        name: Option<String>,
    },
    /// Write what has been recorded so far
    Flush,
    /// Give memory that the allocator holds without use back to the system
    Purge,
}

#[derive(Debug, Args)]
struct StartArgs {
    /// A new file, or a directory for one, as the program sees it [default: the directory that PLIMSOLL_OUTPUT names, else
    /// /tmp/plimsoll-UID]
    #[arg(short, long, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    output: Option<PathBuf>,
    /// What to record [default: as the program was set up, else samples]
    #[arg(long, value_enum)]
    mode: Option<ModeName>,
    /// Mean bytes between samples, such as 64KiB [default: as the program was set up, else 512KiB]
    #[arg(long, value_name = "SIZE")]
    interval: Option<Size>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ModeName {
    /// Samples
    Sampled,
    /// Every allocation, free and reallocation
    Exact,
}

impl CtlCommand {
    fn name(&self) -> &'static str {
        match self {
            CtlCommand::Status => "status",
            CtlCommand::Start(_) => "start",
            CtlCommand::Stop => "stop",
            CtlCommand::Pause => "pause",
            CtlCommand::Resume => "resume",
            CtlCommand::Interval { .. } => "interval",
            CtlCommand::Mark { .. } => "mark",
            CtlCommand::Snapshot { .. } => "snapshot",
            CtlCommand::Flush => "flush",
            CtlCommand::Purge => "purge",
        }
    }

    fn request(&self) -> Result<Request, CliError> {
        Ok(match self {
            CtlCommand::Status => Request::Status,
            CtlCommand::Start(args) => Request::Start(args.options()?),
            CtlCommand::Stop => Request::Stop,
            CtlCommand::Pause => Request::Pause,
            CtlCommand::Resume => Request::Resume,
            CtlCommand::Interval { interval } => Request::Interval { bytes: interval.0 },
            CtlCommand::Mark { name } => Request::Mark { name: name.clone() },
            CtlCommand::Snapshot { name } => Request::Snapshot { name: name.clone() },
            CtlCommand::Flush => Request::Flush,
            CtlCommand::Purge => Request::Purge,
        })
    }
}

impl StartArgs {
    fn options(&self) -> Result<StartOptions, CliError> {
        let mode = self.mode.map(|mode| match mode {
            ModeName::Sampled => Mode::Sampled,
            ModeName::Exact => Mode::Exact,
        });
        let output = self.output.as_deref().map(whole_path).transpose()?;
        Ok(StartOptions { output, mode, interval_bytes: self.interval.map(|interval| interval.0) })
    }
}

/// The program has another current directory.
fn whole_path(path: &Path) -> Result<String, CliError> {
    let refused = |why: &str| CliError::Refused(format!("cannot send the path {}: {why}", path.display()));
    let whole = std::path::absolute(path).map_err(|error| refused(&error.to_string()))?;
    whole.into_os_string().into_string().map_err(|_| refused("it is not UTF-8"))
}

/// Runs `plimsoll ctl`.
pub(super) fn ctl(args: &CtlArgs) -> Result<(), CliError> {
    let request = args.command.request()?;
    let (sockets, is_list) = match args.pid {
        Some(pid) => (vec![control::find(pid).map_err(refused)?], false),
        None if request == Request::Status => (control::listening_anywhere(), true),
        None => (vec![control::the_one().map_err(refused)?], false),
    };
    let mut programs = Vec::new();
    for socket in &sockets {
        let answer = if is_list { socket.glance(&request) } else { socket.ask(&request) };
        programs.push(match answer {
            Ok(Answer::Refused(why)) if !is_list => {
                let command = args.command.name();
                return Err(CliError::Refused(format!("process {} did not {command}: {why}", socket.pid)));
            }
            Ok(answer) => ProgramJson::new(socket.pid, &socket.path, answer),
            // One that hangs must not hide the others.
            Err(error) if is_list => ProgramJson::failed(socket.pid, &socket.path, &error.to_string()),
            Err(error) => return Err(refused(error)),
        });
    }
    if args.json {
        return print_json(&ControlJson { command: args.command.name(), programs });
    }
    if programs.is_empty() {
        return print(&format!("Nothing to show: {}\n", ControlError::nobody()));
    }
    let lines: Vec<String> = programs.iter().map(|program| format!("{}: {}\n", program.name(), program.text)).collect();
    print(&format!("{}{}", lines.concat(), next(&args.command, &programs)))
}

fn refused(error: ControlError) -> CliError {
    CliError::Refused(error.to_string())
}

/// What to do then.
fn next(command: &CtlCommand, programs: &[ProgramJson]) -> String {
    let [program] = programs else { return String::new() };
    match (command, &program.stopped, &program.written) {
        (CtlCommand::Start(_), ..) => format!("Next: plimsoll top {}\n", program.pid),
        (CtlCommand::Stop, Some(stopped), _) => format!("Next: plimsoll report {}\n", safe(&stopped.path)),
        (CtlCommand::Snapshot { .. }, _, Some(written)) => {
            format!(
                "Next: plimsoll report {} --at \"{}\"\n",
                safe(&written.path),
                safe(written.name.as_deref().unwrap_or_default())
            )
        }
        _ => String::new(),
    }
}
