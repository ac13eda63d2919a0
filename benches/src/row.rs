//! One run of one workload under one allocator: what the programs print and what is kept in `runs/`.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// A run, as one line of JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Name of the workload.
    pub workload: String,
    /// The allocator, and what is around it.
    pub allocator: String,
    /// What the profiler did.
    pub mode: String,
    /// Pairs, requests, documents or threads, as the workload counts.
    pub units: u64,
    /// What the work came to: the same for all who did the same work.
    pub checksum: u64,
    /// Allocations of the program, where the allocator counts them; a reallocation is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocations: Option<u64>,
    /// On the wall.
    pub wall_ns: u64,
    /// CPU time of the whole process, threads of the profiler included.
    pub cpu_ns: u64,
    /// CPU time of the threads that did the work.
    pub own_ns: u64,
    /// Largest resident set until the work was done.
    pub peak_rss_bytes: u64,
    /// Latency of requests, half of them at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ns: Option<u64>,
    /// Latency of requests, 99 of 100 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ns: Option<u64>,
    /// Size of the capture, all that was written at its end included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capture_bytes: Option<u64>,
    /// Events in the capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<u64>,
    /// Events that are missing in the capture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
    /// Position among the rounds; set by the driver.
    #[serde(default)]
    pub round: u32,
}

impl Row {
    /// Allocator and mode in one word: what a table has a line for.
    pub fn way(&self) -> String {
        way(&self.allocator, &self.mode)
    }
}

/// Allocator and mode in one word.
pub fn way(allocator: &str, mode: &str) -> String {
    if mode == BARE { allocator.to_owned() } else { format!("{allocator} {mode}") }
}

/// The mode without a profiler.
pub const BARE: &str = "bare";

/// The rows among the lines of `text`; other lines are what a wrapper around the program printed.
pub fn parse(text: &str) -> Vec<Row> {
    text.lines().filter(|line| line.starts_with('{')).filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The rows of a file of raw runs.
///
/// # Errors
/// When the file cannot be read or holds no row.
pub fn load(path: &Path) -> Result<Vec<Row>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read raw runs {}: {error}", path.display()))?;
    let rows = parse(&text);
    if rows.is_empty() {
        return Err(format!(
            "no run in {}: expected one JSON object per line, as `costs table` writes",
            path.display()
        ));
    }
    Ok(rows)
}
