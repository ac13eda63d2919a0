//! Runs workloads in all ways, in turns, and keeps the rows.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use plimsoll_benches::row::{self, Row};
use plimsoll_benches::workload::Workload;

use crate::stats;
use crate::ways::Way;

/// Folder of this package, where raw runs are kept.
pub(crate) fn package() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Folder of the built programs: the driver's own.
pub(crate) fn programs() -> Result<PathBuf, String> {
    let own = std::env::current_exe().map_err(|error| format!("cannot find the built programs: {error}"))?;
    Ok(own.parent().unwrap_or(Path::new(".")).to_owned())
}

/// A file for raw runs that did not exist before.
pub(crate) struct Keep {
    pub(crate) path: PathBuf,
    file: File,
}

impl Keep {
    /// `runs/<today>/<name>.jsonl`.
    pub(crate) fn create(name: &str) -> Result<Keep, String> {
        let today = jiff::Zoned::now().date().to_string();
        let folder = package().join("runs").join(today);
        let path = folder.join(format!("{name}.jsonl"));
        let failed = |error| format!("cannot keep raw runs in {}: {error}; choose another --name", path.display());
        fs::create_dir_all(&folder).map_err(failed)?;
        let file = File::create_new(&path).map_err(failed)?;
        Ok(Keep { path, file })
    }

    /// Adds a line.
    pub(crate) fn line(&mut self, value: &impl serde::Serialize) -> Result<(), String> {
        let text = serde_json::to_string(value).map_err(|error| error.to_string())?;
        writeln!(self.file, "{text}").map_err(|error| format!("cannot write to {}: {error}", self.path.display()))
    }
}

/// One workload in all ways that can run, `rounds` times, in turns.
pub(crate) fn collect(workload: &Workload, units: u64, ways: &[Way], rounds: u32) -> Result<Vec<Row>, String> {
    let programs = programs()?;
    let mut rows = Vec::new();
    for round in 0..rounds {
        for turn in stats::turns(ways.len(), round) {
            let Some(way) = ways.get(turn) else { continue };
            let mut row = run(way, &programs, workload.name, units)?;
            row.round = round;
            rows.push(row);
        }
    }
    Ok(rows)
}

/// Runs one way once.
fn run(way: &Way, programs: &Path, workload: &str, units: u64) -> Result<Row, String> {
    let directory = tempfile::tempdir().map_err(|error| format!("cannot make a directory for captures: {error}"))?;
    let mut command = way.command(programs, workload, units, directory.path());
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let row = row::parse(&String::from_utf8_lossy(&output.stdout)).into_iter().next();
    let row = row.filter(|_| output.status.success()).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        format!("{command:?} ended with {} and no row: {}", output.status, said.lines().last().unwrap_or("silent"))
    })?;
    Ok(Row { allocator: way.allocator.clone(), mode: way.mode.clone(), ..row })
}

/// The ways that can run, and a line on standard error for each that cannot.
pub(crate) fn available(ways: Vec<Way>) -> Result<Vec<Way>, String> {
    let programs = programs()?;
    let can = |way: &Way| match way.missing(&programs) {
        None => true,
        Some(reason) => {
            eprintln!("SKIPPED {}: {reason}", way.name());
            false
        }
    };
    Ok(ways.into_iter().filter(can).collect())
}
