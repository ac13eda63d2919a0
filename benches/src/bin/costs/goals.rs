//! The goals for what Plimsoll may cost, held against raw runs and instruction counts.

use std::fs;
use std::path::PathBuf;

use plimsoll_benches::row::{self, Row};

use crate::callgrind::{self, Count};
use crate::stats::Comparison;
use crate::table::{Cost, comparisons, cost, digits, markdown};

/// Everything that was measured.
struct Measured {
    rows: Vec<Row>,
    counts: Vec<Count>,
}

impl Measured {
    fn cost(&self, workload: &str, way: &str) -> Option<Cost> {
        let measured = comparisons(&self.rows);
        let mut fitting = measured.iter().filter(|(found, ..)| found.name == workload);
        fitting.find_map(|(_, _, comparison): &(_, _, Comparison<'_>)| cost(comparison, way))
    }

    /// Of the program that can be switched where it was run, else of two programs.
    fn fine(&self, workload: &str, mode: &str) -> Option<Cost> {
        self.cost(workload, &format!("switched {mode}")).or_else(|| self.cost(workload, &format!("plimsoll {mode}")))
    }
}

/// What is measured for a goal; all of Plimsoll's own ways in `mode`.
enum Figure {
    /// Nanoseconds added to a unit.
    Added(&'static str, &'static str),
    /// CPU time over the bare allocator's.
    Ratio(&'static str, &'static str),
    /// Nanoseconds added to an event.
    AnEvent(&'static str, &'static str),
    /// Instructions added to a unit, default release profile.
    Instructions(&'static str, &'static str),
    /// Instructions over the bare allocator's, default release profile.
    InstructionRatio(&'static str, &'static str),
    /// Resident set added, over 1 % of the bare allocator's and 2 MiB.
    Resident(&'static str, &'static str),
    /// Latency of the slowest of a hundred requests over the bare allocator's.
    Slowest(&'static str, &'static str),
    /// Bytes of the capture for each event.
    Bytes(&'static str),
    /// What sampling adds around jemalloc over what jemalloc's own sampling adds.
    BesideJemalloc(&'static str),
    /// What an event costs in the first workload over the second.
    Between(&'static str, &'static str),
    /// The least that a peer adds to an event over what exact mode adds, on the wall, since some peers make the program
    /// wait: at least so much.
    UnderPeers(&'static str),
}

use Figure::{
    Added, AnEvent, BesideJemalloc, Between, Bytes, InstructionRatio, Instructions, Ratio, Resident, Slowest,
    UnderPeers,
};

const GOALS: [(Figure, f64); 37] = [
    (Added("churn", "idle"), 0.3),
    (Instructions("churn", "idle"), 5.0),
    (Added("churn", "sampled"), 0.6),
    (Ratio("churn", "sampled"), 1.05),
    (Instructions("churn", "sampled"), 16.0),
    (Added("churn-50k", "sampled"), 0.6),
    (Ratio("churn-50k", "sampled"), 1.05),
    (Instructions("churn-50k", "sampled"), 16.0),
    (Ratio("deep-50-stay", "sampled"), 1.10),
    (Ratio("deep-50-fresh", "sampled"), 1.10),
    (Ratio("tasks", "sampled"), 1.02),
    (InstructionRatio("tasks", "sampled"), 1.04),
    (Ratio("service-paced", "sampled"), 1.005),
    (Slowest("service-paced", "sampled"), 1.10),
    (Resident("heap-300", "sampled"), 1.0),
    (Resident("crew", "sampled"), 1.0),
    (AnEvent("churn", "exact"), 15.0),
    (AnEvent("deep-10-stay", "exact"), 25.0),
    (AnEvent("deep-10-fresh", "exact"), 25.0),
    (AnEvent("deep-50-stay", "exact"), 40.0),
    (AnEvent("deep-50-fresh", "exact"), 40.0),
    (AnEvent("deep-200-stay", "exact"), 60.0),
    (AnEvent("deep-200-fresh", "exact"), 60.0),
    (AnEvent("json", "exact"), 45.0),
    (AnEvent("tasks", "exact"), 30.0),
    (AnEvent("service", "exact"), 30.0),
    (Between("cross-thread-8", "cross-thread-1"), 1.3),
    (UnderPeers("deep-10-stay"), 10.0),
    (UnderPeers("deep-10-fresh"), 10.0),
    (UnderPeers("deep-50-stay"), 10.0),
    (UnderPeers("deep-50-fresh"), 10.0),
    (UnderPeers("deep-200-stay"), 10.0),
    (UnderPeers("deep-200-fresh"), 10.0),
    (BesideJemalloc("churn"), 1.0),
    (BesideJemalloc("deep-50-stay"), 1.0),
    (Bytes("churn"), 6.0),
    (Bytes("json"), 6.0),
];

impl Figure {
    fn name(&self) -> String {
        match self {
            Added(workload, mode) => format!("{workload}, {mode}: ns added to a unit"),
            Ratio(workload, mode) => format!("{workload}, {mode}: CPU × bare"),
            AnEvent(workload, mode) => format!("{workload}, {mode}: ns added to an event"),
            Instructions(workload, mode) => format!("{workload}, {mode}: instructions added to a unit"),
            InstructionRatio(workload, mode) => format!("{workload}, {mode}: instructions × bare"),
            Resident(workload, mode) => format!("{workload}, {mode}: RSS added, over 1 % + 2 MiB"),
            Slowest(workload, mode) => format!("{workload}, {mode}: p99 × bare"),
            Bytes(workload) => format!("{workload}, exact: capture bytes an event"),
            BesideJemalloc(workload) => format!("{workload}, sampled: added, over jemalloc's own sampling"),
            Between(one, other) => format!("{one}, exact: added an event, over {other}"),
            UnderPeers(workload) => format!("{workload}, exact: least that a peer adds, over Plimsoll's (wall)"),
        }
    }

    fn measured(&self, all: &Measured) -> Option<f64> {
        match *self {
            Added(workload, mode) => all.fine(workload, mode).map(|cost| cost.added_ns.median),
            Ratio(workload, mode) => all.fine(workload, mode).map(|cost| cost.ratio.median),
            AnEvent(workload, mode) => all.cost(workload, &format!("plimsoll {mode}"))?.added_ns_per_event,
            Instructions(workload, mode) => instructions(all, workload, mode).map(|(added, _)| added),
            InstructionRatio(workload, mode) => instructions(all, workload, mode).map(|(_, ratio)| ratio),
            Resident(workload, mode) => {
                let cost = all.cost(workload, &format!("plimsoll {mode}"))?;
                Some(cost.added_rss_bytes.median / (cost.base_rss_bytes / 100.0 + f64::from(2 << 20)))
            }
            Slowest(workload, mode) => Some(all.cost(workload, &format!("plimsoll {mode}"))?.p99_ratio?.median),
            Bytes(workload) => all.cost(workload, "plimsoll exact")?.bytes_per_event,
            BesideJemalloc(workload) => {
                let around = all.cost(workload, "plimsoll/jemalloc sampled")?.added_ns.median;
                Some(around / all.cost(workload, "jemalloc sampled")?.added_ns.median)
            }
            Between(one, other) => Some(exact(all, one)? / exact(all, other)?),
            UnderPeers(workload) => {
                let peers = ["heaptrack exact", "bytehound exact", "dhat exact"];
                let of_peers = peers.iter().filter_map(|peer| all.cost(workload, peer)?.added_wall_ns_per_event);
                let own = all.cost(workload, "plimsoll exact")?.added_wall_ns_per_event?;
                Some(of_peers.reduce(f64::min)? / own)
            }
        }
    }

    /// Whether the goal is the least that is wanted; else it is the most.
    fn is_least(&self) -> bool {
        matches!(self, UnderPeers(_))
    }
}

fn exact(all: &Measured, workload: &str) -> Option<f64> {
    all.cost(workload, "plimsoll exact")?.added_ns_per_event
}

fn instructions(all: &Measured, workload: &str, mode: &str) -> Option<(f64, f64)> {
    callgrind::added(&all.counts, "release", workload, &format!("plimsoll {mode}"))
}

/// Prints the table of goals.
pub(crate) fn run(files: &[PathBuf]) -> Result<(), String> {
    let mut all = Measured { rows: Vec::new(), counts: Vec::new() };
    for file in files {
        let text = fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        all.rows.extend(row::parse(&text));
        all.counts.extend(callgrind::parse(&text));
    }
    let mut table = markdown(&["what", "goal", "measured", ""]);
    for (figure, goal) in GOALS {
        let measured = figure.measured(&all);
        let (sign, met) = match measured {
            Some(measured) if figure.is_least() => ("≥", measured >= goal),
            Some(measured) => ("≤", measured <= goal),
            None => (if figure.is_least() { "≥" } else { "≤" }, false),
        };
        let verdict = match measured {
            None => "not measured",
            Some(_) if met => "met",
            Some(_) => "**missed**",
        };
        let shown = measured.map(|value| if value < 10.0 { format!("{value:.3}") } else { digits(value) });
        table.add_row([figure.name(), format!("{sign} {goal}"), shown.unwrap_or_default(), verdict.to_owned()]);
    }
    println!("{table}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_benches::workload;

    #[test]
    fn every_goal_is_about_a_workload_that_exists() {
        let names = workload::names();
        for (figure, _) in &GOALS {
            let name = figure.name();
            let workload = name.split(',').next().unwrap_or_default();
            assert!(names.contains(&workload), "{name}");
        }
    }
}
