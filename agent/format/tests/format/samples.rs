//! Small captures with every kind of record, made by the crate's writer. The golden files are these.

use plimsoll_format::*;

/// Session of all sample captures.
pub(crate) const SESSION: u64 = 0x5e55_1011;

/// One block: its records, and whether it opens a keyframe.
pub(crate) struct Sample {
    pub(crate) keyframe: bool,
    pub(crate) records: Vec<Record>,
}

/// A capture as the writer makes it.
pub(crate) struct Capture {
    pub(crate) name: &'static str,
    pub(crate) first_sequence: u64,
    /// Blocks are compressed where that makes them smaller.
    pub(crate) compressed: bool,
    pub(crate) blocks: Vec<Sample>,
}

impl Capture {
    /// The file.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut file = file_header().to_vec();
        self.block_bytes().iter().for_each(|bytes| file.extend_from_slice(bytes));
        file
    }

    /// The bytes of each block.
    pub(crate) fn block_bytes(&self) -> Vec<Vec<u8>> {
        let mut writer = BlockWriter::new(SESSION);
        writer.set_next_sequence(self.first_sequence);
        assert!(!self.compressed || writer.compress_with_zstd());
        let write = |sample: &Sample| {
            if sample.keyframe {
                writer.mark_keyframe();
            }
            sample.records.iter().for_each(|record| assert!(writer.push(record)));
            let mut bytes = Vec::new();
            writer.finish(&mut bytes);
            bytes
        };
        self.blocks.iter().map(write).collect()
    }
}

/// Every sample capture that this build can write.
pub(crate) fn all() -> Vec<Capture> {
    let mut all = vec![sampled(), exact(), segment(), spanned(), memory()];
    all.extend(cfg!(feature = "zstd").then(compressed));
    all
}

/// The events of a thread packed as the agent packs them, and what the next run starts from.
pub(crate) fn pack(state: PackState, events: &[Event]) -> (Events, PackState) {
    let mut after = state;
    let mut packed = Vec::new();
    for event in events {
        let mut room = [0; MAX_EVENT_BYTES];
        let used = after.pack(event, &mut room).expect("there is room for one event");
        packed.extend_from_slice(&room[..used]);
    }
    (Events { packing: 1, state, count: events.len() as u32, packed }, after)
}

/// An allocation.
pub(crate) fn alloc(ticks: u64, address: u64, size_bytes: u64, stack: u32) -> Event {
    Event { kind: EventKind::Alloc, ticks, address, size_bytes, stack, thread: 1, tag: 0, interval_bytes: 1 }
}

/// A free.
pub(crate) fn free(ticks: u64, address: u64) -> Event {
    Event { kind: EventKind::Free, size_bytes: 0, stack: 0, ..alloc(ticks, address, 0, 0) }
}

/// A sampled run: keyframe, samples, ticks and counters, a thinning, an orderly end.
fn sampled() -> Capture {
    let sample = |ticks, address, size, stack| Event { interval_bytes: 4096, ..alloc(ticks, address, size, stack) };
    let freed = |ticks, address| Event { interval_bytes: 4096, ..free(ticks, address) };
    let events = [
        sample(1_010, 0x7f00_0000_1000, 512, 2),
        sample(1_020, 0x7f00_0000_2000, 100_000, 3),
        freed(1_030, 0x7f00_0000_1000),
        Event { tag: 1, ..sample(1_040, 0x7f00_0000_3000, 64, 2) },
    ];
    let (events, _) = pack(PackState::default(), &events);
    let thinning = Thinning {
        ticks: 1_060,
        from_interval_bytes: 4096,
        to_interval_bytes: 8192,
        kept: vec![0x7f00_0000_2000],
        dropped: vec![0x7f00_0000_3000],
    };
    let blocks = vec![
        Sample { keyframe: true, records: keyframe(Mode::Sampled, 4096, 0) },
        Sample {
            keyframe: false,
            records: vec![
                Record::Tag { id: 1, name: "request".into() },
                Record::Events(events),
                Record::Watermark { ticks: 1_045 },
                Record::Tick(tick(1_050)),
                Record::Counters(counters(1_050)),
                Record::Thinning(thinning),
            ],
        },
        Sample {
            keyframe: false,
            records: vec![
                Record::ThreadTotals { thread: 1, ticks: 1_070, totals: totals(900) },
                Record::ThreadEnd { thread: 1, ticks: 1_071 },
                end(EndReason::Finished),
            ],
        },
    ];
    Capture { name: "v1-sampled.plim", first_sequence: 0, compressed: false, blocks }
}

