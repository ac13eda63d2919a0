//! The worked example of `FORMAT.md`, section 14: its hex is what the writer makes of the records that it names.

use plimsoll_format::{BlockWriter, Event, EventKind, PackState, Record, file_header};

use crate::plain;
use crate::samples::{alloc, free, pack};
use crate::schema::FORMAT;

/// What section 14 says that the capture holds.
fn example() -> Vec<u8> {
    let events = [
        alloc(1_000, 0x7f12_3456_7890, 100, 1),
        Event { kind: EventKind::ReallocFree, ..free(1_050, 0x7f12_3456_7890) },
        Event { kind: EventKind::ReallocAlloc, tag: 1, ..alloc(1_060, 0x7f12_3456_78a0, 300, 1) },
        Event { tag: 1, ..free(1_070, 0x7f12_3456_78a0) },
    ];
    // The second event was packed under the first one's tag, 0; the third sets 1.
    let (events, _) = pack(PackState::default(), &events);
    let mut writer = BlockWriter::new(0x1122_3344_5566_7788);
    assert!(writer.push(&Record::Tag { id: 1, name: "req".into() }));
    assert!(writer.push(&Record::Events(events)));
    assert!(writer.push(&Record::Watermark { ticks: 1_070 }));
    let mut file = file_header().to_vec();
    writer.finish(&mut file);
    file
}

/// The bytes of the `hex` listing.
fn listed() -> Vec<u8> {
    let listing = FORMAT.split("```hex\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a hex listing");
    let digits = listing.lines().flat_map(|line| line.split('#').next().unwrap_or("").split_whitespace());
    digits.map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits")).collect()
}

#[test]
fn the_worked_example_is_what_the_writer_writes() {
    assert_eq!(listed(), example());
}

#[test]
fn the_worked_example_reads_as_described() {
    let read = plain::read_capture(&listed());
    assert_eq!((read.len(), read[0].session, read[0].sequence), (1, 0x1122_3344_5566_7788, 0));
    let records: Vec<String> = read[0].records.iter().map(|record| record.debug()).collect();
    assert_eq!(records[0], r#"Tag { id: 1, name: "req" }"#);
    assert!(records[1].starts_with("Events(Events { packing: 1, ") && records[1].contains("count: 4"));
    assert_eq!(records[2], "Watermark { ticks: 1070 }");
}
