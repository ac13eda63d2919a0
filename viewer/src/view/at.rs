//! Moments as people write them: `start`, `peak`, `end`, a time since the start, a time of day, a marker's name; and
//! what they ask of a replay.

use std::str::FromStr;

use jiff::{SignedDuration, Timestamp};

use crate::model::Profile;
use crate::replay::{Moment, Range, ReplayOptions};

/// A moment as the user wrote it. What it means depends on the capture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At(String);

/// The part of a capture that is asked for: one moment, or a range of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// `--at`
    pub at: Option<At>,
    /// `--from`
    pub from: Option<At>,
    /// `--to`
    pub to: Option<At>,
}

/// Why a moment or a range means nothing.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AtError {
    /// It is no moment, time or marker.
    #[error(
        "{flag} {given}: expected start, peak, end, a time since the start such as 90s or 1m30s, a time such as \
         2026-11-23T03:00:00Z, or a marker of this capture ({markers})"
    )]
    Unknown {
        /// The argument, such as `--at`.
        flag: &'static str,
        /// What was written.
        given: String,
        /// Markers of the capture, in words.
        markers: String,
    },
    /// It is before the start or after the end.
    #[error("{flag} {given}: that is {where_} the capture, which lasts {seconds:.3} s")]
    Outside {
        /// The argument.
        flag: &'static str,
        /// What was written.
        given: String,
        /// `before` or `after`.
        where_: &'static str,
        /// Length of the capture.
        seconds: f64,
    },
    /// The peak is asked for as the end of a range, and the capture has no counters that would tell when it was.
    #[error("{flag} peak: the capture ended before its counters were read, so that its peak has no known time")]
    NoPeak {
        /// The argument.
        flag: &'static str,
    },
    /// The range ends before it begins.
    #[error(
        "--from {from} --to {to}: the range ends before it begins ({from_seconds:.3} s is after {to_seconds:.3} s)"
    )]
    Backwards {
        /// What was written.
        from: String,
        /// What was written.
        to: String,
        /// Begin since the session's start.
        from_seconds: f64,
        /// End since the session's start.
        to_seconds: f64,
    },
    /// A moment and a range at once.
    #[error("--at does not go with --from and --to: give one moment, or a range")]
    Both,
}

impl AtError {
    /// The same where an argument has another name.
    #[must_use]
    pub fn of_flag(mut self, from: &str, to: &'static str) -> AtError {
        if let AtError::Unknown { flag, .. } | AtError::Outside { flag, .. } | AtError::NoPeak { flag } = &mut self
            && *flag == from
        {
            *flag = to;
        }
        self
    }
}

impl FromStr for At {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<At, Self::Err> {
        Ok(At(text.to_owned()))
    }
}

impl At {
    /// The moment in this capture; `flag` is the argument that it was given with, for errors.
    ///
    /// # Errors
    ///
    /// When it means nothing here, or lies outside of the capture.
    pub fn resolve(&self, flag: &'static str, profile: &Profile) -> Result<Moment, AtError> {
        match self.0.as_str() {
            "peak" => return Ok(Moment::Peak),
            "end" => return Ok(Moment::End),
            "start" => return Ok(Moment::Time(0)),
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
            return Err(AtError::Unknown { flag, given: self.0.clone(), markers: markers(profile) });
        };
        let outside = |where_| {
            let seconds = profile.duration_ns as f64 / 1e9;
            AtError::Outside { flag, given: self.0.clone(), where_, seconds }
        };
        match u64::try_from(since_start) {
            Ok(ns) if ns <= profile.duration_ns => Ok(Moment::Time(ns)),
            Ok(_) => Err(outside("after")),
            Err(_) => Err(outside(if since_start < 0 { "before" } else { "after" })),
        }
    }

