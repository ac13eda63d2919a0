//! Loading what may be a capture, may be a part of one, or may be none at all.
#![forbid(unsafe_code)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use plimsoll_format::*;
use plimsoll_viewer::capture::{self, Capture, LoadError, LoadOptions};
use plimsoll_viewer::model::{EndKind, Measure, StackId};
use plimsoll_viewer::replay::{Heap, Moment, Range, ReplayOptions};
use support::*;

fn open(path: &Path) -> Result<Capture, LoadError> {
    capture::open(path, &LoadOptions::default())
}

fn replayed(path: &Path) -> (Capture, Heap) {
    let capture = open(path).unwrap_or_else(|error| panic!("{error}"));
    let heap = capture.replay(&ReplayOptions::default()).unwrap_or_else(|error| panic!("{error}"));
    (capture, heap)
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

fn file(folder: &tempfile::TempDir, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join("test.plim");
    fs::write(&path, bytes).expect("a test can write");
    path
}

/// The error of opening these bytes: one line that names the file.
fn refused(bytes: &[u8]) -> LoadError {
    let folder = folder();
    let path = file(&folder, bytes);
    let error = open(&path).expect_err("it is no capture");
    let text = error.to_string();
    assert!(text.contains("test.plim") && !text.contains('\n'), "{text}");
    error
}

/// A capture of five blocks: three with two allocations each, and a free of the first.
fn small() -> Vec<u8> {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(3).block();
    for round in 0..3u64 {
        let at = 1_100 + round * 100;
        let address = 0x1000 * (round + 1);
        builder.events(&[alloc(at, address, 10, 1), alloc(at + 10, address + 16, 20, 2)]).watermark(at + 20).block();
    }
    builder.events(&[free(1_500, 0x1000)]).end(2_000).bytes()
}

#[test]
fn what_is_no_capture_is_said_in_one_line() {
    assert!(matches!(refused(b""), LoadError::Empty { .. }));
    assert!(matches!(refused(&b"hello\n".repeat(100)), LoadError::NotACapture { .. }));
    assert!(matches!(refused(b"P"), LoadError::NotACapture { .. }));
    assert!(matches!(refused(&[0; 4096]), LoadError::NotACapture { .. }));
    assert!(matches!(refused(&file_header()), LoadError::NoHeader { .. }));
    let newer = {
        let mut header = file_header();
        header[8] = 9;
        let crc = crc32(&header[..12]);
        header[12..].copy_from_slice(&crc.to_le_bytes());
        refused(&header)
    };
    assert!(matches!(newer, LoadError::NewerVersion { found: 9, supported: VERSION, .. }), "{newer}");
}

/// CRC-32 as zlib has it, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 })
    })
}

#[test]
fn what_is_no_file_is_said_in_one_line() {
    let folder = folder();
    let missing = open(&folder.path().join("nowhere.plim")).expect_err("there is none");
    assert!(matches!(missing, LoadError::Missing { .. }) && missing.to_string().contains("nowhere"), "{missing}");
    assert!(matches!(open(folder.path()), Err(LoadError::Directory { .. })));
    let device = Path::new("/dev/zero");
    if device.exists() {
        assert!(matches!(open(device), Err(LoadError::NotRegular { .. })));
    }
}

#[test]
fn a_gigabyte_of_zeros_is_refused_after_its_first_part() {
    let folder = folder();
    let path = folder.path().join("zeros");
    let file = fs::File::create(&path).expect("a test can write");
    // A hole: no disk space is used.
    file.set_len(1 << 30).expect("the file system knows holes");
    let begin = std::time::Instant::now();
    assert!(matches!(open(&path), Err(LoadError::NotACapture { .. })));
    // Only the first 16 MiB are read; a whole gigabyte would take far longer, also on a slow disk.
    assert!(begin.elapsed().as_secs() < 10, "took {:?}", begin.elapsed());
}

