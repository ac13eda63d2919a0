//! One capture, followed: waits for it, keeps it open, notices when another takes its place, and says how its process is.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll_format::{EndReason, Mode};

use crate::capture::parts;

use super::alive::Life;
use super::level::Levels;
use super::look::Look;
use super::looking::Looked;
use super::open::Open;
use super::picture::{Followed, Rates, Reading, State, Trend};
use super::session::Session;
use super::strip::{STRIP_BARS, Strip};
use super::tail::Change;

/// Ticks without a write after which a process that cannot be seen is taken for gone.
const QUIET_TICKS: u32 = 3;
/// The same, at least.
const QUIET: Duration = Duration::from_secs(3);
/// Said once a file was cut.
const CUT: &str =
    "the file was cut while it was followed: it was read from its start again, and what it lost is missing";

/// One capture, followed.
#[derive(Debug)]
pub(super) struct Following {
    /// What was named.
    named: PathBuf,
    /// Of an open capture the name of its first segment.
    path: PathBuf,
    given_limit: Option<u64>,
    open: Option<Open>,
    /// Length and time of the last write when it was no capture yet.
    tried: Option<(u64, SystemTime)>,
    /// What went wrong at the last poll.
    trouble: Option<String>,
    was_cut: bool,
    /// The last look at it.
    look: Option<Arc<Look>>,
    /// Why the last look failed.
    look_error: Option<String>,
}

impl Following {
    pub(super) fn new(path: &Path, given_limit: Option<u64>) -> Following {
        Following {
            named: path.to_owned(),
            path: path.to_owned(),
            given_limit,
            open: None,
            tried: None,
            trouble: None,
            was_cut: false,
            look: None,
            look_error: None,
        }
    }

    /// Whether this is what a name stands for.
    pub(super) fn is_named(&self, path: &Path) -> bool {
        self.named == path || self.path == path
    }

    /// Stays the same as long as the session does.
    pub(super) fn id(&self) -> String {
        match &self.open {
            Some(open) => format!("{:016x}", open.session),
            None => {
                // No session is known by a name that begins so.
                let name: String = self.path.to_string_lossy().bytes().map(|byte| format!("{byte:02x}")).collect();
                format!("waiting-{name}")
            }
        }
    }

    /// Changes whenever something came, or its process went.
    pub(super) fn version(&self) -> (u64, State) {
        (self.open.as_ref().map_or(0, Open::settled_bytes), self.state())
    }