    /// The same as nanoseconds since the session's start; the peak is where the always-on counters saw it.
    ///
    /// # Errors
    ///
    /// As [`At::resolve`], and when the counters do not tell the peak.
    pub fn resolve_ns(&self, flag: &'static str, profile: &Profile) -> Result<u64, AtError> {
        match self.resolve(flag, profile)? {
            Moment::Time(ns) => Ok(ns),
            Moment::End => Ok(profile.duration_ns),
            Moment::Peak => {
                let counters = profile.counters.last().ok_or(AtError::NoPeak { flag })?;
                Ok(profile.ns(counters.peak.ticks).min(profile.duration_ns))
            }
        }
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Asked {
    /// Whether a range is asked for, rather than a moment.
    pub fn is_range(&self) -> bool {
        self.from.is_some() || self.to.is_some()
    }

    /// Whether all events are needed to answer: nothing was given, or the end, or the peak, which may be anywhere.
    pub fn is_of_all(&self) -> bool {
        !self.is_range() && self.at.as_ref().is_none_or(|at| matches!(at.text(), "peak" | "end"))
    }

    /// What to replay. A range without a begin starts with the session, one without an end goes on to the capture's.
    ///
    /// # Errors
    ///
    /// When a moment means nothing here, the range ends before it begins, or both a moment and a range are given.
    pub fn resolve(&self, profile: &Profile) -> Result<ReplayOptions, AtError> {
        if !self.is_range() {
            let moment = self.at.as_ref().map_or(Ok(Moment::End), |at| at.resolve("--at", profile))?;
            return Ok(ReplayOptions { moment, ..ReplayOptions::default() });
        }
        if self.at.is_some() {
            return Err(AtError::Both);
        }
        let from_ns = self.from.as_ref().map_or(Ok(0), |from| from.resolve_ns("--from", profile))?;
        let to_ns = self.to.as_ref().map_or(Ok(profile.duration_ns), |to| to.resolve_ns("--to", profile))?;
        if from_ns > to_ns {
            let text = |at: &Option<At>, default: &str| at.as_ref().map_or(default, At::text).to_owned();
            let (from, to) = (text(&self.from, "start"), text(&self.to, "end"));
            let (from_seconds, to_seconds) = (from_ns as f64 / 1e9, to_ns as f64 / 1e9);
            return Err(AtError::Backwards { from, to, from_seconds, to_seconds });
        }
        let range = Some(Range { from_ns, to_ns });
        Ok(ReplayOptions { moment: Moment::Time(to_ns), range, ..ReplayOptions::default() })
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
    use plimsoll_format::{Counters, PeakInterval, Record, Totals};

    use crate::capture::{LoadOptions, open};
    use crate::testing::{CaptureBuilder, START, counters};

    use super::*;

    /// Ten seconds from 2026-09-21T14:13:20Z on, with a marker after three.
    fn profile() -> Profile {
        let folder = tempfile::tempdir().unwrap();
        let at = |seconds: u64| START + seconds * 1_000_000_000;
        let mut builder = CaptureBuilder::exact();
        builder.record(Record::Marker { ticks: at(3), name: "deploy".into() });
        let peak = PeakInterval { low_bytes: 1, high_bytes: 1, ticks: at(5) };
        builder.record(Record::Counters(Counters { peak, ..counters(at(10), Totals::default(), 1) }));
        builder.watermark(at(10)).end(at(10));
        open(builder.save(folder.path(), "a.plim"), &LoadOptions::default()).unwrap().profile
    }

    #[test]
    fn moments_are_written_in_many_ways() {
        let profile = profile();
        let resolve = |text: &str| At(text.to_owned()).resolve("--at", &profile).unwrap();
        let time = |ms: u64| Moment::Time(ms * 1_000_000);
        assert_eq!(resolve("peak"), Moment::Peak);
        assert_eq!(resolve("end"), Moment::End);
        assert_eq!(resolve("start"), time(0));
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
        let explain = |text: &str| At(text.to_owned()).resolve("--at", &profile).unwrap_err().to_string();
        assert!(explain("noon").contains("a marker of this capture (deploy)"));
        assert_eq!(explain("11s"), "--at 11s: that is after the capture, which lasts 10.000 s");
        assert!(explain("2026-09-21T14:13:19Z").contains("before the capture"));
        assert!(explain("-1s").contains("before the capture"));
    }

    fn asked(at: Option<&str>, from: Option<&str>, to: Option<&str>) -> Asked {
        let moment = |text: Option<&str>| text.map(|text| At(text.to_owned()));
        Asked { at: moment(at), from: moment(from), to: moment(to) }
    }

    #[test]
    fn ranges_have_defaults_for_both_ends() {
        let profile = profile();
        let range = |from, to| {
            let options = asked(None, from, to).resolve(&profile).unwrap();
            let range = options.range.unwrap();
            assert_eq!(options.moment, Moment::Time(range.to_ns), "live figures are for the range's end");
            (range.from_ns / 1_000_000, range.to_ns / 1_000_000)
        };
        assert_eq!(range(Some("deploy"), None), (3_000, 10_000));
        assert_eq!(range(None, Some("4s")), (0, 4_000));
        // The counters saw the peak five seconds in.
        assert_eq!(range(Some("start"), Some("peak")), (0, 5_000));
        assert_eq!(range(Some("2026-09-21T14:13:22Z"), Some("end")), (2_000, 10_000));
        assert_eq!(range(Some("4s"), Some("4s")), (4_000, 4_000));
        assert_eq!(asked(None, None, None).resolve(&profile).unwrap(), ReplayOptions::default());
    }

    #[test]
    fn ranges_that_cannot_be_are_explained() {
        let profile = profile();
        let explain = |at, from, to| asked(at, from, to).resolve(&profile).unwrap_err().to_string();
        let backwards = "--from 5s --to deploy: the range ends before it begins (5.000 s is after 3.000 s)";
        assert_eq!(explain(None, Some("5s"), Some("deploy")), backwards);
        assert!(explain(None, Some("1m"), None).starts_with("--from 1m: that is after the capture"));
        assert!(explain(None, None, Some("-1s")).starts_with("--to -1s: that is before the capture"));
        assert!(explain(None, None, Some("noon")).starts_with("--to noon: expected start, peak, end"));
        assert!(explain(Some("1s"), Some("1s"), None).starts_with("--at does not go with --from"));
        let unread = Profile { counters: Vec::new(), ..profile.clone() };
        let no_peak = asked(None, Some("peak"), None).resolve(&unread).unwrap_err();
        assert_eq!(no_peak, AtError::NoPeak { flag: "--from" });
    }
}
