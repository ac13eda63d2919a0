//! What the resident set is for: the mappings by kind, and what the allocators say, read at about the same moment.
//!
//! Both readings are rare, because both are felt: `/proc/self/smaps` walks the page tables and holds off calls such as
//! `mmap` for as long as one mapping takes; allocators take their locks. So they are taken at the start, at the end, and
//! in between when something has changed, at most once a minute after the first one, and never for more than a
//! thousandth of the time. `viewer/docs/rss.md` has what they cost.

use std::fs::File;
use std::io::Read;

use plimsoll_format::{LargeMapping, MappingKind, MappingPart, Mappings as MappingsRecord, Record};

use super::process::ProcessFile;
use super::smaps::{Mapping, Mappings, memory_devices};
use crate::allocator_stats::{self, Source};
use crate::{arena, clock, slot};

const SECOND_NS: u64 = 1_000_000_000;
/// Between the first two readings at least; doubled with each one, for programs that grow fast and are killed early.
const FIRST_SPACING_NS: u64 = SECOND_NS;
/// Between two readings at least, in the long run.
const SPACING_NS: u64 = 60 * SECOND_NS;
/// One is due when the resident set or the live heap has moved by this part of the resident set.
const MOVED: u64 = 10;
/// And after this time in any case.
const LONGEST_NS: u64 = 600 * SECOND_NS;
/// Readings take at most this part of the time.
const SHARE: u64 = 1_000;
/// The last reading is left out when it would take longer: a process that ends is waited for.
const LONGEST_LAST_NS: u64 = SECOND_NS / 4;

/// Bytes taken from the file at once. The kernel gives less than a page at a time anyway.
const BUFFER_BYTES: usize = 8 << 10;
/// A line that is longer is cut: paths can be.
const LONGEST_LINE: usize = 4 << 10;
/// Characters kept of a name.
const LONGEST_NAME: usize = 256;
/// Large mappings that are named.
const LARGEST: usize = 8;
/// Smaller ones are not.
const LARGE: u64 = 1 << 20;

/// When the last reading was and what it found.
struct Last {
    at_ns: u64,
    took_ns: u64,
    rss_bytes: u64,
    live_bytes: u64,
}

/// Takes the readings of one session.
pub(crate) struct Footprint {
    program: Option<Source>,
    process: ProcessFile,
    spacing_ns: u64,
    last: Option<Last>,
}

impl Footprint {
    /// For a program whose allocator gives these statistics.
    pub(crate) fn new(program: Option<Source>) -> Footprint {
        Footprint { program, process: ProcessFile::open(), spacing_ns: FIRST_SPACING_NS, last: None }
    }

    /// The readings, if they are due.
    pub(crate) fn read_if_due(&mut self) -> Vec<Record> {
        let Some(last) = &self.last else { return self.read() };
        let since = clock::monotonic_ns().saturating_sub(last.at_ns);
        if since < self.spacing_ns.max(last.took_ns.saturating_mul(SHARE)) {
            return Vec::new();
        }
        let moved = last.rss_bytes.abs_diff(self.process.read().rss_bytes).max(last.live_bytes.abs_diff(live_bytes()));
        if since < LONGEST_NS && moved <= last.rss_bytes / MOVED {
            return Vec::new();
        }
        self.spacing_ns = (self.spacing_ns * 2).min(SPACING_NS);
        self.read()
    }

    /// The last readings, unless they would take long.
    pub(crate) fn read_at_end(&mut self) -> Vec<Record> {
        let rss_bytes = self.process.read().rss_bytes;
        let expected = self.last.as_ref().map_or(0, |last| {
            let growth = rss_bytes.max(1) as f64 / last.rss_bytes.max(1) as f64;
            (last.took_ns as f64 * growth.max(1.0)) as u64
        });
        if expected > LONGEST_LAST_NS { Vec::new() } else { self.read() }
    }

    fn read(&mut self) -> Vec<Record> {
        let (start, first) = (clock::monotonic_ns(), slot::sums());
        let mut records: Vec<Record> =
            allocator_stats::readings(self.program).into_iter().map(Record::Allocator).collect();
        let (ticks, mappings_start) = (clock::now(), clock::monotonic_ns());
        let rss_before_bytes = self.process.read().rss_bytes;
        let sums = read_smaps();
        let rss_after_bytes = self.process.read().rss_bytes;
        let (end, second) = (clock::monotonic_ns(), slot::sums());
        if let Some(Sums { parts, largest, .. }) = sums {
            let read_ns = end.saturating_sub(mappings_start);
            records.push(Record::Mappings(MappingsRecord {
                ticks,
                read_ns,
                rss_before_bytes,
                rss_after_bytes,
                program: first.program,
                program_upper: second.program,
                agent: first.agent,
                threads: self.process.threads(),
                parts,
                largest,
            }));
        }
        let (took_ns, live_bytes) = (end.saturating_sub(start), second.program.live_bytes().max(0) as u64);
        self.last = Some(Last { at_ns: end, took_ns, rss_bytes: rss_after_bytes, live_bytes });
        records
    }
}

