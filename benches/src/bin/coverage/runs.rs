//! Runs the program under every seed, reads its report, and counts which intervals hold the truth.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use plimsoll_benches::turns::{Frame, site_of};
use serde::{Deserialize, Serialize};

use super::subject::{self, Blocks, INTERVAL, Layout};

/// What runs and reads.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) own: PathBuf,
    pub(crate) viewer: PathBuf,
}

/// A figure of a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Figure {
    LiveBytes,
    LiveAllocations,
    TotalBytes,
    TotalAllocations,
}

pub(crate) const FIGURES: [Figure; 4] =
    [Figure::LiveBytes, Figure::LiveAllocations, Figure::TotalBytes, Figure::TotalAllocations];

impl Figure {
    /// The truth: as much is freed as is kept.
    pub(crate) fn truth(self, blocks: &Blocks) -> f64 {
        let bytes: u64 = blocks.iter().map(|(size, number)| *size as u64 * number).sum();
        let number: u64 = blocks.iter().map(|(_, number)| number).sum();
        (match self {
            Figure::LiveBytes => bytes,
            Figure::LiveAllocations => number,
            Figure::TotalBytes => 2 * bytes,
            Figure::TotalAllocations => 2 * number,
        }) as f64
    }

    /// Samples that are expected of it.
    pub(crate) fn expected(self, blocks: &Blocks) -> f64 {
        let live: f64 = blocks.iter().map(|(size, number)| *number as f64 * subject::chance(*size)).sum();
        if matches!(self, Figure::LiveBytes | Figure::LiveAllocations) { live } else { 2.0 * live }
    }
}

/// Which sites a count is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Of {
    /// One that was fixed in advance, by its number.
    Site(usize),
    /// All that were fixed in advance together.
    All,
    /// Those that came out among so many with the largest estimates.
    Top(usize),
}

/// How often intervals held the truth.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Count {
    pub(crate) intervals: u64,
    pub(crate) held: u64,
    /// Truths below the interval: the estimate was too high for it.
    pub(crate) below: u64,
    /// Of runs whose capture does not show the site at all.
    pub(crate) unseen: u64,
    /// Sum of estimate / truth.
    pub(crate) ratios: f64,
}

impl Count {
    /// Adds another count.
    pub(crate) fn add(&mut self, other: &Count) {
        self.intervals += other.intervals;
        self.held += other.held;
        self.below += other.below;
        self.unseen += other.unseen;
        self.ratios += other.ratios;
    }
}

/// A count with what it is of, as a line of JSON.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Line {
    pub(crate) layout: &'static str,
    pub(crate) of: Of,
    pub(crate) figure: Figure,
    pub(crate) expected_samples: f64,
    #[serde(flatten)]
    pub(crate) count: Count,
}

/// A number with its interval.
#[derive(Debug, Clone, Copy, Deserialize)]
struct Estimate {
    value: f64,
    low: f64,
    high: Option<f64>,
}

impl Estimate {
    /// What a capture without a single sample of a site says of it: nothing, and no more than ln(40) = 3.7 intervals of
    /// bytes (more would have been seen with a chance of 97.5 %); of the number of blocks nothing at all.
    fn unseen(figure: Figure) -> Estimate {
        let bytes = matches!(figure, Figure::LiveBytes | Figure::TotalBytes);
        Estimate { value: 0.0, low: 0.0, high: bytes.then(|| (INTERVAL as f64 * 40f64.ln()).floor()) }
    }
}

#[derive(Debug, Deserialize)]
struct Report {
    sites: Vec<Site>,
}

#[derive(Debug, Deserialize)]
struct Site {
    live_bytes: Estimate,
    live_allocations: Estimate,
    total_bytes: Estimate,
    total_allocations: Estimate,
    frames: Vec<Frame>,
}

impl Site {
    fn figure(&self, figure: Figure) -> Estimate {
        match figure {
            Figure::LiveBytes => self.live_bytes,
            Figure::LiveAllocations => self.live_allocations,
            Figure::TotalBytes => self.total_bytes,
            Figure::TotalAllocations => self.total_allocations,
        }
    }
}

type Counts = BTreeMap<(Of, Figure), Count>;