/// An exact run: two threads in one chunk that was split while it filled, reallocations, a pause, a loss, a library
/// that goes, a detached end, and symbols packed in.
fn exact() -> Capture {
    let realloc = |kind, event: Event| Event { kind, ..event };
    let first = [
        alloc(1_010, 0x5500_0000_1010, 24, 2),
        realloc(EventKind::ReallocFree, free(1_011, 0x5500_0000_1010)),
        realloc(EventKind::ReallocAlloc, alloc(1_012, 0x5500_0000_1010, 48, 3)),
        Event { thread: 2, ..alloc(1_013, 0x5500_0000_2001, 1, 2) },
    ];
    let second = [
        Event { thread: 2, ..realloc(EventKind::ReallocFree, free(1_020, 0x5500_0000_2001)) },
        Event { thread: 2, ..realloc(EventKind::ReallocUndo, free(1_021, 0x5500_0000_2001)) },
        free(1_022, 0x5500_0000_1010),
    ];
    let (first, state) = pack(PackState::default(), &first);
    let (second, _) = pack(state, &second);
    let blocks = vec![
        Sample { keyframe: true, records: keyframe(Mode::Exact, 1, 0) },
        Sample {
            keyframe: false,
            records: vec![
                Record::Events(first),
                Record::Marker { ticks: 1_015, name: "deploy".into() },
                Record::Events(second),
            ],
        },
        Sample {
            keyframe: false,
            records: vec![
                Record::Phase { ticks: 1_030, phase: Phase::Paused },
                Record::Phase { ticks: 1_040, phase: Phase::Recording },
                Record::ModuleUnloaded { id: 1, ticks: 1_041 },
                loss(LossCause::WriterBehind),
                loss(LossCause::WriteFailed(28)),
                loss(LossCause::StackTableFull),
                loss(LossCause::LiveTableFull),
                loss(LossCause::Reentered),
                end(EndReason::Detached("a system call failed".into())),
            ],
        },
        Sample { keyframe: false, records: vec![symbols()] },
    ];
    Capture { name: "v1-exact.plim", first_sequence: 0, compressed: false, blocks }
}

/// A later segment of a bounded capture, read alone.
fn segment() -> Capture {
    let mut records = keyframe(Mode::Sampled, 8192, 7);
    let live = LiveBlock {
        address: 0x7f00_0000_2000,
        size_bytes: 100_000,
        ticks: 1_020,
        stack: 3,
        thread: 1,
        tag: 1,
        interval_bytes: 8192,
    };
    records.extend([Record::Counters(counters(9_000)), Record::LiveBlocks(vec![live])]);
    let blocks =
        vec![Sample { keyframe: true, records }, Sample { keyframe: false, records: vec![end(EndReason::Exit)] }];
    Capture { name: "v1-segment.plim", first_sequence: 4_000, compressed: false, blocks }
}

/// Two blocks of events that a reader can pass over, each behind its span.
pub(crate) fn spanned() -> Capture {
    let events = |ticks: u64| {
        let events = [alloc(ticks, 0x5500_0000_1000, 64, 2), free(ticks + 50, 0x5500_0000_1000)];
        Sample { keyframe: false, records: vec![Record::Events(pack(PackState::default(), &events).0)] }
    };
    let span = |sequence, payload_bytes, first_ticks, last_ticks| {
        let span = Span { sequence, payload_bytes, first_ticks, last_ticks };
        Sample { keyframe: false, records: vec![Record::Span(span)] }
    };
    let blocks = vec![
        Sample { keyframe: true, records: keyframe(Mode::Exact, 1, 0) },
        span(2, payload_bytes(&events(1_010)), 1_010, 1_060),
        events(1_010),
        span(4, payload_bytes(&events(70_000)), 70_000, 70_050),
        events(70_000),
        Sample { keyframe: false, records: vec![Record::Watermark { ticks: 80_000 }, end(EndReason::Finished)] },
    ];
    Capture { name: "v1-spans.plim", first_sequence: 0, compressed: false, blocks }
}