#[test]
fn a_whole_capture_loads_without_a_warning() {
    let folder = folder();
    let (capture, heap) = replayed(&file(&folder, &small()));
    let profile = &capture.profile;
    assert_eq!(profile.end.kind, EndKind::Clean);
    assert_eq!((profile.duration_ns, profile.segments.len()), (1_000, 1));
    assert_eq!(profile.warnings, Vec::<String>::new());
    assert_eq!(heap.events, 7);
    let live =
        |stack| heap.sites.iter().find(|site| site.stack == StackId(stack)).map(|site| site.live.measure_bytes());
    assert_eq!([live(1), live(2)], [Some(Measure::exact(20)), Some(Measure::exact(60))]);
}

#[test]
fn every_truncation_is_a_profile_with_a_warning() {
    let bytes = small();
    let folder = folder();
    let mut events = 0;
    let mut loaded = 0;
    for length in 0..bytes.len() {
        let path = file(&folder, &bytes[..length]);
        let Ok(capture) = open(&path) else {
            assert_eq!(loaded, 0, "a longer part was refused, {length} bytes");
            continue;
        };
        loaded += 1;
        let heap = capture.replay(&ReplayOptions::default()).expect("it was opened");
        assert!(heap.events >= events, "{length} bytes give {} events after {events}", heap.events);
        events = heap.events;
        assert!(matches!(capture.profile.end.kind, EndKind::Truncated | EndKind::Killed), "{length} bytes");
        assert_eq!(capture.profile.warnings.len(), 1, "{:?}", capture.profile.warnings);
    }
    // All but the last block, which holds the free and the end.
    assert_eq!(events, 6);
    assert!(loaded > bytes.len() / 2);
}

#[test]
fn a_flipped_bit_costs_at_most_its_block() {
    let bytes = small();
    let folder = folder();
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let path = file(&folder, &flipped);
        match open(&path) {
            Ok(capture) => {
                let heap = capture.replay(&ReplayOptions::default()).expect("it was opened");
                // Five blocks, of which one is lost: two events at most.
                assert!(heap.events >= 5, "bit {bit}: {} events", heap.events);
                let hurt = heap.events < 7 || capture.profile.end.kind != EndKind::Clean;
                assert!(!hurt || !capture.profile.warnings.is_empty(), "bit {bit}: no warning");
            }
            // The header's block is the only one that cannot be done without; a flip in the version is a newer version.
            Err(LoadError::NoHeader { .. } | LoadError::NewerVersion { .. }) => {}
            Err(error) => panic!("bit {bit}: {error}"),
        }
    }
}

#[test]
fn a_lost_block_gives_live_figures_bounds() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(1_100, 0x10, 100, 1)]).watermark(1_200).block();
    let before = builder.bytes().len();
    builder.events(&[free(1_300, 0x10)]).block();
    let after = builder.bytes().len();
    let mut bytes = builder.watermark(1_400).events(&[alloc(1_500, 0x20, 7, 1)]).end(2_000).bytes();
    bytes.drain(before..after);
    let folder = folder();
    let (capture, heap) = replayed(&file(&folder, &bytes));
    assert_eq!(capture.profile.unread.gaps.len(), 1);
    assert_eq!(capture.profile.gap_until_ticks, Some(1_400));
    // The block of 100 may be gone, the one of 7 came later; how much was allocated in the gap is not known.
    assert_eq!(heap.sites[0].live.measure_bytes(), Measure { value: 107, low: 7, high: None });
    assert!(capture.profile.warnings[0].contains("1 block is missing"), "{:?}", capture.profile.warnings);
}

#[test]
fn a_gap_that_nothing_follows_reaches_to_the_last_moment() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(1_100, 0x10, 100, 1)]).watermark(1_200).block();
    let before = builder.bytes().len();
    builder.events(&[free(1_300, 0x10)]).block();
    let after = builder.bytes().len();
    let mut bytes = builder.stacks(1).bytes();
    bytes.drain(before..after);
    let folder = folder();
    let (capture, heap) = replayed(&file(&folder, &bytes));
    assert_eq!(capture.profile.gap_until_ticks, Some(1_200));
    assert_eq!(heap.sites[0].live.measure_bytes().low, 0);
}

