//! The table behind CSV, JSON lines and Parquet: one row for each site and step of time, the same columns in all three.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::model::{Measure, Profile};
use crate::present::{json, safe};
use crate::replay::Heap;
use crate::symbolize::Frame;
use crate::view::{Group, GroupBy, Grouping};

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A whole number.
    Number,
    /// A number with a fraction.
    Real,
    /// A moment.
    Time,
}

/// One cell; `None` where nothing is known.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Text.
    Text(Option<String>),
    /// A whole number.
    Number(Option<i64>),
    /// A number with a fraction.
    Real(Option<f64>),
    /// Nanoseconds since 1970 UTC.
    Time(i64),
}

/// The columns, in order.
pub const COLUMNS: [(&str, Kind); 39] = [
    ("program", Kind::Text),
    ("build_id", Kind::Text),
    ("host", Kind::Text),
    ("pid", Kind::Number),
    ("mode", Kind::Text),
    ("interval_bytes", Kind::Number),
    ("started", Kind::Time),
    ("from_ms", Kind::Real),
    ("step", Kind::Number),
    ("time", Kind::Time),
    ("at_ms", Kind::Real),
    ("by", Kind::Text),
    ("name", Kind::Text),
    ("file", Kind::Text),
    ("line", Kind::Number),
    ("stack", Kind::Text),
    ("verdict", Kind::Text),
    ("rate_bytes_per_s", Kind::Real),
    ("rate_bytes_per_s_low", Kind::Real),
    ("rate_bytes_per_s_high", Kind::Real),
    ("live_bytes", Kind::Number),
    ("live_bytes_low", Kind::Number),
    ("live_bytes_high", Kind::Number),
    ("live_allocations", Kind::Number),
    ("live_allocations_low", Kind::Number),
    ("live_allocations_high", Kind::Number),
    ("peak_live_bytes", Kind::Number),
    ("peak_live_bytes_low", Kind::Number),
    ("peak_live_bytes_high", Kind::Number),
    ("total_bytes", Kind::Number),
    ("total_bytes_low", Kind::Number),
    ("total_bytes_high", Kind::Number),
    ("total_allocations", Kind::Number),
    ("total_allocations_low", Kind::Number),
    ("total_allocations_high", Kind::Number),
    ("temporary_allocations", Kind::Number),
    ("oldest_ms", Kind::Real),
    ("youngest_ms", Kind::Real),
    ("samples", Kind::Number),
];

/// A row, in the order of [`COLUMNS`].
pub type Cells = [Cell; COLUMNS.len()];

/// What all rows of a table have in common.
pub struct Table<'a> {
    /// The capture.
    pub profile: &'a Profile,
    /// The machine, as the user says; captures do not.
    pub host: Option<&'a str>,
    /// What makes two sites one.
    pub by: GroupBy,
}

/// One step of time: everything up to its end.
pub struct Step<'a> {
    /// From 1 on.
    pub number: usize,
    /// The heap as it stood then.
    pub heap: &'a Heap,
    /// Its sites, judged.
    pub grouping: &'a Grouping,
}

impl Table<'_> {
    /// The rows of a step, most live bytes first.
    pub fn rows(&self, step: &Step<'_>) -> Vec<Cells> {
        let ranked = step.grouping.ranked(|group| group.total);
        let mut ranked: Vec<&Group> = ranked.into_iter().collect();
        ranked.sort_by_key(|group| std::cmp::Reverse(group.live.estimated_bytes()));
        ranked.into_iter().map(|group| self.cells(step, group)).collect()
    }

    fn cells(&self, step: &Step<'_>, group: &Group) -> Cells {
        let (header, heap) = (&self.profile.header, step.heap);
        let verdict = group.verdict.as_ref();
        let rate = verdict.and_then(|verdict| verdict.rate);
        let innermost = group.frames.first();
        let names: Vec<String> = group.frames.iter().rev().map(|frame| frame.name().replace(';', ",")).collect();
        let temporary = group.temporary.map(|tally| tally.measure_blocks().value);
        let [live, live_low, live_high] = bounds(group.live.measure_bytes());
        let [blocks, blocks_low, blocks_high] = bounds(group.live.measure_blocks());
        let [peak, peak_low, peak_high] = bounds(group.at_peak.measure_bytes());
        let [total, total_low, total_high] = bounds(group.total.measure_bytes());
        let [count, count_low, count_high] = bounds(group.total.measure_blocks());
        [
            text(header.program.clone()),
            Cell::Text(build_id(self.profile)),
            Cell::Text(self.host.map(str::to_owned)),
            number(header.pid),
            text(if self.profile.is_exact() { "exact" } else { "sampled" }),
            number(heap.interval_bytes),
            Cell::Time(self.profile.start_wall_ns),
            Cell::Real(Some(heap.options.range.map_or(0.0, |range| ms(range.from_ns)))),
            number(step.number as u64),
            Cell::Time(self.profile.start_wall_ns.saturating_add_unsigned(heap.moment_ns)),
            Cell::Real(Some(ms(heap.moment_ns))),
            text(self.by.name()),
            text(group.name.clone()),
            Cell::Text(innermost.and_then(|frame| Some(frame.file.as_deref()?.to_owned()))),
            Cell::Number(innermost.and_then(|frame: &Frame| frame.line).map(i64::from)),
            Cell::Text((!names.is_empty()).then(|| names.join(";"))),
            Cell::Text(verdict.map(|verdict| verdict.class.name().to_owned())),
            real(rate.map(|rate| rate.value)),
            real(rate.map(|rate| rate.low)),
            real(rate.map(|rate| rate.high)),
            live,
            live_low,
            live_high,
            blocks,
            blocks_low,
            blocks_high,
            peak,
            peak_low,
            peak_high,
            total,
            total_low,
            total_high,
            count,
            count_low,
            count_high,
            Cell::Number(temporary.map(signed)),
            Cell::Real(group.ages.map(|ages| ms(ages.oldest_ns))),
            Cell::Real(group.ages.map(|ages| ms(ages.youngest_ns))),
            number(group.total.blocks),
        ]
    }
}

