//! pprof: the protocol buffers that `go tool pprof` and scrapers read, as a Go program's `/debug/pprof/heap` writes them.
//!
//! Values of samples are estimates already (readers do not scale them), in Go's four types and order. One sample stands
//! for one site; its stack is the shown one, inlined calls in one location with the call that they are in.

use std::collections::HashMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use prost::Message;

use crate::model::Tally;
use crate::symbolize::Frame;

use super::walk::{Row, Walk};

/// Which of the four values a reader shows first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// What is live: `inuse_space`.
    InUse,
    /// All that was ever allocated: `alloc_space`.
    Allocated,
}

#[derive(Clone, PartialEq, Message)]
struct ProfileMessage {
    #[prost(message, repeated, tag = "1")]
    sample_type: Vec<ValueType>,
    #[prost(message, repeated, tag = "2")]
    sample: Vec<Sample>,
    #[prost(message, repeated, tag = "3")]
    mapping: Vec<Mapping>,
    #[prost(message, repeated, tag = "4")]
    location: Vec<Location>,
    #[prost(message, repeated, tag = "5")]
    function: Vec<Function>,
    #[prost(string, repeated, tag = "6")]
    string_table: Vec<String>,
    #[prost(int64, tag = "9")]
    time_nanos: i64,
    #[prost(int64, tag = "10")]
    duration_nanos: i64,
    #[prost(message, optional, tag = "11")]
    period_type: Option<ValueType>,
    #[prost(int64, tag = "12")]
    period: i64,
    #[prost(int64, repeated, tag = "13")]
    comment: Vec<i64>,
    #[prost(int64, tag = "14")]
    default_sample_type: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct ValueType {
    #[prost(int64, tag = "1")]
    r#type: i64,
    #[prost(int64, tag = "2")]
    unit: i64,
}

#[derive(Clone, PartialEq, Message)]
struct Sample {
    #[prost(uint64, repeated, tag = "1")]
    location_id: Vec<u64>,
    #[prost(int64, repeated, tag = "2")]
    value: Vec<i64>,
    #[prost(message, repeated, tag = "3")]
    label: Vec<Label>,
}

/// What is known of a sample besides its values: a text, or a number with its unit.
#[derive(Clone, Copy, PartialEq, Message)]
struct Label {
    #[prost(int64, tag = "1")]
    key: i64,
    #[prost(int64, tag = "2")]
    str: i64,
    #[prost(int64, tag = "3")]
    num: i64,
    #[prost(int64, tag = "4")]
    num_unit: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Mapping {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "5")]
    filename: i64,
    #[prost(bool, tag = "7")]
    has_functions: bool,
    #[prost(bool, tag = "8")]
    has_filenames: bool,
    #[prost(bool, tag = "9")]
    has_line_numbers: bool,
    #[prost(bool, tag = "10")]
    has_inline_frames: bool,
}

#[derive(Clone, PartialEq, Message)]
struct Location {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(uint64, tag = "2")]
    mapping_id: u64,
    #[prost(uint64, tag = "3")]
    address: u64,
    #[prost(message, repeated, tag = "4")]
    line: Vec<Line>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Message)]
struct Line {
    #[prost(uint64, tag = "1")]
    function_id: u64,
    #[prost(int64, tag = "2")]
    line: i64,
}

#[derive(Clone, Copy, PartialEq, Message)]
struct Function {
    #[prost(uint64, tag = "1")]
    id: u64,
    #[prost(int64, tag = "2")]
    name: i64,
    #[prost(int64, tag = "3")]
    system_name: i64,
    #[prost(int64, tag = "4")]
    filename: i64,
}

/// The tables under way: each text, function and location once.
#[derive(Default)]
struct Tables {
    message: ProfileMessage,
    texts: HashMap<String, i64>,
    functions: HashMap<(i64, i64), u64>,
    locations: HashMap<(u64, Vec<Line>), u64>,
}

