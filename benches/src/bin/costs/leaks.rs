//! What profilers report of three known leaks: whether the function is named, and how many bytes.

use std::path::Path;
use std::process::Command;

use plimsoll_benches::workload::leaks::KNOWN;
use serde_json::Value;

use crate::collect;
use crate::table::markdown;
use crate::ways::{self, Way};

/// Bytes by function, each with the function's name somewhere in its stack.
type Found = Vec<(String, u64)>;

/// Runs the leaking program under every profiler that can be had and prints what each says.
pub(crate) fn run() -> Result<(), String> {
    let programs = collect::programs()?;
    let mut ways = ways::own();
    ways.retain(|way| way.mode == "sampled" || way.mode == "exact");
    ways.extend(ways::recorded(&[]).into_iter().filter(|way| way.allocator != "plimsoll" && way.mode == "exact"));
    let mut table = markdown(&["leak", "bytes", "profiler", "named", "reported"]);
    for way in collect::available(ways)? {
        let found = report(&way, &programs)?;
        for leak in KNOWN {
            let reported: u64 =
                found.iter().filter(|(stack, _)| stack.contains(leak.function)).map(|(_, bytes)| bytes).sum();
            table.add_row([
                leak.function.to_owned(),
                (leak.blocks * leak.block_bytes).to_string(),
                way.name(),
                if reported > 0 { "yes" } else { "no" }.to_owned(),
                reported.to_string(),
            ]);
        }
    }
    println!("{table}");
    Ok(())
}

fn output(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}: {}", output.status, said.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn report(way: &Way, programs: &Path) -> Result<Found, String> {
    let directory = tempfile::tempdir().map_err(|error| format!("cannot make a directory for captures: {error}"))?;
    let directory = directory.path();
    output(&mut way.command(programs, "leaks", 1, directory))?;
    match way.allocator.as_str() {
        "dhat" => dhat(&directory.join("exact-0/dhat-heap.json")),
        "heaptrack" => heaptrack(directory),
        _ => plimsoll(programs, &directory.join(format!("{}-0/run.plim", way.mode))),
    }
}

fn json(text: &str, of: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| format!("{of} is no JSON: {error}"))
}

/// The sites of the viewer's list.
fn plimsoll(programs: &Path, capture: &Path) -> Result<Found, String> {
    let viewer = programs.join("plimsoll");
    if !viewer.exists() {
        return Err("the viewer is not built; build it with `cargo build --release -p plimsoll-viewer`".into());
    }
    let list = json(&output(Command::new(viewer).args(["leaks", "--json", "--top", "100"]).arg(capture))?, "the list")?;
    let sites = list["sites"].as_array().into_iter().flatten();
    let names = |site: &Value| {
        let frames = site["frames"].as_array().into_iter().flatten();
        frames.filter_map(|frame| frame["function"].as_str()).collect::<Vec<_>>().join(" ")
    };
    Ok(sites.map(|site| (names(site), site["live_bytes"]["value"].as_f64().unwrap_or(0.0).round() as u64)).collect())
}

/// Program points with their bytes at the end and the texts of their frames.
fn dhat(path: &Path) -> Result<Found, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let profile = json(&text, "dhat's profile")?;
    let frame = |index: &Value| profile["ftbl"][index.as_u64()? as usize].as_str();
    let points = profile["pps"].as_array().into_iter().flatten();
    let names =
        |point: &Value| point["fs"].as_array().into_iter().flatten().filter_map(frame).collect::<Vec<_>>().join(" ");
    Ok(points.map(|point| (names(point), point["eb"].as_u64().unwrap_or(0))).collect())
}

/// Folded stacks of what leaked, as `heaptrack_print` writes them.
fn heaptrack(directory: &Path) -> Result<Found, String> {
    let entries = std::fs::read_dir(directory).map_err(|error| format!("cannot list the captures: {error}"))?;
    let mut paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_capture =
        |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("heaptrack."));
    let capture = paths.find(|path| is_capture(path)).ok_or("heaptrack wrote no capture")?;
    let folded = directory.join("folded");
    let mut command = Command::new("heaptrack_print");
    command.args(["--flamegraph-cost-type", "leaked", "--print-flamegraph"]).arg(&folded).arg(capture);
    output(&mut command)?;
    let text = std::fs::read_to_string(&folded).map_err(|error| format!("cannot read folded stacks: {error}"))?;
    Ok(text
        .lines()
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(s, b)| (s.to_owned(), b.parse().unwrap_or(0)))
        .collect())
}