fn text(text: impl Into<String>) -> Cell {
    Cell::Text(Some(text.into()))
}

fn number(number: impl Into<u64>) -> Cell {
    Cell::Number(Some(signed(number.into())))
}

fn real(number: Option<f64>) -> Cell {
    Cell::Real(number.filter(|number| number.is_finite()))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Value, low and high; no high where nothing bounds it.
fn bounds(measure: Measure) -> [Cell; 3] {
    [number(measure.value), number(measure.low), Cell::Number(measure.high.map(signed))]
}

/// Of the executable, by the program's name.
fn build_id(profile: &Profile) -> Option<String> {
    let mut modules = profile.modules.iter().map(|info| &info.module);
    let file_name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
    let own = modules.find(|module| file_name(&module.path) == profile.header.program)?;
    (!own.build_id.is_empty()).then(|| own.build_id.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// A moment as RFC 3339.
fn written(ns: i64) -> Option<String> {
    Some(jiff::Timestamp::from_nanosecond(i128::from(ns)).ok()?.to_string())
}

/// CSV with a header, texts in quotes.
///
/// # Errors
///
/// When it cannot be written.
pub fn csv(out: impl Write, steps: impl Iterator<Item = Vec<Cells>>) -> io::Result<()> {
    let mut writer = csv::WriterBuilder::new().quote_style(csv::QuoteStyle::NonNumeric).from_writer(out);
    writer.write_record(COLUMNS.map(|(name, _)| name))?;
    for row in steps.flatten() {
        writer.write_record(row.iter().map(csv_cell))?;
    }
    writer.flush()
}

/// Names come from another process: none may be taken for a formula by a spreadsheet, or drive a terminal.
fn csv_cell(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => {
            let text = safe(text.as_deref().unwrap_or_default()).into_owned();
            if text.starts_with(['=', '+', '-', '@']) { format!("'{text}") } else { text }
        }
        Cell::Number(number) => number.map(|number| number.to_string()).unwrap_or_default(),
        Cell::Real(real) => real.map(|real| real.to_string()).unwrap_or_default(),
        Cell::Time(ns) => written(*ns).unwrap_or_default(),
    }
}

/// One JSON object a line.
///
/// # Errors
///
/// When it cannot be written.
pub fn jsonl(mut out: impl Write, steps: impl Iterator<Item = Vec<Cells>>) -> io::Result<()> {
    for row in steps.flatten() {
        out.write_all(json::to_line(&Line(&row))?.as_bytes())?;
    }
    out.flush()
}

struct Line<'a>(&'a Cells);

impl Serialize for Line<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(COLUMNS.len()))?;
        for ((name, _), cell) in COLUMNS.iter().zip(self.0) {
            match cell {
                Cell::Text(text) => map.serialize_entry(name, text)?,
                Cell::Number(number) => map.serialize_entry(name, number)?,
                Cell::Real(real) => map.serialize_entry(name, real)?,
                Cell::Time(ns) => map.serialize_entry(name, &written(*ns))?,
            }
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_a_formula_or_an_escape() {
        for (name, expected) in [("=1+1", "'=1+1"), ("@x", "'@x"), ("a\x1b[31m", r"a\u{1b}[31m"), ("<T>", "<T>")] {
            assert_eq!(csv_cell(&text(name)), expected);
        }
    }
}