impl Tables {
    fn text(&mut self, text: &str) -> i64 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let index = signed(self.message.string_table.len() as u64);
        self.message.string_table.push(text.to_owned());
        self.texts.insert(text.to_owned(), index);
        index
    }

    fn value_type(&mut self, r#type: &str, unit: &str) -> ValueType {
        ValueType { r#type: self.text(r#type), unit: self.text(unit) }
    }

    fn line(&mut self, frame: &Frame) -> Line {
        let (name, filename) = (self.text(&frame.name()), self.text(frame.file.as_deref().unwrap_or_default()));
        let next = self.functions.len() as u64 + 1;
        let function_id = *self.functions.entry((name, filename)).or_insert(next);
        if function_id == next {
            self.message.function.push(Function { id: next, name, system_name: name, filename });
        }
        Line { function_id, line: frame.line.map_or(0, i64::from) }
    }

    /// A call and what was inlined into it, innermost first.
    fn location(&mut self, frames: &[Frame]) -> u64 {
        let lines: Vec<Line> = frames.iter().map(|frame| self.line(frame)).collect();
        let address = frames.last().filter(|frame| !frame.is_marker()).map_or(0, |frame| frame.address);
        let next = self.locations.len() as u64 + 1;
        let id = *self.locations.entry((address, lines.clone())).or_insert(next);
        if id == next {
            self.message.location.push(Location { id, mapping_id: 1, address, line: lines });
        }
        id
    }
}

impl Tables {
    /// Thread, tag and verdict of a site; of estimates their bounds.
    fn labels(&mut self, walk: &Walk<'_>, row: &Row<'_>) -> Vec<Label> {
        let Some(site) = row.site else { return Vec::new() };
        let verdict = row.verdict.map(|verdict| verdict.class.name().to_owned());
        let texts = [
            ("thread", Some(walk.profile.thread_name(site.thread))),
            ("tag", walk.profile.tag_name(site.tag)),
            ("verdict", verdict),
        ];
        let mut labels: Vec<Label> = texts
            .into_iter()
            .filter_map(|(key, text)| Some(Label { key: self.text(key), str: self.text(&text?), num: 0, num_unit: 0 }))
            .collect();
        let live = row.live.measure_bytes();
        if !live.is_exact() {
            let bounds = [("inuse_low", Some(live.low)), ("inuse_high", live.high)];
            let num_unit = self.text("bytes");
            let known = bounds.into_iter().filter_map(|(key, bound)| Some((key, bound?)));
            labels.extend(known.map(|(key, bound)| Label {
                key: self.text(key),
                str: 0,
                num: signed(bound),
                num_unit,
            }));
        }
        labels
    }
}

/// What does not fit is as much as fits.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The heap as gzipped protocol buffers.
///
/// # Errors
///
/// When it cannot be compressed, which needs memory alone.
pub fn pprof(walk: &Walk<'_>, shows: Shows) -> std::io::Result<Vec<u8>> {
    let message = message(walk, shows);
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(&message.encode_to_vec())?;
    gzip.finish()
}

fn message(walk: &Walk<'_>, shows: Shows) -> ProfileMessage {
    let (profile, heap) = (walk.profile, walk.heap);
    let mut tables = Tables::default();
    // The first text is the empty one, by definition.
    tables.text("");
    let types =
        [("alloc_objects", "count"), ("alloc_space", "bytes"), ("inuse_objects", "count"), ("inuse_space", "bytes")];
    tables.message.sample_type = types.map(|(name, unit)| tables.value_type(name, unit)).to_vec();
    tables.message.default_sample_type = match shows {
        Shows::InUse => tables.text("inuse_space"),
        Shows::Allocated => tables.text("alloc_space"),
    };
    tables.message.period_type = Some(tables.value_type("space", "bytes"));
    tables.message.period = signed(heap.interval_bytes);
    tables.message.time_nanos = profile.start_wall_ns.saturating_add(signed(heap.moment_ns));
    tables.message.duration_nanos = signed(heap.moment_ns);
    let filename = tables.text(&profile.header.program);
    let all = Mapping {
        id: 1,
        filename,
        has_functions: true,
        has_filenames: true,
        has_line_numbers: true,
        has_inline_frames: true,
    };
    tables.message.mapping = vec![all];
    tables.message.comment = vec![tables.text(&walk.basis())];
    for row in walk.rows() {
        // A call ends the run of what was inlined into it.
        let calls = row.frames.split_inclusive(|frame| !frame.inlined);
        let mut location_id: Vec<u64> = calls.map(|call| tables.location(call)).collect();
        location_id.extend(row.root.map(|root| tables.location(&[Frame::marker(root)])));
        let both = |tally: &Tally| [signed(tally.estimated_blocks()), signed(tally.estimated_bytes())];
        let value = [both(&row.total), both(&row.live)].concat();
        let label = tables.labels(walk, &row);
        tables.message.sample.push(Sample { location_id, value, label });
    }
    tables.message
}
