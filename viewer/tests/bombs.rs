//! Small files that ask for much: each ends within two seconds and 512 MiB, whatever it claims.
//!
//! The limits are the kernel's: the real `plimsoll` runs under RLIMIT_AS and RLIMIT_CPU, set by a shell.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use plimsoll_format::*;
use support::{CaptureBuilder, START, alloc, counters, free};

/// Address space of a run: the figure that is promised.
const MAX_KIB: u64 = 512 << 10;
/// Processor time of a run in a release build, seconds.
const MAX_SECONDS: u64 = 2;
/// Times slower that a build without optimisation may be: the limits of time are those of the release build.
const SLOWER: u64 = if cfg!(debug_assertions) { 6 } else { 1 };

/// What one file may have.
const FILE_BYTES: usize = 1 << 20;
/// Commands that read a capture and write nothing.
const COMMANDS: [&str; 4] = ["report", "leaks --json", "histogram --by lifetime", "rss"];

/// A small random generator (SplitMix64), so that every run sees the same bytes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Runs a command on a file under the limits; complains when they were not enough.
fn run(name: &str, path: &Path, command: &str) -> Option<String> {
    let begin = Instant::now();
    let limits = format!("ulimit -v {MAX_KIB} && ulimit -t {} && exec \"$@\"", MAX_SECONDS * SLOWER);
    let output = Command::new("sh")
        .args(["-c", &limits, "sh", env!("CARGO_BIN_EXE_plimsoll")])
        .args(command.split(' '))
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .expect("a shell runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    println!("{name:<28} {command:<24} {:>6.2} s  {:?}", begin.elapsed().as_secs_f64(), output.status.code());
    let is_fine = matches!(output.status.code(), Some(0 | 2));
    (!is_fine).then(|| {
        format!("{name}: {command} ended with {}: {}", output.status, stderr.lines().next().unwrap_or_default())
    })
}

/// A file full of blocks that grow to 64 times their bytes, the most that readers accept. `payload` gives what is in them
/// but for the noise that keeps them from shrinking further; the first block is as `begin` has it.
fn tight(mut begin: CaptureBuilder, mut payload: impl FnMut(u64) -> Vec<u8>) -> Vec<u8> {
    let mut file = begin.bytes();
    let mut random = Random(7);
    for sequence in begin.next_sequence().. {
        let mut raw = payload(sequence);
        assert!(raw.len() <= MAX_BLOCK_BYTES - (68 << 10), "{} bytes leave no room for noise", raw.len());
        let noise = (raw.len() / MAX_EXPANSION + 1_200).saturating_sub(compressed(&raw).len());
        let mut record = vec![252];
        record.extend((noise as u32 + 1).to_le_bytes());
        record.push(99);
        record.extend((0..noise).map(|_| random.next() as u8));
        raw.extend(record);
        let block = block(&raw, sequence);
        if file.len() + block.len() > FILE_BYTES {
            return file;
        }
        file.extend(block);
    }
    unreachable!("files are finite")
}

fn compressed(raw: &[u8]) -> Vec<u8> {
    let mut payload = vec![0; zstd_safe::compress_bound(raw.len())];
    let stored = zstd_safe::compress(&mut payload[..], raw, 6).expect("there is room");
    payload.truncate(stored);
    payload
}

fn block(raw: &[u8], sequence: u64) -> Vec<u8> {
    let payload = compressed(raw);
    assert!(payload.len() * MAX_EXPANSION >= raw.len(), "{} bytes of {}", payload.len(), raw.len());
    let mut header = vec![1, 0, 0, 0];
    header.extend((payload.len() as u32).to_le_bytes());
    header.extend((raw.len() as u32).to_le_bytes());
    header.extend(support::SESSION.to_le_bytes());
    header.extend(sequence.to_le_bytes());
    header.extend([0; 4]);
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&header);
    hasher.update(&payload);
    [&BLOCK_MAGIC[..], &header, &hasher.finalize().to_le_bytes(), &payload].concat()
}

/// The payload of a block with these records, as many as fit below `ROOM`.
fn payload(records: impl Iterator<Item = Record>) -> Vec<u8> {
    let mut writer = BlockWriter::new(support::SESSION);
    for record in records {
        assert!(writer.push(&record), "it fits");
        if writer.pending_bytes() > ROOM {
            break;
        }
    }
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    bytes.split_off(BLOCK_HEADER_BYTES)
}

const ROOM: usize = MAX_BLOCK_BYTES - (160 << 10);

/// Events in records of a few thousand.
fn events(events: impl Iterator<Item = Event>) -> Vec<u8> {
    let mut events = events.peekable();
    payload(std::iter::from_fn(|| {
        events.peek()?;
        Some(Record::Events(support::pack(&events.by_ref().take(4_096).collect::<Vec<_>>())))
    }))
}