fn live_bytes() -> u64 {
    slot::sums().program.live_bytes().max(0) as u64
}

/// What was found so far.
#[derive(Default)]
struct Sums {
    parts: Vec<MappingPart>,
    largest: Vec<LargeMapping>,
    /// The agent's own mappings.
    agent: Vec<(u64, u64, u64)>,
}

impl Sums {
    fn part(&mut self, kind: MappingKind) -> Option<&mut MappingPart> {
        if !self.parts.iter().any(|part| part.kind == kind) {
            let nothing =
                MappingPart { kind, mappings: 0, size_bytes: 0, rss_bytes: 0, anonymous_bytes: 0, swap_bytes: 0 };
            self.parts.push(nothing);
        }
        self.parts.iter_mut().find(|part| part.kind == kind)
    }

    fn add(&mut self, mapping: &Mapping, kind: MappingKind) {
        let mapping = &self.without_agent(mapping.clone());
        if let Some(part) = self.part(kind) {
            part.mappings = part.mappings.saturating_add(1);
            part.size_bytes = part.size_bytes.saturating_add(mapping.usable_bytes());
            part.rss_bytes = part.rss_bytes.saturating_add(mapping.rss_bytes);
            part.anonymous_bytes = part.anonymous_bytes.saturating_add(mapping.anonymous_bytes);
            part.swap_bytes = part.swap_bytes.saturating_add(mapping.swap_bytes);
        }
        let is_named = matches!(kind, MappingKind::File | MappingKind::Shared | MappingKind::Named);
        if is_named || kind == MappingKind::Anonymous {
            self.note_large(mapping, kind);
        }
    }

    /// Keeps the largest ones. The parts of one file are together when each of them is large; small ones are left out.
    fn note_large(&mut self, mapping: &Mapping, kind: MappingKind) {
        if mapping.rss_bytes < LARGE {
            return;
        }
        let (size_bytes, rss_bytes) = (mapping.usable_bytes(), mapping.rss_bytes);
        let name: String = mapping.name.chars().take(LONGEST_NAME).collect();
        let same = self.largest.iter_mut().find(|large| !name.is_empty() && large.name == name && large.kind == kind);
        match same {
            Some(large) => {
                large.size_bytes = large.size_bytes.saturating_add(size_bytes);
                large.rss_bytes = large.rss_bytes.saturating_add(rss_bytes);
            }
            None => self.largest.push(LargeMapping { kind, name, size_bytes, rss_bytes }),
        }
        self.largest.sort_by_key(|large| std::cmp::Reverse(large.rss_bytes));
        self.largest.truncate(LARGEST);
    }

    /// Takes the agent's tables out of a mapping. They are known by address, since they have often grown together with
    /// what lies beside them; so none of them is in two mappings.
    fn without_agent(&mut self, mut mapping: Mapping) -> Mapping {
        let inside = |(start, _, _): &&(u64, u64, u64)| (mapping.start..mapping.end).contains(start);
        let (size, rss) =
            self.agent.iter().filter(inside).fold((0, 0), |sum, (_, len, rss)| (sum.0 + len, sum.1 + rss));
        if size == 0 {
            return mapping;
        }
        let rss = rss.min(mapping.rss_bytes);
        mapping.end = mapping.end.saturating_sub(size).max(mapping.start);
        mapping.rss_bytes -= rss;
        mapping.anonymous_bytes = mapping.anonymous_bytes.saturating_sub(rss);
        if let Some(agent) = self.part(MappingKind::Agent) {
            agent.mappings = agent.mappings.saturating_add(1);
            agent.size_bytes = agent.size_bytes.saturating_add(size);
            agent.rss_bytes = agent.rss_bytes.saturating_add(rss);
            agent.anonymous_bytes = agent.rss_bytes;
        }
        mapping
    }
}

/// Everything in `/proc/self/smaps`; `None` where there is none.
fn read_smaps() -> Option<Sums> {
    let devices = memory_devices(&std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default());
    let mut file = File::open("/proc/self/smaps").ok()?;
    let (mut sums, mut mappings) = (Sums { agent: arena::mapped(), ..Sums::default() }, Mappings::new(&devices));
    let mut add = |mapping: &Mapping, kind| sums.add(mapping, kind);
    let (mut buffer, mut line) = (vec![0u8; BUFFER_BYTES], Vec::with_capacity(LONGEST_LINE));
    loop {
        let read = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(_) => return None,
        };
        let mut rest = buffer.get(..read).unwrap_or_default();
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            extend(&mut line, rest.get(..end).unwrap_or_default());
            mappings.line(&String::from_utf8_lossy(&line), &mut add);
            line.clear();
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        extend(&mut line, rest);
    }
    mappings.end(&mut add);
    (!sums.parts.is_empty()).then_some(sums)
}

/// Adds to a line what there is room for.
fn extend(line: &mut Vec<u8>, bytes: &[u8]) {
    let room = LONGEST_LINE - line.len().min(LONGEST_LINE);
    line.extend_from_slice(bytes.get(..bytes.len().min(room)).unwrap_or_default());
}