/// Counts over all seeds, in two threads.
pub(crate) fn count(tools: &Tools, layout: Layout, seeds: u64) -> Result<Vec<Line>, String> {
    let parts: Vec<Result<Counts, String>> = thread::scope(|scope| {
        let threads = [1, 2].map(|first| {
            scope.spawn(move || {
                let mut counts = Counts::new();
                (first..=seeds).step_by(2).try_for_each(|seed| one(tools, layout, seed, &mut counts))?;
                Ok(counts)
            })
        });
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    if parts.len() < 2 {
        return Err("a thread ended early".to_owned());
    }
    let mut counts = Counts::new();
    for (key, part) in parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten() {
        counts.entry(key).or_default().add(&part);
    }
    let sites = layout.sites(1);
    let layout = match layout {
        Layout::Fixed => "fixed",
        Layout::Varied => "varied",
        Layout::Equal => "equal",
        Layout::Spread => "spread",
    };
    let expected = |of, figure: Figure| match of {
        Of::Site(site) => sites.get(site).map_or(0.0, |blocks| figure.expected(blocks)),
        _ => 0.0,
    };
    let line = |((of, figure), count)| Line { layout, of, figure, expected_samples: expected(of, figure), count };
    Ok(counts.into_iter().map(line).collect())
}

fn one(tools: &Tools, layout: Layout, seed: u64, counts: &mut Counts) -> Result<(), String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder for a capture: {error}"))?;
    let report = report(tools, layout, seed, &folder.path().join("run.plim"))?;
    let truths = layout.sites(seed);
    let found: BTreeMap<usize, &Site> =
        report.sites.iter().filter_map(|site| Some((site_of(&site.frames)?, site))).collect();
    for figure in FIGURES {
        let estimate = |site: &usize| found.get(site).map(|found| found.figure(figure));
        for (site, blocks) in truths.iter().enumerate() {
            let (seen, truth) = (estimate(&site), figure.truth(blocks));
            if matches!(layout, Layout::Fixed | Layout::Varied) {
                add(counts, (Of::Site(site), figure), seen, truth);
            }
            add(counts, (Of::All, figure), seen, truth);
        }
        // The list as `--top` cuts it: by live bytes, the most first.
        let listed = report.sites.iter().filter_map(|site| site_of(&site.frames));
        for (rank, site) in listed.enumerate().take(10) {
            let truth = truths.get(site).map_or(0.0, |blocks| figure.truth(blocks));
            if rank == 0 {
                add(counts, (Of::Top(1), figure), estimate(&site), truth);
            }
            add(counts, (Of::Top(10), figure), estimate(&site), truth);
        }
    }
    Ok(())
}

fn add(counts: &mut Counts, (of, figure): (Of, Figure), seen: Option<Estimate>, truth: f64) {
    let count = counts.entry((of, figure)).or_default();
    let estimate = seen.unwrap_or(Estimate::unseen(figure));
    count.intervals += 1;
    count.held += u64::from(estimate.low <= truth && estimate.high.is_none_or(|high| truth <= high));
    count.below += u64::from(truth < estimate.low);
    count.unseen += u64::from(seen.is_none());
    count.ratios += estimate.value / truth;
}

fn report(tools: &Tools, layout: Layout, seed: u64, capture: &Path) -> Result<Report, String> {
    let name = if layout == Layout::Varied { "exact" } else { "sampled" };
    let value = <Layout as clap::ValueEnum>::to_possible_value(&layout).ok_or("a layout without a name")?;
    let mut subject = Command::new(&tools.own);
    subject.args(["subject", value.get_name(), "--seed", &seed.to_string()]);
    subject.env("PLIMSOLL_OUTPUT", capture).env("PLIMSOLL_MODE", name);
    subject.env("PLIMSOLL_INTERVAL", INTERVAL.to_string()).env("PLIMSOLL_SEED", seed.to_string());
    run(&mut subject)?;
    let mut viewer = Command::new(&tools.viewer);
    let printed = run(viewer.arg("report").arg(capture).args(["--json", "--top", "0"]))?;
    serde_json::from_str(&printed).map_err(|error| format!("{viewer:?} prints no report: {error}"))
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
