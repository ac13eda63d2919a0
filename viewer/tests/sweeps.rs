//! Damage of every kind to real captures, through the whole viewer: read, replay, report. `docs/hostile.md` has the figures of
//! the long runs, and the commands.
#![forbid(unsafe_code)]

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Instant;

use plimsoll_format::{Item, Reader, Record, unpack};
use plimsoll_viewer::probe::{self, Recovered};

/// A real capture of 64 KiB.
fn small() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/axum-64k.plim");
    fs::read(path).expect("it is kept beside the tests")
}

/// A block of a whole capture.
struct Known {
    range: Range<usize>,
    events: u64,
    /// Stacks that it defines: events of other blocks lose their names with it.
    nodes: usize,
}

/// A whole capture, and what is known to be in it.
struct Whole {
    bytes: Vec<u8>,
    blocks: Vec<Known>,
    folder: tempfile::TempDir,
}

impl Whole {
    fn new(bytes: Vec<u8>) -> Whole {
        let mut reader = Reader::new();
        reader.feed(&bytes);
        reader.end();
        let mut blocks = Vec::new();
        while let Some(item) = reader.next_item() {
            let Item::Block(block) = item else { panic!("the capture is whole") };
            let (mut events, mut nodes) = (0, 0);
            for record in block.records() {
                match record.expect("the capture is whole") {
                    Record::Events(found) => events += unpack(found.state, &found.packed).count() as u64,
                    Record::StackNodes(found) => nodes += found.len(),
                    _ => {}
                }
            }
            let begin = block.offset as usize;
            let end = begin + plimsoll_format::BLOCK_HEADER_BYTES + block.header.payload_bytes as usize;
            blocks.push(Known { range: begin..end, events, nodes });
        }
        // In memory where the system has such a place: a sweep writes gigabytes.
        let shared = Path::new("/dev/shm");
        let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
        Whole { bytes, blocks, folder: folder.expect("a temporary folder") }
    }

    fn events(&self) -> u64 {
        self.blocks.iter().map(|block| block.events).sum()
    }

    /// Reads these bytes as a capture; `None` when they are refused.
    fn recover(&self, bytes: &[u8]) -> Option<Recovered> {
        let path: PathBuf = self.folder.path().join("capture");
        fs::write(&path, bytes).expect("a test can write its capture");
        probe::capture(&path).ok()
    }

    /// Cuts the capture: every block that is whole is counted, with its stacks.
    fn cut(&self, length: usize) {
        let whole = self.blocks.iter().filter(|block| block.range.end <= length);
        let expected: u64 = whole.map(|block| block.events).sum();
        let found = self.recover(&self.bytes[..length]).unwrap_or_default();
        assert_eq!(found.events, expected, "cut to {length} bytes");
        assert!(found.unknown_bytes * 100 <= found.bytes, "cut to {length} bytes: {found:?}");
        assert!(found.bytes == 0 || found.warnings > 0, "cut to {length} bytes, in silence");
    }

    /// Flips a bit: every block but the one that was hit is counted. True when stacks are lost with it.
    fn flip(&self, bit: usize) -> bool {
        let mut bytes = self.bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let hit = self.blocks.iter().find(|block| block.range.contains(&(bit / 8)));
        let found = self.recover(&bytes).unwrap_or_else(|| panic!("bit {bit}: refused"));
        assert_eq!(found.events, self.events() - hit.map_or(0, |block| block.events), "bit {bit}: {found:?}");
        let is_unknown = found.unknown_bytes * 100 > found.bytes;
        assert!(!is_unknown || hit.is_some_and(|block| block.nodes > 0), "bit {bit}: {found:?}");
        assert!(hit.is_none() || found.warnings > 0, "bit {bit}, in silence");
        is_unknown
    }

    /// Lengths within 32 bytes of where a block begins or ends.
    fn boundaries(&self) -> Vec<usize> {
        let ends = self.blocks.iter().flat_map(|block| [block.range.start, block.range.end]);
        let mut lengths: Vec<usize> =
            ends.flat_map(|end| end.saturating_sub(32)..=(end + 32).min(self.bytes.len())).collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }
}

#[test]
fn whole_blocks_of_a_cut_capture_are_counted() {
    let whole = Whole::new(small());
    assert_eq!(whole.recover(&whole.bytes).expect("it is whole").events, whole.events());
    (0..=whole.bytes.len()).step_by(4_099).for_each(|length| whole.cut(length));
    whole.blocks.iter().flat_map(|block| [block.range.end - 1, block.range.end]).for_each(|length| whole.cut(length));
}

#[test]
fn flipped_bits_cost_their_block() {
    let whole = Whole::new(small());
    let header = (0..16 * 8).step_by(13);
    let bits = header.chain((0..whole.bytes.len() * 8).step_by(16_411));
    // The first block has the only header record of so short a capture.
    bits.chain([50 * 8]).for_each(|bit| {
        whole.flip(bit);
    });
}

/// Everything: `cargo test --release -p plimsoll-viewer --test sweeps -- --ignored --nocapture`. More captures are read from
/// the paths in `PLIMSOLL_SWEEP`, separated by colons, and cut at their blocks' boundaries.
#[test]
#[ignore = "an hour: every byte and every bit"]
fn all_of_it() {
    let whole = Whole::new(small());
    let begin = Instant::now();
    (0..=whole.bytes.len()).for_each(|length| whole.cut(length));
    println!("cut at each of {} bytes in {:?}", whole.bytes.len(), begin.elapsed());
    let begin = Instant::now();
    let bits = whole.bytes.len() * 8;
    let unknown = (0..bits).filter(|bit| whole.flip(*bit)).count();
    println!("{bits} bits flipped in {:?}; more than 1 % without a stack after {unknown} of them", begin.elapsed());
    for path in std::env::var("PLIMSOLL_SWEEP").unwrap_or_default().split(':').filter(|path| !path.is_empty()) {
        let whole = Whole::new(fs::read(path).expect("a capture"));
        let (lengths, begin) = (whole.boundaries(), Instant::now());
        lengths.iter().for_each(|length| whole.cut(*length));
        println!("{path}: cut at {} lengths in {:?}", lengths.len(), begin.elapsed());
    }
}
