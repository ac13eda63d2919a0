//! A file that grows in every way gives each block once.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plimsoll_format::Record;
use tempfile::TempDir;

use crate::testing::{CaptureBuilder, START, alloc};

use super::tail::{Change, FileTail, Piece};

/// A capture of `blocks` blocks with a marker each, every third one followed by events behind a span; and where its
/// blocks end.
fn capture(blocks: u64) -> (Vec<u8>, Vec<usize>) {
    let mut builder = CaptureBuilder::exact();
    let mut ends = Vec::new();
    for number in 0..blocks {
        builder.record(Record::Marker { ticks: START + number, name: format!("marker {number}") });
        ends.push(builder.bytes().len());
        if number % 3 == 0 {
            // Its span and itself are a block each; the span's is not told apart here.
            builder.spanned_events(&[alloc(START + number, 64 * number, 100, 0)]);
            ends.push(builder.bytes().len());
        }
    }
    (builder.bytes(), ends)
}

/// A file, and what a tail has given of it.
struct Case {
    path: PathBuf,
    tail: FileTail,
    /// Sequence numbers of blocks, read or passed over.
    blocks: Vec<u64>,
    passed_over: usize,
    damage: Vec<u64>,
    _folder: TempDir,
}

impl Case {
    fn new() -> Case {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.plim");
        File::create(&path).unwrap();
        let tail = FileTail::open(&path).unwrap();
        Case { path, tail, blocks: Vec::new(), passed_over: 0, damage: Vec::new(), _folder: folder }
    }

    /// Appends, and reads what has come.
    fn append(&mut self, bytes: &[u8]) -> Change {
        OpenOptions::new().append(true).open(&self.path).unwrap().write_all(bytes).unwrap();
        self.poll()
    }

    /// Writes the file anew in place, later than before as far as its time tells.
    fn write(&mut self, bytes: &[u8]) -> Change {
        fs::write(&self.path, bytes).unwrap();
        later(&self.path);
        self.poll()
    }

    fn poll(&mut self) -> Change {
        let Case { tail, blocks, passed_over, damage, .. } = self;
        tail.poll(&mut |piece| match piece {
            Piece::Block(block) => blocks.push(block.header.sequence),
            Piece::PassedOver(header) => {
                *passed_over += 1;
                blocks.push(header.sequence);
            }
            Piece::Damage(bytes) => damage.push(bytes),
        })
        .unwrap()
    }

    fn check(&self, blocks: u64, damage: &[u64]) {
        assert_eq!(self.blocks, (0..blocks).collect::<Vec<u64>>());
        assert_eq!(self.damage, damage);
    }
}

/// Two writes within one step of the file system's clock look the same: this makes the last one a later one.
fn later(path: &Path) {
    let time = SystemTime::now() + Duration::from_secs(10);
    File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

/// Blocks of a capture: with every third marker come two more.
fn count(markers: u64) -> u64 {
    markers + 2 * markers.div_ceil(3)
}

#[test]
fn byte_by_byte_every_block_comes_once_and_as_soon_as_it_is_whole() {
    let (bytes, ends) = capture(10);
    let mut case = Case::new();
    let mut whole = 0;
    for (at, byte) in bytes.iter().enumerate() {
        assert_eq!(case.append(&[*byte]), Change::Grown);
        if let Some(end) = ends.iter().position(|end| *end == at + 1) {
            whole = end + 1;
            assert_eq!(case.tail.pending_bytes(), 0, "nothing is left after block {end}");
        }
        assert!(case.blocks.len() >= whole, "{} of {whole} at byte {at}", case.blocks.len());
    }
    case.check(count(10), &[]);
    assert_eq!(case.passed_over, 4, "events of every third marker");
}

#[test]
fn block_by_block_and_all_at_once_give_the_same() {
    let (bytes, ends) = capture(10);
    let (mut steps, mut whole) = (Case::new(), Case::new());
    let mut from = 0;
    for end in ends {
        steps.append(&bytes[from..end]);
        from = end;
    }
    whole.append(&bytes);
    steps.check(count(10), &[]);
    whole.check(count(10), &[]);
}

#[test]
fn a_last_block_whose_checksum_fails_waits_until_it_is_written() {
    let (bytes, _) = capture(5);
    let mut torn = bytes.clone();
    *torn.last_mut().unwrap() ^= 1;
    let mut case = Case::new();
    case.append(&torn);
    // The last marker's block is not there yet.
    case.check(count(5) - 1, &[]);
    assert!(case.tail.pending_bytes() > 0);
    assert_eq!(case.write(&bytes), Change::Grown);
    case.check(count(5), &[]);
}

#[test]
fn a_block_whose_checksum_fails_is_damage_once_others_follow() {
    let (bytes, ends) = capture(5);
    let (start, end) = (ends[ends.len() - 2], ends[ends.len() - 1]);
    let mut torn = bytes[..end].to_vec();
    torn[end - 1] ^= 1;
    let mut case = Case::new();
    case.append(&torn);
    case.check(count(5) - 1, &[]);
    let mut longer = CaptureBuilder::exact();
    longer.block();
    let head = longer.bytes().len();
    longer.record(Record::Marker { ticks: START, name: "after".into() });
    case.append(&longer.bytes()[head..]);
    assert_eq!(case.damage, [(end - start) as u64]);
    // The builder's second block has number 1.
    assert_eq!(case.blocks.last(), Some(&1));
    assert_eq!(case.tail.pending_bytes(), 0);
}

#[test]
fn junk_without_end_is_given_up_on() {
    let mut case = Case::new();
    let (bytes, _) = capture(1);
    case.append(&bytes);
    let blocks = case.blocks.len();
    for _ in 0..30 {
        case.append(&vec![0x55; 1 << 20]);
        assert!(case.tail.pending_bytes() <= 9 << 20, "{}", case.tail.pending_bytes());
    }
    assert_eq!(case.blocks.len(), blocks);
    let given_up: u64 = case.damage.iter().sum();
    assert_eq!(given_up + case.tail.pending_bytes(), 30 << 20);
    // What comes after it is found all the same.
    let mut after = CaptureBuilder::exact();
    let after = after.bytes();
    case.append(&after[16..]);
    assert_eq!(case.blocks.len(), blocks + 1);
    assert_eq!(case.damage.iter().sum::<u64>(), 30 << 20);
}

#[test]
fn a_file_that_was_cut_is_read_from_its_start_again() {
    let (bytes, ends) = capture(6);
    let mut case = Case::new();
    case.append(&bytes);
    case.check(count(6), &[]);
    case.blocks.clear();
    assert_eq!(case.write(&bytes[..ends[1]]), Change::Cut);
    assert_eq!(case.write(&bytes), Change::Grown);
    case.check(count(6), &[]);
}

/// Bytes that this thread has read.
fn bytes_read() -> Option<u64> {
    let text = fs::read_to_string("/proc/thread-self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("rchar: ")?.parse().ok())
}

#[test]
fn nothing_is_read_twice() {
    let (mut case, mut builder) = (Case::new(), CaptureBuilder::exact());
    let Some(before) = bytes_read() else { return };
    let mut from = 0;
    for number in 0..200 {
        builder.record(Record::Marker { ticks: START + number, name: "x".repeat(10_000) });
        let bytes = builder.bytes();
        case.append(&bytes[from..]);
        from = bytes.len();
    }
    case.check(200, &[]);
    let read = bytes_read().unwrap() - before;
    // Once the file, and what asking costs: 300 bytes each. Every time the whole file would be 100 times that.
    assert!(read < 2 * from as u64, "{read} bytes of {from}");
}
