//! The process beside its heap: resident memory, limits, and what the agent itself costs.

use crate::analysis::{self, Point};
use crate::model::Profile;

use super::json::MemoryJson;
use super::sparkline::sparkline;
use super::style::faint;
use super::units;

/// Columns of a timeline.
const BARS: usize = 48;
/// Readings that make a timeline.
const MIN_POINTS: usize = 3;

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

/// Heap, resident memory and allocation rate over time, one line each on a common axis; empty where there are too few
/// readings.
pub(crate) fn timelines(profile: &Profile) -> String {
    let all = analysis::timelines(profile);
    let series = [&all.live_bytes, &all.rss_bytes, &all.allocated_bytes_per_s];
    let first = series.iter().filter_map(|points| points.first()).map(|point| point.from_ns).min();
    let last = series.iter().filter_map(|points| points.last()).map(|point| point.at_ns).max();
    let Some(span) = first.zip(last).filter(|_| series.iter().any(|points| points.len() >= MIN_POINTS)) else {
        return String::new();
    };
    let most = |points: &[Point]| points.iter().map(|point| point.measure.value).max().unwrap_or(0);
    let line = |name: &str, points: &[(u64, u64)], most: u64, scale: String| {
        format!("  {name:<16}{}  {}\n", sparkline(points, span, most, BARS), faint(scale))
    };
    let mut text = String::new();
    let rss = most(&all.rss_bytes);
    for (name, points, most) in [
        ("Live over time", &all.live_bytes, most(&all.live_bytes)),
        ("RSS over time", &all.rss_bytes, rss),
        // Parts stand beside their whole: all three have its scale.
        ("  anonymous", &all.anon_bytes, rss),
        ("  file", &all.file_bytes, rss),
        ("  shared", &all.shmem_bytes, rss),
    ] {
        let has_some = points.iter().any(|point| point.measure.value > 0);
        if points.len() >= MIN_POINTS && has_some {
            let scale = format!("0 … {}", units::bytes(most));
            text.push_str(&line(name, &levels(points), most, scale));
        }
    }
    for (name, points, unit) in [
        ("Allocated per s", &all.allocated_bytes_per_s, units::bytes as fn(u64) -> String),
        ("Allocs per s", &all.allocations_per_s, units::count),
    ] {
        if points.len() >= MIN_POINTS {
            let scale = format!("0 … {}/s", unit(most(points)));
            text.push_str(&line(name, &means(points), most(points), scale));
        }
    }
    let (from, to) = (units::duration(span.0), units::duration(span.1));
    let width = BARS.saturating_sub(from.chars().count());
    text.push_str(&faint(format!("  {:<16}{from}{to:>width$}", "")));
    text.push('\n');
    text
}

fn levels(points: &[Point]) -> Vec<(u64, u64)> {
    points.iter().map(|point| (point.at_ns, point.measure.value)).collect()
}

/// A mean holds from its begin on.
fn means(points: &[Point]) -> Vec<(u64, u64)> {
    let ends = |point: &Point| [(point.from_ns, point.measure.value), (point.at_ns, point.measure.value)];
    points.iter().flat_map(ends).collect()
}
