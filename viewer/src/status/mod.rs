//! The live picture in one line: current use, ten-bar strip, level colour, in the form that each status bar reads; and the
//! menu behind it. `docs/status-lines.md` is their manual.

mod bars;
#[cfg(test)]
mod bars_test;
mod display_menu;
mod menu;
mod menu_text;

use serde::Serialize;

use crate::alert::since_1970_ms;
use crate::follow::{Followed, Level, Limit, Picture, Process, Strip};
use crate::present::{safe, units};

pub use bars::{Bar, i3_header};
pub use display_menu::display_menu;
pub use menu::{Do, Entry, Menu};
pub use menu_text::{MenuBar, menu_text};

/// Characters kept of a name in a line.
const MAX_NAME: usize = 24;
/// Programs shown one by one, at most.
const MAX_PROGRAMS: usize = 32;

/// What one program uses, or all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Usage {
    /// The program; of several how many they are. Hostile, but without control characters.
    pub name: String,
    /// Its process; `None` of several.
    pub pid: Option<u32>,
    /// The id of its capture.
    pub capture: Option<String>,
    /// What its capture's process is doing, such as `running`.
    pub state: Option<&'static str>,
    /// Resident set, ten bars, peak, level.
    #[serde(flatten)]
    pub strip: Strip,
    /// The limit, and what is used of it.
    pub limit: Option<Limit>,
    /// Why its memory cannot be read.
    pub error: Option<String>,
    /// How it changed over the last minute, in words.
    pub trend: Option<String>,
}

/// Everything that a status line may show.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Status {
    /// When it was so.
    pub timestamp_unix_ms: u64,
    /// The one program there is, or all of them together; `None` when there is none.
    pub shown: Option<Usage>,
    /// Each by itself, 32 at most.
    pub programs: Vec<Usage>,
    /// What a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

impl Status {
    /// Of a picture: running programs, or those that ended when none runs.
    pub fn of(picture: &Picture) -> Status {
        let mut programs: Vec<Usage> =
            picture.captures.iter().filter(|one| one.state.is_live() && one.pid != 0).map(|one| capture(one)).collect();
        let alone = picture.processes.iter().filter(|process| process.capture.is_none() && !process.has_gone);
        programs.extend(alone.map(|process| of_process(process)));
        if programs.is_empty() {
            programs.extend(picture.captures.iter().filter(|one| one.pid != 0).take(1).map(|one| capture(one)));
        }
        let shown = match &programs[..] {
            [] => None,
            [one] => Some(one.clone()),
            several => Some(Usage {
                name: units::things(several.len(), "program"),
                pid: None,
                capture: None,
                state: None,
                strip: picture.sum.strip.clone(),
                limit: None,
                error: None,
                trend: None,
            }),
        };
        programs.truncate(MAX_PROGRAMS);
        Status {
            timestamp_unix_ms: picture.at.map_or(0, since_1970_ms),
            shown,
            programs,
            warnings: picture.warnings.iter().map(|warning| safe(warning).into_owned()).collect(),
        }
    }

    /// The colour of all of it.
    pub fn level(&self) -> Option<Level> {
        self.shown.as_ref().and_then(|shown| shown.strip.level)
    }
}

impl Usage {
    /// `12.3 MiB`, or why there is none.
    pub fn current(&self) -> String {
        match (&self.error, self.strip.current_bytes) {
            (Some(reason), _) => format!("Memory: error ({reason})"),
            (None, Some(bytes)) => units::bytes(bytes),
            (None, None) => "nothing yet".to_owned(),
        }
    }

    /// What stands beside the strip: `peak 20.0 MiB, 45.0 % of 512 MiB, green`.
    pub fn more(&self) -> String {
        let mut parts = Vec::new();
        if self.strip.peak_bytes > 0 {
            parts.push(format!("peak {}", units::bytes(self.strip.peak_bytes)));
        }
        if let Some(limit) = &self.limit {
            parts.push(format!("{} of {}", units::share(limit.used_bytes, limit.bytes), units::bytes(limit.bytes)));
        }
        parts.extend(self.strip.level.map(|level| level.name().to_owned()));
        parts.extend(self.state.filter(|state| *state != "running").map(str::to_owned));
        parts.join(", ")
    }

    /// The part of the limit that is used, in percent.
    pub fn percent(&self) -> Option<u64> {
        self.limit.map(|limit| (limit.share() * 100.0).round().min(100.0) as u64)
    }

    /// `name (pid)`.
    pub fn title(&self) -> String {
        self.pid.map_or_else(|| self.name.clone(), |pid| format!("{} ({pid})", self.name))
    }
}

/// A name as lines have room for, without control characters.
fn short(name: &str) -> String {
    let name = safe(name);
    if name.chars().count() <= MAX_NAME {
        return name.into_owned();
    }
    name.chars().take(MAX_NAME - 1).chain(['…']).collect()
}

fn capture(followed: &Followed) -> Usage {
    Usage {
        name: short(&followed.program),
        pid: Some(followed.pid),
        capture: Some(followed.id.clone()),
        state: Some(followed.state.name()),
        strip: Strip { level: followed.level, ..followed.rss.clone() },
        limit: followed.limit,
        error: None,
        trend: trend(followed),
    }
}

fn trend(followed: &Followed) -> Option<String> {
    let trend = followed.trend;
    let change = |bytes: i64| format!("{}{}", if bytes < 0 { "−" } else { "+" }, units::bytes(bytes.unsigned_abs()));
    let rss = trend.rss_bytes.map(|bytes| format!("RSS {}", change(bytes)));
    let live = trend.live_bytes.map(|bytes| format!("live {}", change(bytes)));
    let parts: Vec<String> = rss.into_iter().chain(live).collect();
    (trend.over_ns > 0 && !parts.is_empty())
        .then(|| format!("{} in {}", parts.join(", "), units::duration(trend.over_ns)))
}

fn of_process(process: &Process) -> Usage {
    Usage {
        name: short(&process.name),
        pid: Some(process.pid),
        capture: None,
        state: None,
        strip: Strip { level: process.level, ..process.strip.clone() },
        limit: process.limit,
        error: process.memory.as_ref().err().map(|reason| safe(reason).into_owned()),
        trend: None,
    }
}

/// The colour of a level, as web pages write it; it can be read on light and on dark.
pub(crate) fn colour(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Green) => "#2da44e",
        Some(Level::Yellow) => "#d4a017",
        Some(Level::Red) => "#e5484d",
        None => "#8b949e",
    }
}
