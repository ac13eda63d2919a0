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
    let t = Instant::now();
    let mut n = 0;
    (0..=whole.bytes.len()).step_by(509).chain(whole.boundaries().into_iter().step_by(5)).for_each(|length| {
        n += 1;
        whole.cut(length)
    });
    eprintln!("{n} {:?}", t.elapsed());
}

#[test]
fn flipped_bits_cost_their_block() {
    let whole = Whole::new(small());
    let t = Instant::now();
    let mut n = 0;
    (0..whole.bytes.len() * 8).step_by(2003).for_each(|bit| {
        n += 1;
        whole.flip(bit);
    });
    eprintln!("{n} {:?}", t.elapsed());
}
