//! The JSON of `plimsoll diff`.

use serde::Serialize;

use crate::analysis::{Change, Difference, FALSE_ALARMS};
use crate::present::diff::Comparison;

use super::CommonJson;
use super::parts::MeasureJson;
use super::site::FrameJson;

/// `plimsoll diff --json`. What every command says is of the capture after.
#[derive(Debug, Serialize)]
pub struct DiffJson {
    /// The capture after, or the one at the second moment.
    #[serde(flatten)]
    pub common: CommonJson,
    /// The capture before, or the same at the first moment.
    pub before: CommonJson,
    /// What is compared: `live`, `peak` or `total` bytes.
    pub of: &'static str,
    /// What makes two sites one.
    pub by: &'static str,
    /// Chance that a comparison without any change reports one, at most; `null` where nothing was sampled.
    pub false_alarms: Option<f64>,
    /// A change is significant when its p-value is at most this; `null` where nothing was sampled.
    pub p_value_threshold: Option<f64>,
    /// Sites compared.
    pub compared: usize,
    /// Of these, sites with a significant change.
    pub significant: usize,
    /// The largest change, in bytes, that could hide in one of the others; `null` when nothing bounds it.
    pub hidden_bytes: Option<u64>,
    /// What makes the comparison lame, one sentence each.
    pub cautions: Vec<String>,
    /// Significant changes, largest first, as many as asked for; with --all the others after them.
    pub changes: Vec<ChangeJson>,
}

/// One site before and after.
#[derive(Debug, Serialize)]
pub struct ChangeJson {
    /// Function, crate, thread or tag; for a site its innermost shown function.
    pub name: String,
    /// Bytes before.
    pub before: MeasureJson,
    /// Bytes after.
    pub after: MeasureJson,
    /// Bytes, after minus before.
    pub change: DifferenceJson,
    /// Blocks, after minus before.
    pub change_allocations: DifferenceJson,
    /// Chance that sampling alone makes such a difference, at most; `null` where nothing was sampled.
    pub p_value: Option<f64>,
    /// Whether it is real: exact, or more than sampling explains.
    pub significant: bool,
    /// The shown stack, innermost first.
    pub frames: Vec<FrameJson>,
}

/// A difference with its 95 % interval.
#[derive(Debug, Serialize)]
pub struct DifferenceJson {
    /// Best value.
    pub value: i64,
    /// It is at least this; `null` when nothing bounds it.
    pub low: Option<i64>,
    /// It is at most this; `null` when nothing bounds it.
    pub high: Option<i64>,
}

impl From<Difference> for DifferenceJson {
    fn from(difference: Difference) -> DifferenceJson {
        DifferenceJson { value: difference.value, low: difference.low, high: difference.high }
    }
}

impl DiffJson {
    /// From the analyses.
    pub fn new(comparison: &Comparison<'_>) -> DiffJson {
        let changes = comparison.changes;
        DiffJson {
            common: CommonJson::new(&comparison.after),
            before: CommonJson::new(&comparison.before),
            of: comparison.of.name(),
            by: comparison.after.by.name(),
            false_alarms: changes.threshold.map(|_| FALSE_ALARMS),
            p_value_threshold: changes.threshold,
            compared: changes.changes.len(),
            significant: changes.real().len(),
            hidden_bytes: changes.hidden(),
            cautions: comparison.cautions(),
            changes: comparison.shown().iter().map(ChangeJson::new).collect(),
        }
    }
}

impl ChangeJson {
    fn new(change: &Change) -> ChangeJson {
        ChangeJson {
            name: change.pair.name.clone(),
            before: change.pair.before.measure_bytes().into(),
            after: change.pair.after.measure_bytes().into(),
            change: change.bytes.into(),
            change_allocations: change.blocks.into(),
            p_value: change.p_value,
            significant: change.is_real,
            frames: change.pair.frames.iter().map(FrameJson::new).collect(),
        }
    }
}
