//! Runs the program twice for every pair, compares the captures, and counts what is reported.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use clap::ValueEnum;
use plimsoll_benches::turns::{Frame, site_of};
use serde::{Deserialize, Serialize};

use super::subject::{INTERVAL, Plant};

/// What runs and reads.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) own: PathBuf,
    pub(crate) viewer: PathBuf,
}

/// What was reported of one pair.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    plant: Plant,
    seeds: [u64; 2],
    /// For each planted change, whether it was reported, in its direction.
    pub(crate) found: Vec<bool>,
    /// Sites reported that had not changed.
    pub(crate) others: usize,
    /// Sites compared.
    compared: usize,
    p_value_threshold: f64,
}

#[derive(Debug, Deserialize)]
struct Diff {
    changes: Vec<Change>,
    compared: usize,
    p_value_threshold: f64,
}

#[derive(Debug, Deserialize)]
struct Change {
    change: Difference,
    frames: Vec<Frame>,
}

#[derive(Debug, Deserialize)]
struct Difference {
    value: i64,
}

/// Outcomes of so many pairs, in two threads.
pub(crate) fn compare(tools: &Tools, plant: Plant, pairs: u64) -> Result<Vec<Outcome>, String> {
    let parts: Vec<Result<Vec<Outcome>, String>> = thread::scope(|scope| {
        let threads = [1, 2]
            .map(|first| scope.spawn(move || (first..=pairs).step_by(2).map(|pair| one(tools, plant, pair)).collect()));
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err("a thread ended early".to_owned())))
            .collect()
    });
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn one(tools: &Tools, plant: Plant, pair: u64) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder for captures: {error}"))?;
    let seeds = [2 * pair, 2 * pair + 1];
    let captures = ["before.plim", "after.plim"].map(|name| folder.path().join(name));
    for ((capture, seed), side) in captures.iter().zip(seeds).zip(plant.pair()) {
        record(tools, side, seed, capture)?;
    }
    let mut viewer = Command::new(&tools.viewer);
    let printed = run(viewer.arg("diff").args(&captures).args(["--json", "--top", "0"]))?;
    let diff: Diff =
        serde_json::from_str(&printed).map_err(|error| format!("{viewer:?} prints no comparison: {error}"))?;
    let planted = plant.sites();
    let is_right = |change: &Change| (change.change.value > 0) == (plant == Plant::More);
    let reported =
        |site: usize| diff.changes.iter().any(|change| site_of(&change.frames) == Some(site) && is_right(change));
    let is_planted =
        |change: &&Change| planted.iter().any(|(site, _)| site_of(&change.frames) == Some(*site) && is_right(change));
    Ok(Outcome {
        plant,
        seeds,
        found: planted.iter().map(|(site, _)| reported(*site)).collect(),
        others: diff.changes.len() - diff.changes.iter().filter(is_planted).count(),
        compared: diff.compared,
        p_value_threshold: diff.p_value_threshold,
    })
}

fn record(tools: &Tools, plant: Plant, seed: u64, capture: &Path) -> Result<(), String> {
    let name = plant.to_possible_value().ok_or("a plant without a name")?;
    let mut subject = Command::new(&tools.own);
    subject.args(["subject", name.get_name()]);
    subject.env("PLIMSOLL_OUTPUT", capture).env("PLIMSOLL_MODE", "sampled");
    subject.env("PLIMSOLL_INTERVAL", INTERVAL.to_string()).env("PLIMSOLL_SEED", seed.to_string());
    run(&mut subject).map(drop)
}

/// What a command prints; it must succeed.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?} ended with {}: {}", output.status, stderr.trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{command:?} prints what is no text: {error}"))
}
