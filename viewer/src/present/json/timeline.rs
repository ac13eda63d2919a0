//! Series over time, in JSON.

use serde::Serialize;

use crate::analysis::{Point, Timelines, timelines};
use crate::model::Profile;

use super::parts::ms;

/// How the heap and the process went: of each series at most 1,000 points, among them the first, the last, and the
/// smallest and largest of each span of time.
#[derive(Debug, Serialize)]
pub struct TimelineJson {
    /// Live bytes of the program, by the counters.
    pub live_bytes: Vec<PointJson>,
    /// Resident set of the process; empty where the system does not tell, as the parts of it.
    pub rss_bytes: Vec<PointJson>,
    /// Its anonymous part.
    pub anon_bytes: Vec<PointJson>,
    /// Its file-backed part.
    pub file_bytes: Vec<PointJson>,
    /// Its shared-memory part.
    pub shmem_bytes: Vec<PointJson>,
    /// Bytes allocated in a second: the mean between two readings.
    pub allocated_bytes_per_s: Vec<PointJson>,
    /// Allocations in a second, the same way.
    pub allocations_per_s: Vec<PointJson>,
}

/// A measured number at one moment, or a mean up to it.
#[derive(Debug, Serialize)]
pub struct PointJson {
    /// Of a mean, since when, since the session's start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<f64>,
    /// Since the session's start.
    pub at_ms: f64,
    /// Best value.
    pub value: u64,
    /// The truth is at least this.
    pub low: u64,
    /// The truth is at most this; `null` when nothing bounds it.
    pub high: Option<u64>,
}

impl TimelineJson {
    /// All series of a capture.
    pub fn new(profile: &Profile) -> TimelineJson {
        let all: Timelines = timelines(profile);
        let point = |point: &Point| {
            let measure = point.measure;
            let from_ms = (point.from_ns < point.at_ns).then(|| ms(point.from_ns));
            PointJson { from_ms, at_ms: ms(point.at_ns), value: measure.value, low: measure.low, high: measure.high }
        };
        let series = |points: &[Point]| points.iter().map(point).collect();
        TimelineJson {
            live_bytes: series(&all.live_bytes),
            rss_bytes: series(&all.rss_bytes),
            anon_bytes: series(&all.anon_bytes),
            file_bytes: series(&all.file_bytes),
            shmem_bytes: series(&all.shmem_bytes),
            allocated_bytes_per_s: series(&all.allocated_bytes_per_s),
            allocations_per_s: series(&all.allocations_per_s),
        }
    }
}
