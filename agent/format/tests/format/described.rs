//! The crate reads and writes what `FORMAT.md` describes: every record kind, decoded by both.

use plimsoll_format::{BlockWriter, Item, Reader, Record};
use proptest::prelude::*;

use crate::plain;
use crate::samples;
use crate::schema::{Definition, Schema, Value, put_varint};

/// Number of record kinds of version 1.
const KINDS: u64 = 24;

/// Wraps `body` in a record length, a block and a file, without the crate's writer.
pub(crate) fn file_with_record(body: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    put_varint(body.len() as u64, &mut payload);
    payload.extend_from_slice(body);
    let mut file = plimsoll_format::file_header().to_vec();
    file.extend_from_slice(&block_with_payload(&payload));
    file
}

/// A block around any payload, without the crate's writer.
pub(crate) fn block_with_payload(payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_le_bytes();
    let header = [&[0; 4][..], &length, &length, &samples::SESSION.to_le_bytes(), &[0; 8], &[0; 4]].concat();
    let crc = plain::crc32(&[&header, payload].concat());
    [&[0xf5, 0x50, 0x4c, 0xb1][..], &header, &crc.to_le_bytes(), payload].concat()
}

/// The only record of `file`, read by the crate.
fn read_one(file: &[u8]) -> Record {
    let mut reader = Reader::new();
    reader.feed(file);
    reader.end();
    let Some(Item::Block(block)) = reader.next_item() else { panic!("one block was written") };
    let mut records = block.records();
    let record = records.next().expect("one record was written").expect("it decodes");
    assert!(records.next().is_none() && reader.next_item().is_none());
    record
}

/// A record that was described and encoded by the contract alone: the crate reads the same fields and writes the
/// same bytes.
fn check(described: &Value) {
    let mut body = Vec::new();
    described.encode(&mut body);
    let file = file_with_record(&body);
    let record = read_one(&file);
    assert_eq!(format!("{record:?}"), described.debug());

    let mut writer = BlockWriter::new(samples::SESSION);
    assert!(writer.push(&record));
    let mut again = plimsoll_format::file_header().to_vec();
    writer.finish(&mut again);
    assert_eq!(again, file);
    let read = plain::read_capture(&again);
    assert_eq!((read.len(), &read[0].records[..]), (1, std::slice::from_ref(described)));
}

#[test]
fn contract_lists_every_record_kind() {
    let Definition::Enum(variants) = Schema::of_format_md().0.remove("Record").expect("Record is listed") else {
        panic!("Record is an enum");
    };
    assert!(variants.into_keys().eq(0..KINDS), "tags run from 0 without gaps");
    // The crate knows no kind beyond them.
    let mut reader = Reader::new();
    reader.feed(&file_with_record(&[KINDS as u8, 0, 0, 0, 0, 0, 0, 0, 0]));
    let Some(Item::Block(block)) = reader.next_item() else { panic!("one block was written") };
    assert!(block.records().all(|record| record.is_err()), "a record kind is missing in FORMAT.md");
}

#[test]
fn every_record_kind_reads_and_writes_as_described() {
    let schema = Schema::of_format_md();
    for tag in 0..KINDS {
        let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig::with_cases(128));
        let cases = runner.run(&schema.any_variant_of("Record", tag), |described| {
            check(&described);
            Ok(())
        });
        cases.unwrap_or_else(|failure| panic!("record kind {tag}: {failure}"));
    }
}

#[test]
fn sample_captures_read_as_described() {
    for capture in samples::all() {
        let read = plain::read_capture(&capture.bytes());
        assert_eq!(read.len(), capture.blocks.len());
        for (number, (block, expected)) in read.iter().zip(&capture.blocks).enumerate() {
            assert_eq!(block.keyframe, expected.keyframe);
            assert_eq!((block.session, block.sequence), (samples::SESSION, capture.first_sequence + number as u64));
            let read: Vec<String> = block.records.iter().map(Value::debug).collect();
            let expected: Vec<String> = expected.records.iter().map(|record| format!("{record:?}")).collect();
            assert_eq!(read, expected);
        }
    }
}

#[test]
fn bytes_after_the_last_field_belong_to_a_newer_writer() {
    let mut body = Vec::new();
    let mut writer = BlockWriter::new(samples::SESSION);
    assert!(writer.push(&Record::Watermark { ticks: 9 }));
    writer.finish(&mut body);
    // The payload stands after 40 bytes of header; its first byte is the record's length.
    let newer = [&body[41..], &[1, 2, 3]].concat();
    assert_eq!(read_one(&file_with_record(&newer)), Record::Watermark { ticks: 9 });
}
