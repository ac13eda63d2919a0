//! What can be asked of the program, carried out on the control thread.

use std::sync::atomic::Ordering;

use plimsoll_format::control::{Answer, Recording, Request, Status};
use plimsoll_format::{Hook, Phase};

use crate::config::Config;
use crate::session::{self, Busy, Running};
use crate::{memory, slot};

/// Carries requests out.
pub(super) struct Commands {
    config: Config,
    hook: Hook,
}

impl Commands {
    /// Sessions are started as `config` says, unless the request says otherwise.
    pub(super) fn new(config: Config, hook: Hook) -> Commands {
        Commands { config, hook }
    }

    /// Does what is asked, and says what came of it.
    pub(super) fn answer(&mut self, request: Request) -> Answer {
        let done = match request {
            Request::Status => status(),
            _ => Err("this agent cannot do that".to_owned()),
        };
        done.unwrap_or_else(Answer::Refused)
    }
}

/// Why nothing was done, in one line.
type Refused = String;

impl From<Busy> for Refused {
    fn from(_: Busy) -> Refused {
        "a session is being started or ended at this moment; ask again".to_owned()
    }
}

fn status() -> Result<Answer, Refused> {
    Ok(Answer::Status(Status {
        pid: std::process::id(),
        program: session::program_name(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        recording: session::with_current(|running| running.map(recording))?,
        sessions: session::count(),
        live_bytes: slot::sums().program.live_bytes().max(0) as u64,
        rss_bytes: memory::rss_bytes(),
    }))
}

fn recording(running: &Running) -> Recording {
    let recorder = running.recorder;
    let is_paused = recorder.paused.load(Ordering::Relaxed);
    Recording {
        path: running.path.to_string_lossy().into_owned(),
        mode: recorder.mode,
        phase: if is_paused { Phase::Paused } else { Phase::Recording },
        interval_bytes: recorder.interval(),
    }
}