#[test]
fn copies_and_blocks_of_other_sessions_are_left_out() {
    let folder = folder();
    let mut foreign = CaptureBuilder::with_header(Header { session: 1, ..header(Mode::Exact, 1) });
    foreign.events(&[alloc(1_100, 0x99, 1, 1)]);
    let bytes = [small(), small(), foreign.bytes(), b"junk at the end".to_vec()].concat();
    let (capture, heap) = replayed(&file(&folder, &bytes));
    assert_eq!(heap.events, 7);
    let unread = &capture.profile.unread;
    assert_eq!((unread.copied_blocks, unread.foreign_blocks), (5, 1));
    assert_eq!(capture.profile.end.kind, EndKind::Clean);
    assert!(capture.profile.warnings.len() >= 2, "{:?}", capture.profile.warnings);
}

#[test]
fn a_detached_agent_says_why_and_a_missing_end_is_a_kill() {
    let folder = folder();
    let detached = EndReason::Detached("a system call failed".into());
    let mut builder = CaptureBuilder::exact();
    builder.record(Record::End(End { ticks: 1_500, reason: detached, lost_blocks: 0 }));
    let (capture, _) = replayed(&file(&folder, &builder.bytes()));
    assert_eq!(capture.profile.end.kind, EndKind::Detached);
    assert!(capture.profile.warnings[0].contains("a system call failed"));
    let (capture, _) = replayed(&file(&folder, &CaptureBuilder::exact().bytes()));
    assert_eq!(capture.profile.end.kind, EndKind::Killed);
}

#[test]
#[cfg(target_os = "linux")]
fn a_process_that_writes_still_is_running() {
    let folder = folder();
    let program = std::env::current_exe().expect("a test has a program");
    let program = program.file_name().expect("it has a name").to_string_lossy().into_owned();
    let header = Header { pid: std::process::id(), program, tick_ns: 60_000_000_000, ..header(Mode::Exact, 1) };
    let (capture, _) = replayed(&file(&folder, &CaptureBuilder::with_header(header.clone()).bytes()));
    assert_eq!(capture.profile.end.kind, EndKind::Running);
    // Another program has the process id by now.
    let other = Header { program: "other".into(), ..header };
    let (capture, _) = replayed(&file(&folder, &CaptureBuilder::with_header(other).bytes()));
    assert_eq!(capture.profile.end.kind, EndKind::Killed);
}

#[test]
fn a_file_that_grows_is_read_as_it_was() {
    let folder = folder();
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(1_100, 0x10, 100, 1)]);
    let path = builder.save(folder.path(), "test.plim");
    let capture = open(&path).expect("it is a capture");
    builder.events(&[free(1_200, 0x10)]).end(2_000).save(folder.path(), "test.plim");
    assert_eq!(capture.replay(&ReplayOptions::default()).expect("it was opened").events, 1);
    assert_eq!(replayed(&path).1.events, 2);
}

