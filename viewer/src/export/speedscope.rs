//! speedscope's own JSON: one profile for each figure, of the same stacks.

use std::collections::HashMap;
use std::io::{self, Write};

use serde::Serialize;

use crate::model::Tally;
use crate::present::{Of, safe, units};
use crate::symbolize::Frame;

use super::collapsed::figure;
use super::walk::Walk;

#[derive(Serialize)]
struct File {
    #[serde(rename = "$schema")]
    schema: &'static str,
    exporter: String,
    name: String,
    #[serde(rename = "activeProfileIndex")]
    active: usize,
    shared: Shared,
    profiles: Vec<Sampled>,
}

#[derive(Default, Serialize)]
struct Shared {
    frames: Vec<SharedFrame>,
}

#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
struct SharedFrame {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
}

#[derive(Serialize)]
struct Sampled {
    r#type: &'static str,
    name: String,
    unit: &'static str,
    #[serde(rename = "startValue")]
    start: u64,
    #[serde(rename = "endValue")]
    end: u64,
    samples: Vec<Vec<usize>>,
    weights: Vec<u64>,
}

/// The figures that speedscope can switch between.
const FIGURES: [(Of, &str); 4] = [
    (Of::Live, "live"),
    (Of::Peak, "live at the peak"),
    (Of::Total, "allocated in total"),
    (Of::Temporary, "temporary allocations"),
];

/// Writes all figures.
///
/// # Errors
///
/// When it cannot be written.
pub fn speedscope(walk: &Walk<'_>, out: impl Write) -> io::Result<()> {
    let mut shared = Shared::default();
    let mut known: HashMap<SharedFrame, usize> = HashMap::new();
    let mut number = |frame: SharedFrame| {
        *known.entry(frame.clone()).or_insert_with(|| {
            shared.frames.push(frame);
            shared.frames.len() - 1
        })
    };
    // Outermost first.
    let stacks: Vec<Vec<usize>> = walk
        .rows()
        .map(|row| {
            let root =
                row.root.map(|root| number(SharedFrame { name: safe(root).into_owned(), file: None, line: None }));
            let calls: Vec<usize> = row.frames.iter().rev().map(|frame| number(shared_frame(frame))).collect();
            root.into_iter().chain(calls).collect()
        })
        .collect();
    let profiles = FIGURES.iter().filter_map(|(of, words)| profile(walk, *of, words, &stacks)).collect();
    let file = File {
        schema: "https://www.speedscope.app/file-format-schema.json",
        exporter: concat!("plimsoll ", env!("CARGO_PKG_VERSION")).to_owned(),
        name: format!("{} ({})", safe(&walk.profile.header.program), walk.basis()),
        active: 0,
        shared,
        profiles,
    };
    Ok(serde_json::to_writer(out, &file)?)
}

/// One figure; `None` when the capture cannot tell it.
fn profile(walk: &Walk<'_>, of: Of, words: &str, stacks: &[Vec<usize>]) -> Option<Sampled> {
    let mut sum = Tally::new(walk.heap.interval_bytes);
    let (mut samples, mut weights) = (Vec::new(), Vec::new());
    let mut is_known = false;
    for (row, stack) in walk.rows().zip(stacks) {
        let Some(tally) = figure(of, &row) else { continue };
        is_known = true;
        if !tally.is_empty() {
            sum += tally;
            samples.push(stack.clone());
            weights.push(of.estimate(&tally));
        }
    }
    let (unit, told) = match of {
        Of::Temporary => ("none", units::measured_count(sum.measure_blocks())),
        _ => ("bytes", units::measured_bytes(sum.measure_bytes())),
    };
    let end = weights.iter().fold(0, |end, weight| u64::saturating_add(end, *weight));
    let name = format!("{words}: {told}");
    is_known.then_some(Sampled { r#type: "sampled", name, unit, start: 0, end, samples, weights })
}

fn shared_frame(frame: &Frame) -> SharedFrame {
    let file = frame.file.as_deref().map(|file| safe(file).into_owned());
    SharedFrame { name: safe(&frame.name()).into_owned(), file, line: frame.line }
}