fn payload_bytes(sample: &Sample) -> u32 {
    let mut writer = BlockWriter::new(SESSION);
    sample.records.iter().for_each(|record| assert!(writer.push(record)));
    writer.pending_bytes() as u32
}

/// What allocators and mappings hold, of a process with jemalloc beside glibc.
fn memory() -> Capture {
    let of_glibc = AllocatorReading {
        ticks: 1_050,
        read_ns: 12_000,
        allocator: "glibc".into(),
        serves: Serves::Others,
        allocated_bytes: Some(3 << 20),
        large_bytes: Some(1 << 20),
        free_bytes: Some(65_536),
        free_pieces: Some(9),
        top_bytes: Some(4_096),
        mapped_bytes: Some((3 << 20) + 65_536),
        resident_bytes: None,
        active_bytes: None,
        metadata_bytes: None,
    };
    let of_jemalloc = AllocatorReading {
        allocator: "jemalloc".into(),
        serves: Serves::Program,
        large_bytes: None,
        free_bytes: None,
        free_pieces: None,
        top_bytes: None,
        resident_bytes: Some(40 << 20),
        active_bytes: Some(30 << 20),
        metadata_bytes: Some(2 << 20),
        ..of_glibc.clone()
    };
    let unknown = AllocatorReading { serves: Serves::Unknown, ..of_glibc.clone() };
    use MappingKind::{Agent, Anonymous, Arena, File, Heap, Kernel, Named, Shared, Stack};
    let kinds = [Heap, Arena, Stack, File, Shared, Anonymous, Named, Agent, Kernel];
    let part = |(number, kind): (u64, MappingKind)| MappingPart {
        kind,
        mappings: number as u32 + 1,
        size_bytes: (number + 1) << 20,
        rss_bytes: number << 20,
        anonymous_bytes: number << 19,
        swap_bytes: number * 4_096,
    };
    let mappings = Mappings {
        ticks: 1_060,
        read_ns: 900_000,
        rss_before_bytes: 35 << 20,
        rss_after_bytes: 36 << 20,
        program: totals(1_000),
        program_upper: totals(1_010),
        agent: totals(7),
        threads: 4,
        parts: (0..).zip(kinds).map(part).collect(),
        largest: vec![LargeMapping {
            kind: File,
            name: "/usr/bin/service".into(),
            size_bytes: 4 << 20,
            rss_bytes: 3 << 20,
        }],
    };
    let readings = [of_glibc, of_jemalloc, unknown].map(Record::Allocator);
    let blocks = vec![
        Sample { keyframe: true, records: keyframe(Mode::Sampled, 4096, 0) },
        Sample { keyframe: false, records: readings.into_iter().chain([Record::Mappings(mappings)]).collect() },
    ];
    Capture { name: "v1-memory.plim", first_sequence: 0, compressed: false, blocks }
}

/// An exact run with compressed blocks; the last one is too short to shrink.
pub(crate) fn compressed() -> Capture {
    let pairs = (0..100u64).flat_map(|pair| {
        let (ticks, address) = (1_010 + 300 * pair + pair % 7, 0x5500_0000_1000 + 64 * (pair % 5));
        let tag = u32::from(pair > 50);
        [Event { tag, ..alloc(ticks, address, 24 + pair % 3, 2) }, Event { tag, ..free(ticks + 120, address) }]
    });
    let (events, _) = pack(PackState::default(), &pairs.collect::<Vec<_>>());
    let blocks = vec![
        Sample { keyframe: true, records: keyframe(Mode::Exact, 1, 0) },
        Sample { keyframe: false, records: vec![Record::Events(events), Record::Watermark { ticks: 40_000 }] },
        Sample { keyframe: false, records: vec![end(EndReason::Finished)] },
    ];
    Capture { name: "v1-zstd.plim", first_sequence: 0, compressed: true, blocks }
}

