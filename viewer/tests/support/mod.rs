//! Builds small captures for tests: with the format's own writer, block by block.
// Each test binary uses a part of this.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use plimsoll_format::*;

/// Session of the captures made here.
pub(crate) const SESSION: u64 = 0x1111_2222_3333_4444;
/// Ticks at the session's start. Ticks are nanoseconds in these captures.
pub(crate) const START: u64 = 1_000;

/// A capture under way.
pub(crate) struct CaptureBuilder {
    writer: BlockWriter,
    file: Vec<u8>,
    pub(crate) header: Header,
}

impl CaptureBuilder {
    /// An exact capture, header written.
    pub(crate) fn exact() -> CaptureBuilder {
        CaptureBuilder::with_header(header(Mode::Exact, 1))
    }

    /// A sampled capture with this mean interval, header written.
    pub(crate) fn sampled(interval_bytes: u64) -> CaptureBuilder {
        CaptureBuilder::with_header(header(Mode::Sampled, interval_bytes))
    }

    /// A capture with this header, written as its first record.
    pub(crate) fn with_header(header: Header) -> CaptureBuilder {
        CaptureBuilder::continued(header, 0)
    }

    /// A later segment: block numbers go on from `sequence`.
    pub(crate) fn continued(header: Header, sequence: u64) -> CaptureBuilder {
        let mut writer = BlockWriter::new(header.session);
        writer.set_next_sequence(sequence);
        writer.mark_keyframe();
        let mut builder = CaptureBuilder { writer, file: file_header().to_vec(), header: header.clone() };
        builder.record(Record::Header(header));
        builder
    }

    /// Compresses the blocks from here on.
    pub(crate) fn compressed(&mut self) -> &mut CaptureBuilder {
        assert!(self.writer.compress_with_zstd());
        self
    }

    pub(crate) fn record(&mut self, record: Record) -> &mut CaptureBuilder {
        assert!(self.writer.push(&record), "the record fits a block");
        self
    }

    /// Stacks with one frame each: id 1, 2, … at addresses 0x1010, 0x1020, …
    pub(crate) fn stacks(&mut self, count: u32) -> &mut CaptureBuilder {
        let node = |id| StackNode { id, parent: 0, address: 0x1000 + u64::from(id) * 16 };
        self.record(Record::StackNodes((1..=count).map(node).collect()))
    }

    pub(crate) fn events(&mut self, events: &[Event]) -> &mut CaptureBuilder {
        self.record(Record::Events(pack(events)))
    }

    /// Events in a block of their own behind their span.
    pub(crate) fn spanned_events(&mut self, events: &[Event]) -> &mut CaptureBuilder {
        self.block();
        let record = Record::Events(pack(events));
        let mut alone = BlockWriter::new(self.header.session);
        assert!(alone.push(&record), "the record fits a block");
        let stamps = || events.iter().map(|event| event.ticks);
        let span = Span {
            sequence: self.writer.next_sequence() + 1,
            payload_bytes: alone.pending_bytes() as u32,
            first_ticks: stamps().min().unwrap_or(u64::MAX),
            last_ticks: stamps().max().unwrap_or(0),
        };
        self.record(Record::Span(span)).block().record(record).block()
    }

    pub(crate) fn watermark(&mut self, ticks: u64) -> &mut CaptureBuilder {
        self.record(Record::Watermark { ticks })
    }

    /// Ends the block under way.
    pub(crate) fn block(&mut self) -> &mut CaptureBuilder {
        self.writer.finish(&mut self.file);
        self
    }

    pub(crate) fn next_sequence(&self) -> u64 {
        self.writer.next_sequence()
    }

    /// Ends the capture in an orderly way.
    pub(crate) fn end(&mut self, ticks: u64) -> &mut CaptureBuilder {
        self.record(Record::End(End { ticks, reason: EndReason::Finished, lost_blocks: 0 }))
    }

    /// The file so far.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        self.block();
        self.file.clone()
    }

    /// Writes the file so far to `folder/name`.
    pub(crate) fn save(&mut self, folder: &Path, name: &str) -> PathBuf {
        let path = folder.join(name);
        std::fs::write(&path, self.bytes()).expect("a test can write its capture");
        path
    }
}

/// A header whose process is gone: no system gives out process id 0.
pub(crate) fn header(mode: Mode, interval_bytes: u64) -> Header {
    Header {
        session: SESSION,
        segment: 0,
        mode,
        interval_bytes,
        pointer_bits: 64,
        clock: Clock::Monotonic,
        start: Anchor { ticks: START, monotonic_ns: START, wall_ns: 1_790_000_000_000_000_000 },
        hook: Hook::Allocator,
        pid: 0,
        program: "service".into(),
        arch: "x86_64".into(),
        os: "linux".into(),
        agent_version: "0.1.0".into(),
        unwinder: "framehop".into(),
        tick_ns: 1_000_000_000,
        max_bytes: 0,
        before: Totals::default(),
        dropped_segments: 0,
    }
}

/// Packs events as the agent does.
pub(crate) fn pack(events: &[Event]) -> Events {
    let state = PackState::default();
    let (mut after, mut packed) = (state, Vec::new());
    for event in events {
        let mut room = [0; MAX_EVENT_BYTES];
        let used = after.pack(event, &mut room).expect("there is room for one event");
        packed.extend_from_slice(&room[..used]);
    }
    Events { packing: 1, state, count: events.len() as u32, packed }
}

/// An allocation on thread 1.
pub(crate) fn alloc(ticks: u64, address: u64, size_bytes: u64, stack: u32) -> Event {
    Event { kind: EventKind::Alloc, ticks, address, size_bytes, stack, thread: 1, tag: 0, interval_bytes: 1 }
}

/// A free on thread 1.
pub(crate) fn free(ticks: u64, address: u64) -> Event {
    Event { kind: EventKind::Free, size_bytes: 0, stack: 0, ..alloc(ticks, address, 0, 0) }
}

/// Another kind of event.
pub(crate) fn as_kind(kind: EventKind, event: Event) -> Event {
    Event { kind, ..event }
}

/// The same event on another thread.
pub(crate) fn on(thread: u32, event: Event) -> Event {
    Event { thread, ..event }
}

/// A reading of the counters in which nothing moved.
pub(crate) fn counters(ticks: u64, program: Totals, peak_bytes: u64) -> Counters {
    Counters {
        ticks,
        program,
        agent: Totals::default(),
        exact: true,
        threads: 1,
        peak: PeakInterval { low_bytes: peak_bytes, high_bytes: peak_bytes, ticks },
        classes: Vec::new(),
        unwind: UnwindQuality::default(),
        stack_nodes: 0,
        live_samples: 0,
        waits: 0,
        waited_ns: 0,
        program_upper: program,
    }
}
