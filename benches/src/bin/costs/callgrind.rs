//! Instructions of the measured section, counted by valgrind's callgrind: the same in every run, where time is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use clap::builder::PossibleValuesParser;
use plimsoll_benches::workload::{self, Workload};
use serde::{Deserialize, Serialize};

use crate::collect::{self, Keep};
use crate::table::{digits, markdown};
use crate::ways::{self, Way};

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Workloads of one thread; those of the goals unless given
    #[arg(value_parser = PossibleValuesParser::new(workload::names()))]
    workloads: Vec<String>,
    /// Holds the counts against those of an earlier run: fails when a way adds a tenth more, and one instruction
    #[arg(long)]
    check: Option<PathBuf>,
    /// Name of the file of counts in `benches/runs/<today>`
    #[arg(long)]
    name: Option<String>,
}

/// Instructions of one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) workload: String,
    pub(crate) way: String,
    /// Profile of the build: the folder that its programs are in.
    pub(crate) profile: String,
    pub(crate) units: u64,
    pub(crate) instructions: u64,
}

impl Count {
    pub(crate) fn per_unit(&self) -> f64 {
        self.instructions as f64 / self.units as f64
    }
}

/// What is counted unless asked otherwise, and how much of it: some ten seconds in all.
const COUNTED: [(&str, u64); 5] =
    [("churn", 300_000), ("churn-50k", 300_000), ("deep-50-stay", 300_000), ("deep-50-fresh", 100_000), ("tasks", 200)];

/// The counts among the lines of `text`.
pub(crate) fn parse(text: &str) -> Vec<Count> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// What `way` adds to a unit of `workload`, and the ratio to the bare allocator.
pub(crate) fn added(counts: &[Count], profile: &str, workload: &str, way: &str) -> Option<(f64, f64)> {
    let find = |way: &str| {
        let same = |count: &&Count| count.profile == profile && count.workload == workload && count.way == way;
        counts.iter().find(same).map(Count::per_unit)
    };
    let (bare, with) = (find("system")?, find(way)?);
    Some((with - bare, with / bare))
}

/// Counts, prints and keeps; holds against an earlier run.
pub(crate) fn run(options: &Options) -> Result<(), String> {
    let programs = collect::programs()?;
    let profile = programs.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if Command::new("valgrind").arg("--version").output().is_err() {
        return Err("valgrind is not installed (Debian package valgrind): no instruction was counted".into());
    }
    let earlier = options.check.as_deref().map(load).transpose()?;
    let mut keep = match options.check {
        Some(_) => None,
        None => Some(Keep::create(options.name.as_deref().unwrap_or(&format!("callgrind-{profile}")))?),
    };
    let asked = |name: &str| options.workloads.is_empty() || options.workloads.iter().any(|asked| asked == name);
    let mut counts = Vec::new();
    for (name, units) in COUNTED.into_iter().filter(|(name, _)| asked(name)) {
        let workload = workload::find(name).ok_or("unknown workload")?;
        // What is recorded in full is measured at the sizes for it; tables do not hold a ballast of samples there.
        for way in collect::available(ways::own())?.iter().filter(|way| keeps(workload, way)) {
            let instructions = count(way, &programs, name, units)?;
            let count = Count { workload: name.into(), way: way.name(), profile: profile.clone(), units, instructions };
            keep.as_mut().map_or(Ok(()), |keep| keep.line(&count))?;
            counts.push(count);
        }
    }
    print(&counts, &profile);
    if let Some(keep) = keep {
        eprintln!("counts: {}", keep.path.display());
    }
    earlier.map_or(Ok(()), |earlier| compare(&earlier, &counts, &profile))
}

fn keeps(workload: &Workload, way: &Way) -> bool {
    way.mode != "exact" || workload.recorded_units > 0
}

fn load(path: &Path) -> Result<Vec<Count>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read counts {}: {error}", path.display()))?;
    Ok(parse(&text))
}

/// Instructions between the beginning and the end of the measured section, on its thread.
fn count(way: &Way, programs: &Path, workload: &str, units: u64) -> Result<u64, String> {
    let directory = tempfile::tempdir().map_err(|error| format!("cannot make a directory for captures: {error}"))?;
    let inner = way.command(programs, workload, units, directory.path());
    let out = directory.path().join("callgrind.out");
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--toggle-collect=*measured_section*"]);
    command.arg(format!("--callgrind-out-file={}", out.display()));
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(directory.path());
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    let text =
        fs::read_to_string(&out).map_err(|error| format!("cannot read callgrind's {}: {error}", out.display()))?;
    let totals = text.lines().rev().find_map(|line| line.strip_prefix("totals: ")).unwrap_or_default();
    totals
        .trim()
        .parse()
        .ok()
        .filter(|instructions| *instructions > 0)
        .ok_or_else(|| format!("callgrind counted nothing for {} {workload}: its output has no total", way.name()))
}

fn print(counts: &[Count], profile: &str) {
    let mut table = markdown(&["instructions a unit", "way", "all", "added", "× bare"]);
    for count in counts {
        let added = added(counts, profile, &count.workload, &count.way).filter(|_| count.way != "system");
        table.add_row([
            count.workload.clone(),
            count.way.clone(),
            digits(count.per_unit()),
            added.map(|(added, _)| format!("{added:+.1}")).unwrap_or_default(),
            added.map(|(_, ratio)| format!("{ratio:.3}")).unwrap_or_default(),
        ]);
    }
    println!("profile {profile}\n\n{table}\n");
}

/// Fails where a way adds more than a tenth more than it did, and one instruction.
fn compare(earlier: &[Count], counts: &[Count], profile: &str) -> Result<(), String> {
    let mut complaints = Vec::new();
    let mut compared = 0;
    for count in counts.iter().filter(|count| count.way != "system") {
        let of = |counts| added(counts, profile, &count.workload, &count.way).map(|(added, _)| added);
        let (Some(before), Some(now)) = (of(earlier), of(counts)) else { continue };
        compared += 1;
        if now > before.max(0.0) * 1.1 + 1.0 {
            complaints.push(format!(
                "{} {}: adds {now:.1} instructions a unit, {before:.1} before",
                count.workload, count.way
            ));
        }
    }
    match compared {
        0 => Err(format!("no count of profile {profile} to compare with: count without --check first")),
        _ if complaints.is_empty() => Ok(()),
        _ => Err(complaints.join("\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(exact: u64) -> Vec<Count> {
        let count = |way: &str, instructions| Count {
            workload: "churn".into(),
            way: way.into(),
            profile: "release".into(),
            units: 10,
            instructions,
        };
        vec![count("system", 2_000), count("plimsoll exact", exact)]
    }

    #[test]
    fn a_tenth_more_and_one_instruction_is_too_much() {
        // 100 added before; 111 is the bound.
        assert_eq!(compare(&counts(3_000), &counts(3_110), "release"), Ok(()));
        let complaint = compare(&counts(3_000), &counts(3_120), "release").expect_err("112 are too many");
        assert!(complaint.contains("adds 112.0"), "{complaint}");
    }

    #[test]
    fn nothing_to_compare_with_is_an_error() {
        assert!(compare(&[], &counts(3_000), "release").is_err());
    }
}
