//! A site, or a group of sites, in JSON.

use serde::Serialize;

use crate::analysis::verdict::Room;
use crate::symbolize::Frame;
use crate::view::Group;

use super::parts::{MeasureJson, ms};
use super::verdict::VerdictJson;

/// A site, or a group of sites.
#[derive(Debug, Serialize)]
pub struct SiteJson {
    /// Function, crate, thread or tag; for a site its innermost shown function.
    pub name: String,
    /// Bytes live at the moment chosen.
    pub live_bytes: MeasureJson,
    /// Blocks live then.
    pub live_allocations: MeasureJson,
    /// Bytes live at the peak of the process.
    pub peak_live_bytes: MeasureJson,
    /// Everything allocated.
    pub total_bytes: MeasureJson,
    /// Number of these.
    pub total_allocations: MeasureJson,
    /// Freed by the same thread with at most one other allocation in between; `null` when sampled.
    pub temporary_allocations: Option<MeasureJson>,
    /// Age of the oldest live block, `null` when there is none.
    pub oldest_ms: Option<f64>,
    /// Age of the youngest one.
    pub youngest_ms: Option<f64>,
    /// What the evidence says of the live blocks.
    pub verdict: Option<VerdictJson>,
    /// The shown stack, innermost first; of a function one frame, of crates, threads and tags none.
    pub frames: Vec<FrameJson>,
}

/// One source-level call.
#[derive(Debug, Serialize)]
pub struct FrameJson {
    /// Demangled function.
    pub function: Option<String>,
    /// Source file.
    pub file: Option<String>,
    /// Line in it.
    pub line: Option<u32>,
    /// File name of the executable or library.
    pub module: Option<String>,
    /// Return address in memory; `null` for text that stands for missing frames.
    pub address: Option<u64>,
    /// Inlined into the next frame.
    pub inlined: bool,
}

impl SiteJson {
    /// From a group.
    pub fn new(group: &Group, room: Option<Room>) -> SiteJson {
        SiteJson {
            name: group.name.clone(),
            live_bytes: group.live.measure_bytes().into(),
            live_allocations: group.live.measure_blocks().into(),
            peak_live_bytes: group.at_peak.measure_bytes().into(),
            total_bytes: group.total.measure_bytes().into(),
            total_allocations: group.total.measure_blocks().into(),
            temporary_allocations: group.temporary.map(|temporary| temporary.measure_blocks().into()),
            oldest_ms: group.ages.map(|ages| ms(ages.oldest_ns)),
            youngest_ms: group.ages.map(|ages| ms(ages.youngest_ns)),
            verdict: group.verdict.as_ref().map(|verdict| VerdictJson::new(verdict, room)),
            frames: group.frames.iter().map(FrameJson::new).collect(),
        }
    }
}

impl FrameJson {
    pub(super) fn new(frame: &Frame) -> FrameJson {
        let text = |text: &std::sync::Arc<str>| text.to_string();
        FrameJson {
            function: frame.function.as_ref().map(text),
            file: frame.file.as_ref().map(text),
            line: frame.line,
            module: frame.module.as_ref().map(text),
            address: (!frame.is_marker()).then_some(frame.address),
            inlined: frame.inlined,
        }
    }
}
