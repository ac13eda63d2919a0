//! The JSON of each command: one object with the capture, the process totals, the peak, what was lost, and the
//! command's own list. `viewer/docs/json` holds a schema of each.

mod check;
mod control;
mod diff;
mod lint;
mod parts;
mod rss;
mod site;
mod suppressed;
mod timeline;
mod verdict;

use serde::Serialize;

use crate::analysis::{Bucket, By};

use super::safe::SafeJson;
use super::screen::View;
use crate::view::Group;

pub use check::{CheckItemJson, CheckJson, FoundJson};
pub use control::{ControlJson, ProgramJson, PurgedJson, StatusJson, StoppedJson, WrittenJson};
pub use diff::{ChangeJson, DiffJson, DifferenceJson};
pub use lint::LintJson;
pub use parts::{AtJson, CaptureJson, CgroupJson, LostJson, MeasureJson, MemoryJson, PeakJson, RangeJson, TotalsJson};
pub use rss::RssJson;
pub use site::{FrameJson, SiteJson};
pub use suppressed::SuppressedJson;
pub use timeline::{PointJson, TimelineJson};
pub use verdict::VerdictJson;

/// What every command says.
#[derive(Debug, Serialize)]
pub struct CommonJson {
    /// The capture.
    pub capture: CaptureJson,
    /// The process, since it started.
    pub totals: TotalsJson,
    /// Its largest live total.
    pub peak: PeakJson,
    /// The moment that live figures of the list are for.
    pub at: AtJson,
    /// What could not be recorded or read.
    pub lost: LostJson,
    /// Everything a reader should know, one sentence each.
    pub warnings: Vec<String>,
}

/// `plimsoll report --json` and `plimsoll leaks --json`.
#[derive(Debug, Serialize)]
pub struct SitesJson {
    /// What every command says.
    #[serde(flatten)]
    pub common: CommonJson,
    /// Memory of the process and its cgroup at the last reading, `null` when there was none.
    pub memory: Option<MemoryJson>,
    /// How heap and process went, in reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<TimelineJson>,
    /// Patterns that cost more than they have to, in reports.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<Vec<LintJson>>,
    /// What makes two sites one.
    pub by: &'static str,
    /// Sites in the capture that have something to show; the list may be shorter.
    pub sites_total: usize,
    /// Whether the sites listed are the largest of more estimates, which tend to be too high.
    pub selected: bool,
    /// What suppressions took, when they were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Vec<SuppressedJson>>,
    /// Sites, most bytes first.
    pub sites: Vec<SiteJson>,
}

/// `plimsoll histogram --json`.
#[derive(Debug, Serialize)]
pub struct HistogramJson {
    /// What every command says.
    #[serde(flatten)]
    pub common: CommonJson,
    /// What blocks are sorted by: `size`, `lifetime` or `age`.
    pub by: &'static str,
    /// Unit of the buckets' bounds: `bytes` or `ns`.
    pub unit: &'static str,
    /// Buckets, smallest first.
    pub buckets: Vec<BucketJson>,
}

/// Blocks of one power of two.
#[derive(Debug, Serialize)]
pub struct BucketJson {
    /// Smallest size or time.
    pub from: u64,
    /// Largest one.
    pub to: u64,
    /// Blocks.
    pub allocations: MeasureJson,
    /// Their bytes.
    pub bytes: MeasureJson,
    /// By lifetime: blocks not freed, in the bucket of the age they had reached. `null` elsewhere.
    pub unfreed_allocations: Option<MeasureJson>,
    /// Bytes of these.
    pub unfreed_bytes: Option<MeasureJson>,
}

/// `plimsoll flamegraph --json`.
#[derive(Debug, Serialize)]
pub struct FlameGraphJson {
    /// What every command says.
    #[serde(flatten)]
    pub common: CommonJson,
    /// What is drawn.
    pub of: &'static str,
    /// Unit of `value`: `bytes` or `allocations`.
    pub unit: &'static str,
    /// The file written.
    pub output: String,
    /// Width of the whole picture.
    pub value: MeasureJson,
}

impl CommonJson {
    /// From the analyses.
    pub fn new(view: &View<'_>) -> CommonJson {
        CommonJson {
            capture: CaptureJson::new(view.profile),
            totals: TotalsJson::new(view.summary),
            peak: PeakJson::new(view.summary),
            at: AtJson::new(view.heap),
            lost: LostJson::new(view.profile),
            warnings: view.warnings.to_vec(),
        }
    }
}

impl SitesJson {
    /// From the analyses: the first of these groups, as many as the view shows.
    pub fn new(view: &View<'_>, ranked: &[&Group]) -> SitesJson {
        SitesJson {
            common: CommonJson::new(view),
            memory: MemoryJson::last(view.profile),
            timeline: None,
            advice: None,
            by: view.by.name(),
            sites_total: ranked.len(),
            selected: view.is_selected(ranked),
            suppressed: SuppressedJson::all(view),
            sites: view.top(ranked).iter().map(|group| SiteJson::new(group, view.room)).collect(),
        }
    }
}

impl SitesJson {
    /// The same with how heap and process went, and what could be done.
    pub fn with_timeline(self, view: &View<'_>) -> SitesJson {
        SitesJson { timeline: Some(TimelineJson::new(view.profile)), advice: Some(LintJson::all(view)), ..self }
    }
}

impl HistogramJson {
    /// From the analyses.
    pub fn new(view: &View<'_>, by: By, buckets: &[Bucket]) -> HistogramJson {
        let (name, unit) = match by {
            By::Size => ("size", "bytes"),
            By::Lifetime => ("lifetime", "ns"),
            By::Age => ("age", "ns"),
        };
        let bucket = |bucket: &Bucket| BucketJson {
            from: bucket.from,
            to: bucket.to,
            allocations: bucket.allocations.into(),
            bytes: bucket.bytes.into(),
            unfreed_allocations: bucket.unfreed_allocations.map(Into::into),
            unfreed_bytes: bucket.unfreed_bytes.map(Into::into),
        };
        HistogramJson { common: CommonJson::new(view), by: name, unit, buckets: buckets.iter().map(bucket).collect() }
    }
}

/// A JSON object as one line, safe to print.
///
/// # Errors
///
/// When a value cannot be written as JSON; none of ours is such a one.
pub fn to_line(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut bytes = Vec::new();
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, SafeJson))?;
    let mut line = String::from_utf8_lossy(&bytes).into_owned();
    line.push('\n');
    Ok(line)
}
