//! Moments as people write them: `peak`, `end`, a time since the start, a time of day, a marker's name.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::model::Profile;
use crate::replay::Moment;

/// A moment as the user wrote it. What it means depends on the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At(String);

/// Why a moment means nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AtError {
    /// It is no moment, time or marker.
    #[error(
        "--at {given}: expected peak, end, a time since the start such as 90s or 1m30s, a time such as \
         2026-11-23T03:00:00Z, or a marker of this capture ({markers})"
    )]
    Unknown {
        /// What was written.
        given: String,
        /// Markers of the capture, in words.
        markers: String,
    },
    /// It is before the start or after the end.
    #[error("--at {given}: that is {where_} the capture, which lasts {seconds:.3} s")]
    Outside {
        /// What was written.
        given: String,
        /// `before` or `after`.
        where_: &'static str,
        /// Length of the capture.
        seconds: f64,
    },
}

impl FromStr for At {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<At, Self::Err> {
        Ok(At(text.to_owned()))
    }
}

impl At {
    /// The moment in this capture.
    ///
    /// # Errors
    ///
    /// When it means nothing here, or lies outside of the capture.
    pub fn resolve(&self, profile: &Profile) -> Result<Moment, AtError> {
        match self.0.as_str() {
            "peak" => return Ok(Moment::Peak),
            "end" => return Ok(Moment::End),
            _ => {}
        }
        if let Some((ticks, _)) = profile.markers.iter().find(|(_, name)| *name == self.0) {
            return Ok(Moment::Time(profile.ns(*ticks)));
        }
        let since_start = if let Ok(duration) = self.0.parse::<SignedDuration>() {
            duration.as_nanos()
        } else if let Ok(time) = self.0.parse::<Timestamp>() {
            time.as_nanosecond() - i128::from(profile.start_wall_ns)
        } else {
            return Err(AtError::Unknown { given: self.0.clone(), markers: markers(profile) });
        };
        let outside =
            |where_| AtError::Outside { given: self.0.clone(), where_, seconds: profile.duration_ns as f64 / 1e9 };
        match u64::try_from(since_start) {
            Ok(ns) if ns <= profile.duration_ns => Ok(Moment::Time(ns)),
            Ok(_) => Err(outside("after")),
            Err(_) => Err(outside(if since_start < 0 { "before" } else { "after" })),
        }
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// The first few markers, for an error message.
fn markers(profile: &Profile) -> String {
    if profile.markers.is_empty() {
        return "it has none".to_owned();
    }
    let names: Vec<&str> = profile.markers.iter().take(5).map(|(_, name)| name.as_str()).collect();
    let more = profile.markers.len() - names.len();
    if more == 0 { names.join(", ") } else { format!("{} and {more} more", names.join(", ")) }
}
