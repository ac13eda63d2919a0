//! How did the heap and the process grow?

use plimsoll_format::{ProcessMemory, Tick};

use crate::model::{Measure, Profile};

use super::summary::live_bytes;

/// Heap and process at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelinePoint {
    /// Nanoseconds after the session's start.
    pub at_ns: u64,
    /// Live bytes of the program by the counters, `None` where only the memory was read.
    pub live_bytes: Option<Measure>,
    /// Memory of the process, cgroup and machine, `None` where only the counters were read.
    pub memory: Option<Tick>,
}

impl TimelinePoint {
    /// Resident set of the process.
    pub fn rss_bytes(&self) -> Option<u64> {
        self.process().map(|process| process.rss_bytes)
    }

    /// Memory of the process.
    pub fn process(&self) -> Option<ProcessMemory> {
        self.memory.map(|tick| tick.process)
    }
}

/// Every reading of the counters and of the memory, in order; two of the same moment are one point.
pub fn timeline(profile: &Profile) -> Vec<TimelinePoint> {
    let counted = profile.counters.iter().map(|counters| (counters.ticks, Some(live_bytes(counters)), None));
    let memory = profile.ticks.iter().map(|tick| (tick.ticks, None, Some(*tick)));
    let mut readings: Vec<_> = counted.chain(memory).collect();
    readings.sort_by_key(|reading| reading.0);
    let mut points: Vec<TimelinePoint> = Vec::new();
    for (ticks, live_bytes, memory) in readings {
        let at_ns = profile.ns(ticks);
        match points.last_mut() {
            Some(last) if last.at_ns == at_ns => {
                last.live_bytes = last.live_bytes.or(live_bytes);
                last.memory = last.memory.or(memory);
            }
            _ => points.push(TimelinePoint { at_ns, live_bytes, memory }),
        }
    }
    points
}