/// Three segments of one capture. Block 0x10 lives through all, 0x20 is freed in segment 1, 0x30 and 0x40 come in
/// segment 2: 100 + 7 + 40 bytes live at the end.
fn segments(folder: &Path) -> [PathBuf; 3] {
    let segment = |number| Header { segment: number, ..header(Mode::Exact, 1) };
    let listed = |address, ticks, size_bytes| LiveBlock {
        address,
        size_bytes,
        ticks,
        stack: 1,
        thread: 1,
        tag: 0,
        interval_bytes: 1,
    };
    let mut first = CaptureBuilder::with_header(segment(0));
    first.stacks(2).events(&[alloc(1_100, 0x10, 100, 1), alloc(1_200, 0x20, 30, 1)]).watermark(1_300);
    let zero = first.save(folder, "run.plim");
    let mut second = CaptureBuilder::continued(segment(1), first.next_sequence());
    second.stacks(2).record(Record::Counters(counters(2_000, Totals::default(), 130)));
    second.record(Record::LiveBlocks(vec![listed(0x10, 1_100, 100), listed(0x20, 1_200, 30)]));
    second.events(&[free(2_100, 0x20)]).watermark(2_200);
    let one = second.save(folder, "run.plim.1");
    let mut third = CaptureBuilder::continued(segment(2), second.next_sequence());
    third.stacks(2).record(Record::Counters(counters(3_000, Totals::default(), 130)));
    third.record(Record::LiveBlocks(vec![listed(0x10, 1_100, 100), LiveBlock { stack: 2, ..listed(0x40, 2_950, 40) }]));
    // A chunk from before the opening is written after it: a former life of address 0x40, and the listed one.
    third.events(&[alloc(2_900, 0x40, 9, 2), free(2_940, 0x40), alloc(2_950, 0x40, 40, 2)]);
    third.events(&[alloc(3_100, 0x30, 7, 2)]).end(4_000);
    let two = third.save(folder, "run.plim.2");
    [zero, one, two]
}

/// A capture whose second block is compressed: 100 blocks that stay, from 0x1000 on, 10 bytes each. Where it begins.
fn compressed() -> (Vec<u8>, usize) {
    let mut builder = CaptureBuilder::exact();
    let begin = builder.stacks(3).bytes().len();
    let events: Vec<Event> = (0..100).map(|number| alloc(1_100 + number, 0x1000 + number * 16, 10, 1)).collect();
    (builder.compressed().events(&events).block().end(2_000).bytes(), begin)
}

#[test]
fn compressed_blocks_are_read() {
    let folder = folder();
    let (bytes, begin) = compressed();
    assert_eq!(bytes[begin + 4], 1, "the codec of the second block");
    let (capture, heap) = replayed(&file(&folder, &bytes));
    assert_eq!((live_bytes(&heap), capture.profile.warnings.len()), (1_000, 0), "{:?}", capture.profile.warnings);
}

/// Everything behind the header of the block's frame is changed, one byte at a time, and the block's CRC made to hold.
#[test]
fn a_block_that_is_damaged_inside_a_valid_crc_is_counted_and_said() {
    let folder = folder();
    let (bytes, begin) = compressed();
    let length = u32::from_le_bytes([bytes[begin + 8], bytes[begin + 9], bytes[begin + 10], bytes[begin + 11]]);
    let mut unread = 0;
    for at in 0..length as usize {
        let mut hurt = bytes.clone();
        hurt[begin + 40 + at] ^= 0x55;
        let crc = crc32(&[&hurt[begin + 4..begin + 36], &hurt[begin + 40..begin + 40 + length as usize]].concat());
        hurt[begin + 36..begin + 40].copy_from_slice(&crc.to_le_bytes());
        let (capture, heap) = replayed(&file(&folder, &hurt));
        let profile = &capture.profile;
        if profile.unread.codec_blocks > 0 {
            unread += 1;
            assert_eq!((profile.unread.codec_blocks, live_bytes(&heap)), (1, 0));
            let said = "could not read 1 block, compressed in a way this version does not know or damaged inside";
            assert!(profile.warnings.iter().any(|warning| warning == said), "{:?}", profile.warnings);
        }
    }
    assert!(unread > 0);
}

fn live_bytes(heap: &Heap) -> u64 {
    heap.sum(|site| site.live).bytes
}

#[test]
fn segments_are_one_capture_whichever_is_named() {
    let folder = folder();
    for path in segments(folder.path()) {
        let (capture, heap) = replayed(&path);
        assert_eq!(capture.profile.segments.len(), 3);
        assert_eq!(capture.profile.missing, []);
        assert_eq!(live_bytes(&heap), 147);
        assert_eq!((heap.repairs.unmatched_blocks, heap.repairs.unseen_frees), (0, 0));
        assert!(!heap.totals_are_partial);
    }
}

