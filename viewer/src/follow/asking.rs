//! Asks the process of a capture, as `plimsoll ctl` does, if it is still that process.

use plimsoll_format::control::{Answer, Request};

use crate::control::{self, ControlError};

use super::picture::{Followed, State};

/// Why the process of a capture was not asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AskError {
    /// It has ended, or nobody knows it.
    #[error("this process is not there any more")]
    Gone,
    /// Its number was given out again.
    #[error("process {0} is another program now")]
    Another(u32),
    /// It does not listen, or does not answer.
    #[error(transparent)]
    Control(#[from] ControlError),
}

impl Followed {
    /// Asks the capture's process, and waits for the answer.
    ///
    /// # Errors
    ///
    /// When the process is gone or another one by now, does not listen for control, or does not answer.
    pub fn ask(&self, request: &Request) -> Result<Answer, AskError> {
        match self.state {
            State::Waiting | State::Killed | State::Truncated => Err(AskError::Gone),
            state if state.is_live() => Ok(control::ask(self.pid, request)?),
            _ => ask_program(self.pid, &self.program, request),
        }
    }
}

/// Asks a process that recorded before. Nothing says that it still is that program: its number may be another process's by
/// now, so it is asked for its name first.
///
/// # Errors
///
/// As those of [`Followed::ask`].
pub fn ask_program(pid: u32, program: &str, request: &Request) -> Result<Answer, AskError> {
    match control::ask(pid, &Request::Status)? {
        Answer::Status(status) if status.program == program => Ok(control::ask(pid, request)?),
        _ => Err(AskError::Another(pid)),
    }
}