/// A capture that has seen an event, so that there is something to show.
fn started() -> CaptureBuilder {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(START + 1, 64, 8, 1)]);
    builder
}

type Bomb = (&'static str, fn() -> Vec<u8>);

/// Lengths and counts that lie, and what takes no room.
const LIES: [Bomb; 5] = [
    ("headers that claim 4 MiB", || {
        let mut file = started().bytes();
        let mut header = file[16..56].to_vec();
        header[8..12].copy_from_slice(&(MAX_BLOCK_BYTES as u32).to_le_bytes());
        header[12..16].copy_from_slice(&(MAX_BLOCK_BYTES as u32).to_le_bytes());
        file.extend(header.repeat((FILE_BYTES - file.len()) / header.len()));
        file
    }),
    ("empty blocks", || {
        let mut file = started().bytes();
        let empty: Vec<u8> = (1..20_000).flat_map(|sequence| block(&[], sequence * 2)).collect();
        file.extend(empty);
        file
    }),
    ("empty records", || tight(started(), |_| vec![0; ROOM])),
    ("records of unknown kinds", || tight(started(), |_| [1, 99].repeat(ROOM / 2))),
    // StackNodes with a count of 2^20 and no more.
    ("lists that claim 2^20 items", || tight(started(), |_| [6, 5, 252, 0, 0, 16, 0].repeat(ROOM / 7))),
];

/// Definitions without end.
const DEFINITIONS: [Bomb; 9] = [
    ("stack nodes", || {
        let mut id = 1;
        tight(started(), move |_| {
            payload(std::iter::repeat_with(|| {
                let nodes = (0..4_096).map(|_| {
                    id += 1;
                    StackNode { id, parent: 0, address: u64::from(id) }
                });
                Record::StackNodes(nodes.collect())
            }))
        })
    }),
    ("threads", || {
        let mut id = 0;
        tight(started(), move |_| {
            payload(std::iter::repeat_with(|| {
                id += 1;
                Record::Thread(Thread { id, os_id: 1, ticks: 1, name: String::new() })
            }))
        })
    }),
    ("tags with long names", || {
        let mut id = 0;
        tight(started(), move |_| {
            payload(std::iter::repeat_with(|| {
                id += 1;
                Record::Tag { id, name: "x".repeat(60_000) }
            }))
        })
    }),
    ("modules", || {
        let mut id = 0;
        tight(started(), move |_| {
            payload(std::iter::repeat_with(|| {
                id += 1;
                Record::Module(Module {
                    id: u32::MAX - id,
                    ticks: 1,
                    bias: 0,
                    start: 0,
                    end: u64::MAX,
                    path: String::new(),
                    build_id: Vec::new(),
                })
            }))
        })
    }),
    ("modules and addresses", || {
        let mut builder = started();
        for id in 1..=16_000 {
            let (path, build_id) = (String::new(), Vec::new());
            builder.record(Record::Module(Module { id, ticks: 1, bias: 0, start: 0, end: u64::MAX, path, build_id }));
        }
        builder.stacks(50_000);
        builder.events(&(0..50_000).map(|at| alloc(START + at, at * 64, 8, at as u32 + 1)).collect::<Vec<_>>());
        builder.bytes()
    }),
    ("markers", || tight(started(), |_| payload(std::iter::repeat(Record::Marker { ticks: 5, name: "m".into() })))),
    ("losses and phases", || {
        let loss = Loss {
            from_ticks: 0,
            to_ticks: u64::MAX,
            cause: LossCause::WriteFailed(5),
            allocations: u64::MAX,
            bytes: u64::MAX,
            frees: u64::MAX,
            freed_bytes: u64::MAX,
        };
        let mut code = 0;
        tight(started(), move |_| {
            payload(std::iter::repeat_with(|| {
                code += 1;
                match code % 3 {
                    0 => Record::Phase { ticks: code as u64, phase: Phase::Paused },
                    _ => Record::Loss(Loss { cause: LossCause::WriteFailed(code), ..loss }),
                }
            }))
        })
    }),
    ("packed symbols", || {
        let mut address = 0;
        tight(started(), move |_| {
            payload(std::iter::repeat_with(|| {
                let addresses = (0..512).map(|_| {
                    address += 1;
                    let frame = SymbolizedFrame { function: 0, file: 0, line: 1 };
                    SymbolizedAddress { address, frames: vec![frame; 8] }
                });
                Record::Symbols(Symbols {
                    module: 1,
                    strings: vec![String::new(); 512],
                    addresses: addresses.collect(),
                })
            }))
        })
    }),
    ("footprints and counters", || {
        tight(started(), |_| {
            let mapping = LargeMapping { kind: MappingKind::File, name: String::new(), size_bytes: 1, rss_bytes: 1 };
            let part = MappingPart {
                kind: MappingKind::Heap,
                mappings: 1,
                size_bytes: 1,
                rss_bytes: 1,
                anonymous_bytes: 1,
                swap_bytes: 1,
            };
            let mappings = Record::Mappings(Mappings {
                ticks: 5,
                read_ns: 1,
                rss_before_bytes: 1,
                rss_after_bytes: 1,
                program: Totals::default(),
                program_upper: Totals::default(),
                agent: Totals::default(),
                threads: 1,
                parts: vec![part; 2_000],
                largest: vec![mapping; 2_000],
            });
            let counters = Record::Counters(counters(7, Totals::default(), 0));
            payload([mappings, counters].into_iter().cycle())
        })
    }),
];

/// Events without end.
const EVENTS: [Bomb; 9] = [
    ("live blocks", || {
        let mut at = 0;
        tight(started(), move |_| {
            events(std::iter::repeat_with(|| {
                at += 1;
                alloc(START + at, at * 16, 8, 1)
            }))
        })
    }),
    ("live blocks side by side", || {
        let mut at = 0;
        tight(started(), move |_| {
            events(std::iter::repeat_with(|| {
                at += 1;
                alloc(START + at, at, 8, 1)
            }))
        })
    }),
    ("sites", || {
        let mut at = 0;
        tight(started(), move |_| {
            events(std::iter::repeat_with(|| {
                at += 1;
                Event { tag: at as u32, ..alloc(START + at, at * 16, 8, 1) }
            }))
        })
    }),
    ("deep stacks, many of them", || {
        let mut builder = CaptureBuilder::exact();
        let chain = (1..=5_000).map(|id| StackNode { id, parent: id - 1, address: u64::from(id) * 8 });
        let leaves = (5_001..=60_000).map(|id| StackNode { id, parent: 5_000, address: u64::from(id) * 8 });
        builder.record(Record::StackNodes(chain.chain(leaves).collect()));
        let events = (5_001..=60_000).map(|stack| alloc(START + stack, stack * 64, 8, stack as u32));
        builder.events(&events.collect::<Vec<_>>());
        builder.bytes()
    }),
    ("stacks in rings", || {
        let mut builder = CaptureBuilder::exact();
        let next = |id: u32| if id.is_multiple_of(1_000) { id - 999 } else { id + 1 };
        let ring = (1..=60_000).map(|id| StackNode { id, parent: next(id), address: u64::from(id) * 8 });
        builder.record(Record::StackNodes(ring.collect()));
        builder.events(&(1..=60_000).map(|at| alloc(START + at, at * 64, 8, at as u32)).collect::<Vec<_>>());
        builder.bytes()
    }),
    ("one address again and again", || {
        let mut at = 0;
        tight(started(), move |_| {
            events(std::iter::repeat_with(|| {
                at += 1;
                alloc(START + at, 4_096, u64::MAX, 1)
            }))
        })
    }),
    ("frees of nothing", || {
        let mut at = 0;
        tight(started(), move |_| {
            events(std::iter::repeat_with(|| {
                at += 1;
                free(START + at, at * 16)
            }))
        })
    }),
    ("time to and fro", || {
        let mut at = 0u64;
        tight(started(), move |_| {
            events(std::iter::repeat_with(|| {
                at += 1;
                let ticks = [0, u64::MAX, at, u64::MAX - at][at as usize % 4];
                let event = if at.is_multiple_of(3) { free(ticks, at % 64) } else { alloc(ticks, at % 64, at, 1) };
                Event { thread: at as u32 % 5, ..event }
            }))
        })
    }),
    ("threads, each with an event", || {
        let mut at = 0;
        tight(started(), move |_| {
            events(std::iter::repeat_with(|| {
                at += 1;
                Event { thread: at as u32, ..alloc(START + at, at % 64, 8, 1) }
            }))
        })
    }),
];

fn set_off(bombs: &[Bomb]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut complaints = Vec::new();
    for (name, make) in bombs {
        let file = make();
        assert!(file.len() <= FILE_BYTES, "{name} has {} bytes", file.len());
        let path = folder.path().join("bomb");
        std::fs::write(&path, file).expect("a test can write its capture");
        complaints.extend(COMMANDS.iter().filter_map(|command| run(name, &path, command)));
    }
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn lies_end_soon_and_small() {
    set_off(&LIES);
}

#[test]
fn definitions_without_end_do() {
    set_off(&DEFINITIONS);
}

#[test]
fn events_without_end_do() {
    set_off(&EVENTS);
}