    /// Whether more of it is there to be read.
    pub(super) fn is_behind(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.behind_bytes() > 0) && self.trouble.is_none()
    }

    /// Whether its process goes on.
    pub(super) fn is_recording(&self) -> bool {
        matches!(self.state(), State::Running | State::Paused)
    }

    /// Whether nothing more will come, and its file is gone.
    pub(super) fn is_over(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_removed() && !self.state().is_live())
    }

    /// Lets go of the last look.
    pub(super) fn forget_look(&mut self) {
        self.look = None;
    }

    /// Reads what has come.
    pub(super) fn poll(&mut self) {
        if self.has_another_session() {
            *self = Following::new(&self.named, self.given_limit);
        }
        if self.open.is_none() {
            let stamp = fs::metadata(&self.named).and_then(|file| Ok((file.len(), file.modified()?))).ok();
            // What was no capture is none until it is written to.
            if stamp.is_some() && stamp == self.tried {
                return;
            }
            self.tried = stamp;
        }
        self.trouble = self.read().err();
    }

    /// Takes what a look gave.
    pub(super) fn looked(&mut self, looked: Looked) {
        match looked {
            Ok(look) => (self.look, self.look_error) = (Some(look), None),
            Err(error) => self.look_error = Some(error),
        }
    }

    fn read(&mut self) -> Result<(), String> {
        if self.open.is_none() {
            let found = parts(&self.named).map_err(|error| error.to_string())?;
            let (segment, path) = found.files.first().ok_or("no file of the capture is left")?;
            let open = Open::segment(path, found.session, *segment, self.given_limit);
            self.open = Some(open.map_err(|error| format!("cannot read {}: {error}", path.display()))?);
            self.path = found.base;
        }
        let Some(open) = &mut self.open else { return Ok(()) };
        let change = open.poll(&self.path).map_err(|error| format!("cannot read {}: {error}", self.path.display()))?;
        self.was_cut |= change == Change::Cut;
        Ok(())
    }

    /// Whether the files are those of another session now: they were replaced, or written over.
    fn has_another_session(&mut self) -> bool {
        let Some(open) = &mut self.open else { return false };
        let is_doubtful = std::mem::take(&mut open.reading.is_doubtful);
        if open.is_replaced() {
            return parts(&self.named).is_ok();
        }
        is_doubtful && parts(&self.named).is_ok_and(|found| found.session != open.session)
    }

    fn known(&self) -> Option<&Session> {
        self.open.as_ref()?.reading.known.as_ref()
    }

    pub(super) fn state(&self) -> State {
        let Some((open, known)) = self.open.as_ref().zip(self.known()) else { return State::Waiting };
        if let Some(end) = &known.end {
            return match end.reason {
                EndReason::Finished | EndReason::Exit => State::Ended,
                EndReason::Detached(_) => State::Detached,
            };
        }
        let is_there = match open.life {
            Life::Alive => true,
            // What it wrote last is still to be read.
            Life::Dead => open.behind_bytes() > 0,
            Life::Unknown => is_fresh(open.modified(), known.header.tick_ns),
        };
        match (is_there, known.is_paused) {
            (true, false) => State::Running,
            (true, true) => State::Paused,
            (false, _) if open.life == Life::Unknown && open.is_torn() => State::Truncated,
            (false, _) => State::Killed,
        }
    }

    /// What there is to see.
    pub(super) fn followed(&self, levels: &Levels) -> Followed {
        let known = self.known();
        let limit = known.and_then(Session::limit);
        let level = limit.as_ref().map(|limit| levels.of(limit));
        let mode = known.map(|known| known.header.mode);
        let reason = known.and_then(|known| match &known.end.as_ref()?.reason {
            EndReason::Detached(reason) => Some(reason.clone()),
            _ => None,
        });
        let latest = known.map_or_else(Reading::default, Session::latest);
        Followed {
            id: self.id(),
            path: self.path.clone(),
            program: known.map_or_else(String::new, |known| known.header.program.clone()),
            pid: known.map_or(0, |known| known.header.pid),
            mode,
            interval_bytes: known.filter(|_| mode == Some(Mode::Sampled)).map_or(1, |known| known.interval_bytes),
            start_wall_ns: known.map_or(0, |known| known.header.start.wall_ns),
            state: self.state(),
            reason,
            rss: strips(known, level, |known| known.peak_rss_bytes(), |values| values.rss_bytes),
            live: strips(known, level, |_| latest.peak_bytes().map_or(0, |peak| peak.low), |values| values.live_bytes),
            latest,
            series: known.map(|known| known.series.clone()).unwrap_or_default(),
            rates: known.map_or_else(Rates::default, |known| known.rates),
            trend: known.map_or_else(Trend::default, Session::trend),
            lost: self.open.as_ref().map(|open| open.reading.lost()).unwrap_or_default(),
            limit,
            level,
            markers: known.map(|known| known.markers.clone()).unwrap_or_default(),
            behind_bytes: self.open.as_ref().map_or(0, Open::behind_bytes),
            look: self.look.clone(),
            look_error: self.look_error.clone(),
            warnings: self.trouble.iter().cloned().chain(self.was_cut.then(|| CUT.to_owned())).collect(),
        }
    }
}

fn strips(
    known: Option<&Session>,
    level: Option<super::level::Level>,
    peak: impl Fn(&Session) -> u64,
    number: impl Fn(&super::series::Values) -> Option<u64>,
) -> Strip {
    let Some(known) = known else { return Strip::new([], 0, None) };
    Strip::new(known.series.last(STRIP_BARS, number), peak(known), level)
}

/// Whether a file was written to within the last few ticks.
fn is_fresh(modified: Option<SystemTime>, tick_ns: u64) -> bool {
    let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
    // A file of the future is of a moment ago.
    age.unwrap_or_default() <= QUIET.max(Duration::from_nanos(tick_ns).saturating_mul(QUIET_TICKS))
}
