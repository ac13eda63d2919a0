//! A verdict in JSON.

use serde::Serialize;

use crate::analysis::verdict::{Rate, Room, Verdict};

use super::parts::MeasureJson;
use crate::model::Measure;

/// What the evidence says of a site's live blocks.
#[derive(Debug, Serialize)]
pub struct VerdictJson {
    /// `leak`, `too-little-evidence`, `bounded`, `warm-up`, `churn` or `one-shot`.
    pub class: &'static str,
    /// How fast it grows; `null` unless it is a leak.
    pub rate_bytes_per_s: Option<MeasureJson>,
    /// Seconds until the limit at that rate; `null` without a leak or a limit.
    pub seconds_to_limit: Option<MeasureJson>,
    /// That limit: the one given, or the cgroup's.
    pub limit_bytes: Option<u64>,
    /// The largest growth that may hide here; `null` unless there is too little evidence.
    pub hidden_rate_bytes_per_s: Option<u64>,
    /// How much longer to record, seconds; `null` unless there is too little evidence.
    pub record_for_s: Option<f64>,
    /// Why, in one sentence.
    pub reason: &'static str,
}

impl VerdictJson {
    pub(super) fn new(verdict: &Verdict, room: Option<Room>) -> VerdictJson {
        VerdictJson {
            class: verdict.class.name(),
            rate_bytes_per_s: verdict.rate.map(measure),
            seconds_to_limit: room.and_then(|room| verdict.seconds_to_limit(room)).map(measure),
            limit_bytes: room.map(|room| room.limit_bytes),
            hidden_rate_bytes_per_s: verdict.hidden_rate.map(|rate| rate.ceil() as u64),
            record_for_s: verdict.record_for_seconds,
            reason: verdict.reason,
        }
    }
}

/// In whole units; what is not finite has no upper bound.
fn measure(rate: Rate) -> MeasureJson {
    let high = rate.high.is_finite().then(|| rate.high.ceil() as u64);
    // `as` clamps what is out of range.
    Measure { value: rate.value.round() as u64, low: rate.low.floor() as u64, high }.into()
}