fn keyframe(mode: Mode, interval_bytes: u64, segment: u32) -> Vec<Record> {
    let start = Anchor { ticks: 1_000, monotonic_ns: 5_000_000, wall_ns: 1_790_000_000_000_000_000 };
    let header = Header {
        session: SESSION,
        segment,
        mode,
        interval_bytes,
        pointer_bits: 64,
        clock: Clock::Tsc,
        start,
        hook: Hook::Allocator,
        pid: 4711,
        program: "service".into(),
        arch: "x86_64".into(),
        os: "linux".into(),
        agent_version: "0.1.0".into(),
        unwinder: "framehop (automatic: 100 % of stacks complete)".into(),
        tick_ns: 1_000_000_000,
        max_bytes: 1 << 30,
        before: totals(3),
        dropped_segments: segment.saturating_sub(2),
    };
    let module = Module {
        id: 1,
        ticks: 1_000,
        bias: 0x5555_5555_4000,
        start: 0x5555_5555_4000,
        end: 0x5555_5565_4000,
        path: "/usr/bin/service".into(),
        build_id: (1..=20).collect(),
    };
    let node = |id, parent, address| StackNode { id, parent, address };
    vec![
        Record::Header(header),
        Record::Anchor(start),
        Record::Module(module),
        Record::Thread(Thread { id: 1, os_id: 4711, ticks: 1_000, name: "main".into() }),
        Record::Thread(Thread { id: 2, os_id: 4712, ticks: 1_001, name: String::new() }),
        Record::StackNodes(vec![
            node(1, 0, 0x5555_5555_5010),
            node(2, 1, 0x5555_5555_5020),
            node(3, 1, StackNode::TRUNCATED),
            node(4, 0, StackNode::BROKEN),
        ]),
        Record::Anchor(Anchor { ticks: 2_000, monotonic_ns: 5_000_500, ..start }),
    ]
}

fn totals(allocations: u64) -> Totals {
    Totals {
        allocations,
        bytes: allocations * 100,
        frees: allocations / 2,
        freed_bytes: allocations * 40,
        reallocations: allocations / 10,
    }
}

fn tick(ticks: u64) -> Tick {
    let process = ProcessMemory {
        rss_bytes: 50 << 20,
        anon_bytes: 40 << 20,
        file_bytes: 9 << 20,
        shmem_bytes: 1 << 20,
        swap_bytes: 0,
        peak_rss_bytes: 60 << 20,
    };
    let cgroup = Cgroup { version: 2, limit_bytes: Some(1 << 30), usage_bytes: 70 << 20, inactive_file_bytes: 5 << 20 };
    let system =
        SystemMemory { total_bytes: 16 << 30, available_bytes: 8 << 30, swap_total_bytes: 0, swap_free_bytes: 0 };
    let agent = AgentCost { mapped_bytes: 2 << 20, heap_bytes: 4_096, cpu_ns: 1_500_000 };
    Tick { ticks, process, cgroup: Some(cgroup), system, process_cpu_ns: 250_000_000, agent }
}

fn counters(ticks: u64) -> Counters {
    Counters {
        ticks,
        program: totals(1_000),
        agent: totals(7),
        exact: false,
        threads: 2,
        peak: PeakInterval { low_bytes: 90_000, high_bytes: 90_000 + (1 << 20), ticks: 1_025 },
        classes: vec![SizeClass::default(), SizeClass { allocations: 5, frees: 4 }],
        unwind: UnwindQuality { walks: 100, complete: 97, truncated: 2 },
        stack_nodes: 4,
        live_samples: 2,
        waits: 1,
        waited_ns: 30_000,
        program_upper: totals(1_010),
    }
}

fn loss(cause: LossCause) -> Record {
    Record::Loss(Loss {
        from_ticks: 1_050,
        to_ticks: 1_060,
        cause,
        allocations: 10,
        bytes: 1_000,
        frees: 3,
        freed_bytes: 0,
    })
}

fn symbols() -> Record {
    let strings = ["service::main", "src/main.rs", "service::inlined"].map(String::from).to_vec();
    let frames = vec![
        SymbolizedFrame { function: 2, file: 1, line: 12 },
        SymbolizedFrame { function: 0, file: u32::MAX, line: 0 },
    ];
    Record::Symbols(Symbols {
        module: 1,
        strings,
        addresses: vec![SymbolizedAddress { address: 0x5555_5555_5010, frames }],
    })
}

fn end(reason: EndReason) -> Record {
    Record::End(End { ticks: 1_100, reason, lost_blocks: 0 })
}
