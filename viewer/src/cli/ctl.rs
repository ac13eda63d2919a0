//! `ctl`: asks running programs to record, to name moments, to give memory back.

use clap::{Args, Subcommand};
use plimsoll_format::Phase;
use plimsoll_format::control::{Answer, Request, Status};

use crate::control::{self, Socket};
use crate::present::{safe, units};

use super::error::CliError;
use super::output::print;

/// Control a running program: start and stop recording, name moments, give memory back
///
/// The program must listen: start it with PLIMSOLL_CONTROL=1. Only its user and root can control it. Without a number it is
/// the one program of this user that listens.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = false,
    after_long_help = "Examples:\n  \
    plimsoll ctl status"
)]
pub(super) struct CtlArgs {
    /// The program, by the number of its process [default: the one that listens]
    #[arg(value_name = "PID")]
    pid: Option<u32>,
    #[command(subcommand)]
    command: CtlCommand,
}

#[derive(Debug, Subcommand)]
enum CtlCommand {
    /// Say what it records, and where
    Status,
}

pub(super) fn ctl(args: &CtlArgs) -> Result<(), CliError> {
    let CtlCommand::Status = args.command;
    let refused = |error: control::ControlError| CliError::Refused(error.to_string());
    let sockets: Vec<Socket> = match args.pid {
        Some(pid) => vec![control::find(pid).map_err(refused)?],
        None => control::listening(),
    };
    for socket in &sockets {
        match socket.ask(&Request::Status).map_err(refused)? {
            Answer::Status(status) => print(&words(&status))?,
            Answer::Refused(why) => return Err(CliError::Refused(why)),
            _ => return Err(CliError::Refused("another answer than was asked for".to_owned())),
        }
    }
    Ok(())
}

fn words(status: &Status) -> String {
    let does = match &status.recording {
        None => "idle".to_owned(),
        Some(recording) => {
            let phase = if recording.phase == Phase::Paused { "paused" } else { "recording" };
            format!("{phase} into {}", safe(&recording.path))
        }
    };
    let (live, rss) = (units::bytes(status.live_bytes), units::bytes(status.rss_bytes));
    format!("{} {}: {does}; live {live}, RSS {rss}\n", safe(&status.program), status.pid)
}
