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

#[cfg(test)]
mod tests {
    use plimsoll_format::Record;

    use crate::capture::{LoadOptions, open};
    use crate::testing::{CaptureBuilder, START};

    use super::*;

    /// Ten seconds from 2026-09-21T14:13:20Z on, with a marker after three.
    fn profile() -> Profile {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds: u64| START + seconds * 1_000_000_000;
        let mut builder = CaptureBuilder::exact();
        builder.record(Record::Marker { ticks: at(3), name: "deploy".into() }).watermark(at(10)).end(at(10));
        open(builder.save(folder.path(), "a.plim"), &LoadOptions::default()).unwrap().profile
    }

    #[test]
    fn moments_are_written_in_many_ways() {
        let profile = profile();
        let resolve = |text: &str| At(text.to_owned()).resolve(&profile).unwrap();
        let time = |ms: u64| Moment::Time(ms * 1_000_000);
        assert_eq!(resolve("peak"), Moment::Peak);
        assert_eq!(resolve("end"), Moment::End);
        assert_eq!(resolve("deploy"), time(3_000));
        assert_eq!(resolve("500ms"), time(500));
        assert_eq!(resolve("10s"), time(10_000));
        assert_eq!(resolve("0m 4s"), time(4_000));
        // The session started at 1,790,000,000 s after 1970.
        assert_eq!(resolve("2026-09-21T14:13:22.5Z"), time(2_500));
        assert_eq!(resolve("2026-09-21T16:13:22+02:00"), time(2_000));
    }

    #[test]
    fn what_is_no_moment_is_explained() {
        let profile = profile();
        let explain = |text: &str| At(text.to_owned()).resolve(&profile).unwrap_err().to_string();
        assert!(explain("noon").contains("a marker of this capture (deploy)"));
        assert_eq!(explain("11s"), "--at 11s: that is after the capture, which lasts 10.000 s");
        assert!(explain("2026-09-21T14:13:19Z").contains("before the capture"));
        assert!(explain("-1s").contains("before the capture"));
    }
}