#[test]
fn what_is_left_of_a_rotated_capture_is_read_and_the_gap_named() {
    let folder = folder();
    let [zero, one, two] = segments(folder.path());
    fs::remove_file(&zero).expect("it is there");
    // NAME itself is gone and still names the capture.
    for path in [&zero, &one, &two] {
        let (capture, heap) = replayed(path);
        assert_eq!(live_bytes(&heap), 147);
        assert!(heap.totals_are_partial);
        let missing = capture.profile.missing[0];
        // From the start to the first reading of segment 1 at tick 2,000.
        assert_eq!((missing.from_ns, missing.to_ns, missing.last_segment), (0, 1_000, 0));
        assert!(capture.profile.warnings[0].contains("segment 0 is gone"), "{:?}", capture.profile.warnings);
    }
    fs::remove_file(&one).expect("it is there");
    let (_, heap) = replayed(&zero);
    assert_eq!(live_bytes(&heap), 147);
    assert_eq!(heap.repairs.unseen_frees, 0);
    // The block from before the gap is as old as its listing says: 4,000 − 1,100.
    assert_eq!(heap.sites[0].ages.map(|ages| ages.oldest_ns), Some(2_900));
}

#[test]
fn a_segment_missing_in_the_middle_ends_what_is_not_listed_after_it() {
    let folder = folder();
    let [zero, one, _] = segments(folder.path());
    fs::remove_file(&one).expect("it is there");
    let (capture, heap) = replayed(&zero);
    // 0x20 was freed in the missing segment: the third one does not list it.
    assert_eq!(live_bytes(&heap), 147);
    assert_eq!(capture.profile.missing[0].first_segment, 1);
    assert_eq!((capture.profile.missing[0].from_ns, capture.profile.missing[0].to_ns), (300, 2_000));
}

#[test]
fn moments_before_missing_time_know_nothing_of_what_came_after() {
    let folder = folder();
    let [zero, one, _] = segments(folder.path());
    let live_at = |ns: u64| {
        let capture = open(&zero).expect("it is a capture");
        let options = ReplayOptions { moment: Moment::Time(ns), ..ReplayOptions::default() };
        let heap = capture.replay(&options).expect("it was opened");
        assert_eq!((heap.repairs.unmatched_blocks, heap.repairs.unseen_frees), (0, 0), "{ns}");
        live_bytes(&heap)
    };
    // Ticks 1,100, 1,200, 1,300, 2,100 and 2,949: 0x20 is freed in segment 1, 0x40 is 9 bytes from 2,900 to 2,940.
    let moments = [100, 200, 300, 1_100, 1_905, 1_949];
    assert_eq!(moments.map(live_at), [100, 130, 130, 100, 109, 100]);
    fs::remove_file(&one).expect("it is there");
    // Of the missing time, up to 2,000 ns, nothing is known; what comes before stays as it was.
    assert_eq!([100, 200, 299].map(live_at), [100, 130, 130]);
    assert_eq!(live_at(2_100), 147);
}

#[test]
fn ranges_behind_missing_time_hold_what_was_allocated_in_them() {
    let folder = folder();
    let [zero, one, _] = segments(folder.path());
    for is_missing in [false, true] {
        if is_missing {
            fs::remove_file(&one).expect("it is there");
        }
        let capture = open(&zero).expect("it is a capture");
        let range = Some(Range { from_ns: 1_945, to_ns: 3_000 });
        let heap = capture
            .replay(&ReplayOptions { moment: Moment::End, range, ..ReplayOptions::default() })
            .expect("it was opened");
        // 40 bytes at 2,950 and 7 at 3,100; the block from before is not of the range, whether it is listed or not.
        assert_eq!(live_bytes(&heap), 47, "{is_missing}");
        assert_eq!(heap.sum(|site| site.total).bytes, 47, "{is_missing}");
        assert_eq!((heap.repairs.unmatched_blocks, heap.repairs.unseen_frees), (0, 0), "{is_missing}");
    }
}

