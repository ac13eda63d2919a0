//! The process beside its heap: resident memory, limits, and what the agent itself costs.

use crate::analysis::timeline;
use crate::model::Profile;

use super::json::MemoryJson;
use super::sparkline::sparkline;
use super::style::faint;
use super::units;

/// Columns of a timeline.
const BARS: usize = 48;

/// Rows of (name, text) about the process at the last reading.
pub(crate) fn memory_rows(profile: &Profile) -> Vec<(&'static str, String)> {
    let Some(memory) = MemoryJson::last(profile) else { return Vec::new() };
    let mut rows = Vec::new();
    let mut parts = vec![
        format!("{} anonymous", units::bytes(memory.anon_bytes)),
        format!("{} file", units::bytes(memory.file_bytes)),
    ];
    let rare = [(memory.shmem_bytes, "shared"), (memory.swap_bytes, "swapped out")];
    parts.extend(
        rare.iter().filter(|(bytes, _)| *bytes > 0).map(|(bytes, what)| format!("{} {what}", units::bytes(*bytes))),
    );
    let rss = units::bytes(memory.rss_bytes);
    rows.push((
        "Resident (RSS)",
        format!("{rss} ({}), at most {}", parts.join(", "), units::bytes(memory.peak_rss_bytes)),
    ));
    if let Some(cgroup) = &memory.cgroup
        && let Some(limit) = cgroup.limit_bytes
    {
        let share = units::share(cgroup.used_bytes, limit);
        let text = format!("{} of {} used ({share})", units::bytes(cgroup.used_bytes), units::bytes(limit));
        rows.push(("Memory limit", text));
    }
    rows
}

/// What the agent costs, in words.
pub(crate) fn agent_row(profile: &Profile) -> Option<String> {
    let memory = MemoryJson::last(profile)?;
    let cpu = units::duration((memory.agent_cpu_ms * 1e6) as u64);
    Some(format!("{} mapped, {cpu} CPU on its own threads", units::bytes(memory.agent_mapped_bytes)))
}

/// Live bytes and resident memory over time, one line each; empty where there are too few readings.
pub(crate) fn timelines(profile: &Profile) -> String {
    let points = timeline(profile);
    let live = points.iter().filter_map(|point| Some((point.at_ns, point.live_bytes?.value)));
    let rss = points.iter().filter_map(|point| Some((point.at_ns, point.rss_bytes()?)));
    let line = |name: &str, points: Vec<(u64, u64)>| {
        if points.len() < 3 {
            return String::new();
        }
        let most = points.iter().map(|point| point.1).max().unwrap_or(0);
        let scale = faint(format!("0 … {}", units::bytes(most)));
        format!("  {name:<16}{}  {scale}\n", sparkline(&points, BARS))
    };
    line("Live over time", live.collect()) + &line("RSS over time", rss.collect())
}
