//! Verdicts in words.

use crate::analysis::verdict::{Class, Rate, Room, Series, Verdict};
use crate::model::Measure;

use super::sparkline::sparkline;
use super::units;

/// Longer times are as good as never.
const NEVER_SECONDS: f64 = 100.0 * 365.25 * 86_400.0;

/// Live bytes over the capture as bars, the highest of them its own most.
pub(crate) fn over_time(series: &Series, width: usize) -> String {
    let points: Vec<(u64, u64)> = series.live.iter().enumerate().map(|(at, live)| (at as u64, *live as u64)).collect();
    sparkline(&points, width)
}

/// What all sites of a class have in common.
pub(crate) fn meaning(class: Class) -> &'static str {
    match class {
        Class::Leak => "grows and does not stop",
        Class::TooLittleEvidence => "may grow: the capture is too short to tell",
        Class::Bounded => "grew, then stopped",
        Class::WarmUp => "allocated early and kept",
        Class::Churn => "comes and goes",
        Class::OneShot => "a few blocks, kept; none came since",
    }
}

/// Why a site has its verdict, and what follows.
pub(crate) fn why(verdict: &Verdict, room: Option<Room>) -> String {
    let mut parts = Vec::new();
    if let Some(rate) = verdict.rate {
        parts.push(format!("grows {}", rate_text(rate)));
        parts.extend(room.and_then(|room| {
            let left = verdict.seconds_to_limit(room)?;
            Some(format!("{} until the limit of {}", until(left), units::bytes(room.limit_bytes)))
        }));
    }
    parts.push(verdict.reason.to_owned());
    if let Some(hidden) = verdict.hidden_rate {
        parts.push(format!("up to {}/s may hide here", units::bytes(hidden.ceil() as u64)));
    }
    if let Some(more) = verdict.record_for_seconds {
        parts.push(format!("record {} more", seconds(more)));
    }
    parts.join("; ")
}

/// `1.20 MiB/s ± 0.10`.
pub(crate) fn rate_text(rate: Rate) -> String {
    let whole = |number: f64| number.round() as u64;
    let measure = Measure { value: whole(rate.value), low: whole(rate.low), high: Some(whole(rate.high)) };
    let text = units::measured_bytes(measure);
    match text.split_once(" ± ") {
        Some((value, error)) => format!("{value}/s ± {error}"),
        None => format!("{text}/s"),
    }
}

/// `3 h 20 min (2 h 50 min … 4 h 00 min)`.
fn until(left: Rate) -> String {
    format!("{} ({} … {})", seconds(left.value), seconds(left.low), seconds(left.high))
}

/// A duration in words.
pub(crate) fn seconds(seconds: f64) -> String {
    if seconds < NEVER_SECONDS { units::duration((seconds * 1e9) as u64) } else { "never".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_and_times_have_their_error() {
        let rate = Rate { value: 2048.0, low: 1024.0, high: 3072.0 };
        assert_eq!(rate_text(rate), "2.00 KiB/s ± 1.00");
        // 4 MiB at 2, 3 and 1 KiB a second.
        let left = Rate { value: 2048.0, low: 1365.3, high: 4096.0 };
        assert_eq!(until(left), "34 min 08 s (22 min 45 s … 1 h 08 min)");
        assert_eq!(seconds(f64::INFINITY), "never");
    }
}
