//! The messages of `/ws?simple=1`, for scripts: the sum of all processes each second, with the last 100 of them.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;

use crate::follow::Level;
use crate::present::json::to_line;

use super::live::{Shown, unix_ms};

/// Points of the history.
const HISTORY: usize = 100;
/// Time between two messages; pictures that come more often than that are left out.
const EVERY_MS: u64 = 950;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Simple {
    history: VecDeque<PointJson>,
}

/// The sum of all processes at one moment.
#[derive(Debug, Clone, Serialize)]
struct PointJson {
    timestamp_unix_ms: u64,
    rss_bytes: u64,
    /// Of those with a capture; `null` without one.
    live_bytes: Option<u64>,
    level: Option<Level>,
}

#[derive(Serialize)]
struct ProcessJson<'a> {
    pid: u32,
    name: &'a str,
    rss_bytes: Option<u64>,
}

#[derive(Serialize)]
struct DataJson<'a> {
    #[serde(flatten)]
    point: PointJson,
    processes: Vec<ProcessJson<'a>>,
}

#[derive(Serialize)]
struct MessageJson<'a> {
    r#type: &'static str,
    data: DataJson<'a>,
    history: &'a VecDeque<PointJson>,
}

impl Simple {
    /// The message of a picture; `None` when the last one was a moment ago.
    pub(super) fn message(&mut self, shown: &Shown<'_>) -> Option<Utf8Bytes> {
        let picture = shown.picture;
        let timestamp_unix_ms = picture.at.map_or(0, unix_ms);
        let last = self.history.back().map(|point| point.timestamp_unix_ms);
        // A clock that was set back is no reason to fall silent.
        if last.is_some_and(|last| (last..last.saturating_add(EVERY_MS)).contains(&timestamp_unix_ms)) {
            return None;
        }
        let running = picture.captures.iter().filter(|followed| followed.state.is_live());
        let live = running.filter_map(|followed| followed.latest.live_bytes());
        let point = PointJson {
            timestamp_unix_ms,
            rss_bytes: picture.sum.rss_bytes,
            live_bytes: live.map(|live| live.value).reduce(u64::saturating_add),
            level: picture.sum.level,
        };
        self.history.push_back(point.clone());
        if self.history.len() > HISTORY {
            self.history.pop_front();
        }
        let process = |process: &'_ std::sync::Arc<crate::follow::Process>| (process.pid, process.memory.clone().ok());
        let processes = picture.processes.iter().map(|known| {
            let (pid, rss_bytes) = process(known);
            ProcessJson { pid, name: &known.name, rss_bytes }
        });
        let data = DataJson { point, processes: processes.collect() };
        let message = MessageJson { r#type: "memory_update", data, history: &self.history };
        to_line(&message).ok().map(Utf8Bytes::from)
    }
}
