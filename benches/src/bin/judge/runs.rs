//! Runs programs, many at once since they mostly sleep, and reads the verdicts on their captures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use plimsoll_benches::judged::told::Told;
use plimsoll_benches::judged::{Class, Program};
use serde::Deserialize;
use serde_json::Value;

use super::row::{Mode, Rate, Row, Verdicts};

/// A run to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Job {
    pub(crate) program: &'static Program,
    pub(crate) steps: u32,
    pub(crate) seed: u64,
    pub(crate) mode: Mode,
}

/// What runs and reads.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) judged: PathBuf,
    pub(crate) viewer: PathBuf,
    /// Mean bytes between samples in sampled mode.
    pub(crate) interval_bytes: u64,
}

impl Tools {
    /// Does these jobs at the same time, and then reads their captures, two at a time: readers are busy, and would make
    /// programs late.
    pub(crate) fn run(&self, jobs: &[Job]) -> Result<Vec<Row>, String> {
        let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder for captures: {error}"))?;
        let capture = |number: usize| folder.path().join(format!("{number}.plim"));
        let told: Vec<Told> = in_threads(jobs.len(), jobs, |number, job| self.record(job, &capture(number)))?;
        let mut runs: Vec<(usize, &Job, Told)> = Vec::with_capacity(jobs.len());
        runs.extend(jobs.iter().zip(told).enumerate().map(|(number, (job, told))| (number, job, told)));
        in_threads(2, &runs, |_, (number, job, told)| self.read(job, told, &capture(*number)))
    }

    fn record(&self, job: &Job, capture: &Path) -> Result<Told, String> {
        let mut command = Command::new(&self.judged);
        command.args([job.program.name, "--seed", &job.seed.to_string(), "--steps", &job.steps.to_string()]);
        command.env("PLIMSOLL_OUTPUT", capture).env("PLIMSOLL_MODE", job.mode.name());
        command.env("PLIMSOLL_INTERVAL", self.interval_bytes.to_string());
        command.env("PLIMSOLL_SEED", job.seed.to_string());
        let printed = print(&mut command)?;
        serde_json::from_str(&printed).map_err(|error| format!("{command:?} prints no run: {error}"))
    }

    fn read(&self, job: &Job, told: &Told, capture: &Path) -> Result<Row, String> {
        let mut command = Command::new(&self.viewer);
        command.arg("leaks").arg(capture).args(["--json", "--top", "0"]);
        let printed = print(&mut command)?;
        let leaks: Leaks =
            serde_json::from_str(&printed).map_err(|error| format!("{command:?} prints no verdicts: {error}"))?;
        let mut row = Row {
            mode: job.mode,
            interval_bytes: if job.mode == Mode::Exact { 1 } else { self.interval_bytes },
            told: told.clone(),
            verdicts: told.sites.iter().map(|_| Verdicts::default()).collect(),
            others: BTreeMap::new(),
            accused: Vec::new(),
        };
        leaks.sites.iter().for_each(|site| site.add_to(&mut row));
        Ok(row)
    }
}

/// Calls `work` with all items, in so many threads.
fn in_threads<T: Sync, U: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(usize, &T) -> Result<U, String> + Sync,
) -> Result<Vec<U>, String> {
    let threads = threads.max(1);
    let mut done: Vec<(usize, Result<U, String>)> = thread::scope(|scope| {
        let work = &work;
        let of_thread = |thread| {
            let own = items.iter().enumerate().skip(thread).step_by(threads);
            scope.spawn(move || own.map(|(at, item)| (at, work(at, item))).collect::<Vec<_>>())
        };
        let running: Vec<_> = (0..threads).map(of_thread).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    if done.len() < items.len() {
        return Err("a thread of the judge ended early".to_owned());
    }
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

/// What a command prints; it must succeed.
fn print(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{command:?} ended with {}: {}", output.status, stderr.trim()));
    }
    String::from_utf8(output.stdout).map_err(|error| format!("{command:?} prints what is no text: {error}"))
}

/// What is read of `plimsoll leaks --json`.
#[derive(Debug, Deserialize)]
struct Leaks {
    sites: Vec<Site>,
}

#[derive(Debug, Deserialize)]
struct Site {
    live_bytes: Rate,
    verdict: Verdict,
    frames: Vec<Frame>,
}

#[derive(Debug, Deserialize)]
struct Verdict {
    class: Class,
    /// `null` or a number with its interval.
    #[serde(default)]
    rate_bytes_per_s: Value,
}

#[derive(Debug, Deserialize)]
struct Frame {
    function: Option<String>,
}

impl Site {
    /// Names of the functions of the stack without their paths, the innermost first.
    fn functions(&self) -> impl Iterator<Item = &str> {
        self.frames.iter().filter_map(|frame| frame.function.as_deref()).map(last_part)
    }

    /// Counts it where it belongs: to the innermost function that a truth names, or to the others.
    fn add_to(&self, row: &mut Row) {
        let class = self.verdict.class;
        let position = |function: &str| row.told.sites.iter().position(|site| site.function == function);
        let Some(verdicts) = self.functions().find_map(position).and_then(|at| row.verdicts.get_mut(at)) else {
            *row.others.entry(class).or_default() += 1;
            if class == Class::Leak {
                row.accused.push(self.functions().take(6).collect::<Vec<&str>>().join(" ← "));
            }
            return;
        };
        *verdicts.all.entry(class).or_default() += 1;
        if verdicts.main.is_none() || self.live_bytes.value > verdicts.live_bytes {
            verdicts.main = Some(class);
            verdicts.live_bytes = self.live_bytes.value;
            verdicts.rate = serde_json::from_value(self.verdict.rate_bytes_per_s.clone()).ok();
        }
    }
}

/// `remember` of `service::cache::remember` or `service::cache::remember::{{closure}}`.
fn last_part(function: &str) -> &str {
    function.split("::").filter(|part| !part.starts_with('{')).last().unwrap_or(function)
}