#[test]
fn a_segment_of_another_session_is_not_mixed_in() {
    let folder = folder();
    let [zero, one, two] = segments(folder.path());
    fs::copy(&two, folder.path().join("run.plim.3")).expect("a test can copy");
    let other = Header { session: 9, segment: 1, ..header(Mode::Exact, 1) };
    fs::remove_file(&one).expect("it is there");
    CaptureBuilder::with_header(other).save(folder.path(), "run.plim.1");
    let (capture, heap) = replayed(&zero);
    assert_eq!(capture.profile.segments.len(), 2);
    assert_eq!(live_bytes(&heap), 147);
    assert!(capture.profile.warnings.iter().any(|warning| warning.contains("another session")));
    // With NAME gone, the session of the newest segment is the capture.
    fs::remove_file(&zero).expect("it is there");
    let (capture, _) = replayed(&zero);
    assert_eq!(capture.profile.segments.iter().map(|segment| segment.number).collect::<Vec<_>>(), [2]);
}

#[test]
fn hostile_numbers_neither_crash_nor_hang() {
    let folder = folder();
    let mut builder = CaptureBuilder::exact();
    builder.record(Record::Anchor(Anchor { ticks: u64::MAX, monotonic_ns: u64::MAX, wall_ns: i64::MIN }));
    builder.record(Record::StackNodes(vec![StackNode { id: u32::MAX, parent: u32::MAX, address: u64::MAX }]));
    let huge = |ticks, address| Event { thread: u32::MAX, tag: u32::MAX, ..alloc(ticks, address, u64::MAX, u32::MAX) };
    builder.events(&[huge(0, 0), huge(u64::MAX, u64::MAX), huge(u64::MAX, 1), free(0, 0), free(0, 0)]);
    builder.watermark(u64::MAX).watermark(0).record(Record::Counters(counters(
        u64::MAX,
        Totals { allocations: 0, bytes: 0, frees: u64::MAX, freed_bytes: u64::MAX, reallocations: u64::MAX },
        u64::MAX,
    )));
    let bytes = builder.end(u64::MAX).bytes();
    let path = file(&folder, &bytes);
    let capture = open(&path).expect("it is a capture");
    for moment in [Moment::End, Moment::Peak, Moment::Time(0), Moment::Time(u64::MAX)] {
        let heap = capture.replay(&ReplayOptions { moment, ..ReplayOptions::default() }).expect("it was opened");
        plimsoll_viewer::analysis::summary(&capture.profile, &heap);
        plimsoll_viewer::analysis::leaks(&heap);
        plimsoll_viewer::analysis::timeline(&capture.profile);
    }
}

#[test]
fn the_format_s_own_sample_captures_load() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../agent/format/tests/captures");
    let kinds = [
        ("v1-sampled.plim", EndKind::Clean),
        ("v1-exact.plim", EndKind::Detached),
        ("v1-segment.plim", EndKind::Clean),
        ("v1-zstd.plim", EndKind::Clean),
        ("v1-spans.plim", EndKind::Clean),
    ];
    for (name, kind) in kinds {
        let (capture, heap) = replayed(&folder.join(name));
        assert_eq!(capture.profile.end.kind, kind, "{name}");
        // Sampled: of three samples one is freed and one is thinned out. Exact: the block whose reallocation failed.
        // Segment: the block that its opening lists. Compressed, and with spans: all blocks are freed.
        assert_eq!(
            heap.sum(|site| site.live).blocks,
            u64::from(!["v1-zstd.plim", "v1-spans.plim"].contains(&name)),
            "{name}"
        );
        assert_eq!((capture.profile.unread.codec_blocks, capture.profile.unread.records), (0, 0), "{name}");
    }
}
