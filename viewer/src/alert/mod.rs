//! Alerts: rules say when memory is something to be told of, an engine holds them to each [`Picture`] and says what was
//! raised and what is over, actions tell whoever asked for it. `docs/alerts.md` is their manual.
//!
//! ```no_run
//! use std::time::Duration;
//! use plimsoll_viewer::alert::{Engine, Rules, actions::Runner};
//! use plimsoll_viewer::follow::{FollowOptions, Follower};
//!
//! let rules = Rules::shipped();
//! let runner = Runner::start(&rules)?;
//! let mut engine = Engine::new(rules);
//! let follower = Follower::start(FollowOptions::default())?;
//! let mut number = 0;
//! while let Some(picture) = follower.wait(number, Duration::from_secs(10)) {
//!     number = picture.number;
//!     engine.look(&picture).into_iter().for_each(|change| runner.tell(change));
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Picture`]: crate::follow::Picture

pub mod actions;
mod amount;
mod engine;
#[cfg(test)]
mod engine_test;
mod reading;
mod rules;
#[cfg(test)]
mod rules_test;

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::follow::Level;

pub use engine::Engine;
pub use rules::{Action, ActionKind, Rule, Rules, RulesError, SHIPPED, What};

/// Something to be told of.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Alert {
    /// Name of the rule.
    pub rule: String,
    /// How bad it is: yellow or red.
    pub level: Level,
    /// What it is about: the id of a capture, or the number of a process.
    pub subject: String,
    /// Name of the program. Hostile, but without control characters, as are title and text.
    pub program: String,
    /// Its process.
    pub pid: u32,
    /// The matter in one line.
    pub title: String,
    /// What the rule says, and what more is known.
    pub text: String,
    /// Since when the rule's condition is met.
    #[serde(rename = "since_unix_ms", serialize_with = "unix_ms")]
    pub since: SystemTime,
    /// The number that the rule looks at, as it was last; 1 where there is none.
    pub value: f64,
    /// What it is of: `bytes`, `share` (1 for all), `bytes/s`, `ratio` or `s`.
    pub unit: &'static str,
}

/// What a picture changed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Change {
    /// What happened.
    pub state: ChangeState,
    /// The alert; of one that is over, as it was last.
    pub alert: Alert,
    /// When.
    #[serde(rename = "at_unix_ms", serialize_with = "unix_ms")]
    pub at: SystemTime,
    /// Why it is over, in a few words.
    pub why: Option<String>,
}

/// What happened to an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeState {
    /// It is new.
    Raised,
    /// It is over.
    Cleared,
}

impl ChangeState {
    /// The name in JSON and for programs.
    pub fn name(self) -> &'static str {
        match self {
            ChangeState::Raised => "raised",
            ChangeState::Cleared => "cleared",
        }
    }
}

/// Milliseconds since 1970 UTC; 0 before.
pub(crate) fn since_1970_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn unix_ms<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(since_1970_ms(*time))
}
