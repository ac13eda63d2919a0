//! Hostile captures: lengths and counts that lie, unknown kinds and codecs. Nothing panics, nothing large is
//! allocated, and what stands beside the lie is still read.

use std::time::{Duration, Instant};

use plimsoll_format::{Block, Item, MAX_BLOCK_BYTES, Reader, Record};
use proptest::prelude::*;

use crate::described::{block_with_payload, file_with_record};
use crate::plain::crc32;
use crate::samples;
use crate::schema::put_varint;

fn blocks(file: &[u8]) -> Vec<Block> {
    let mut reader = Reader::new();
    reader.feed(file);
    reader.end();
    std::iter::from_fn(|| reader.next_item())
        .filter_map(|item| match item {
            Item::Block(block) => Some(block),
            Item::Damage(_) => None,
        })
        .collect()
}

/// A record with its length in front.
fn framed(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    put_varint(body.len() as u64, &mut framed);
    framed.extend_from_slice(body);
    framed
}

/// `Watermark { ticks: 7 }`: tag 8, ticks.
const WATERMARK: [u8; 2] = [8, 7];

/// Largest address space this process ever had; none where the system does not tell.
fn peak_address_space() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib << 10)
}

#[test]
fn counts_that_lie_allocate_nothing_large() {
    let mut bombs = Vec::new();
    for count in [1 << 20, 1 << 32, 1 << 60, u64::MAX] {
        let list = |tag: u8, before: &[u8]| {
            let mut body = vec![tag];
            body.extend_from_slice(before);
            put_varint(count, &mut body);
            body
        };
        bombs.push(list(5, &[])); // StackNodes: the list
        bombs.push(list(17, &[])); // LiveBlocks: the list
        bombs.push(list(6, &[1])); // Tag: id, then the name's length
        bombs.push(list(12, &[1])); // Marker: ticks, then the name's length
        bombs.push(list(7, &[1, 0, 0, 0, 0, 0, 0, 1])); // Events: packing, state of six, count, then the packed bytes
        bombs.push(list(16, &[0, 0, 0])); // Thinning: ticks and intervals, then the kept addresses
        bombs.push(list(18, &[1])); // Symbols: module, then the strings
        bombs.push(list(3, &[1, 1, 1])); // Thread: ids and ticks, then the name's length
    }
    for body in &bombs {
        let payload = [framed(&WATERMARK), framed(body), framed(&WATERMARK)].concat();
        let file = block_with_payload(&payload);
        let read: Vec<_> = blocks(&file).iter().flat_map(|block| block.records().collect::<Vec<_>>()).collect();
        assert_eq!(read.len(), 3, "{body:?}");
        assert_eq!((&read[0], &read[2]), (&Ok(Record::Watermark { ticks: 7 }), &Ok(Record::Watermark { ticks: 7 })));
        assert!(read[1].as_ref().is_err_and(|skipped| skipped.bytes == body.len()), "{body:?}");
    }
    // The smallest bomb that is not refused outright claims 2^20 elements of at most 32 bytes: far below 1 GiB, as
    // are this process's threads. The larger ones would have needed 16 GiB and more.
    assert!(peak_address_space().is_none_or(|bytes| bytes < 1 << 30));
}

#[test]
fn record_lengths_that_lie_end_their_block_only() {
    for length in [3, 251, 1 << 20, u64::MAX] {
        let mut payload = framed(&WATERMARK);
        put_varint(length, &mut payload);
        payload.extend_from_slice(&[8, 9]);
        let file = [block_with_payload(&payload), block_with_payload(&framed(&WATERMARK))].concat();
        let found = blocks(&file);
        let first: Vec<_> = found[0].records().collect();
        assert_eq!(first.len(), 2);
        assert_eq!(first[0], Ok(Record::Watermark { ticks: 7 }));
        assert!(first[1].is_err());
        assert_eq!(found[1].records().collect::<Vec<_>>(), [Ok(Record::Watermark { ticks: 7 })]);
    }
}

#[test]
fn unknown_records_are_skipped_by_their_length() {
    // An unknown kind, an unknown variant within a known kind (EndReason 3), text that is no UTF-8, an empty record.
    let unknown: [&[u8]; 4] = [&[23, 1, 2, 3], &[19, 5, 3, 0], &[6, 1, 2, 0xff, 0xfe], &[]];
    for body in unknown {
        let payload = [framed(body), framed(&WATERMARK)].concat();
        let found = blocks(&block_with_payload(&payload));
        let read: Vec<_> = found[0].records().collect();
        assert_eq!(read.len(), 2);
        assert!(read[0].as_ref().is_err_and(|skipped| skipped.bytes == body.len()), "{body:?}");
        assert_eq!(read[1], Ok(Record::Watermark { ticks: 7 }));
    }
}

/// Codec 9 is nobody's; 1 is known to builds that can decompress it, where this payload is no frame.
#[test]
fn a_block_of_an_unknown_codec_is_kept_by_its_length() {
    [9, 1].into_iter().for_each(check_codec);
}

fn check_codec(codec: u8) {
    let mut unknown = block_with_payload(&framed(&WATERMARK));
    unknown[4] = codec;
    let crc = crc32(&[&unknown[4..36], &unknown[40..]].concat());
    unknown[36..40].copy_from_slice(&crc.to_le_bytes());
    let file = [unknown, block_with_payload(&framed(&WATERMARK))].concat();
    let found = blocks(&file);
    let counts: Vec<usize> = found.iter().map(|block| block.records().count()).collect();
    assert_eq!(counts, [0, 1]);
    let error = found[0].try_records().expect_err("no records").to_string();
    let expected =
        if codec == 1 && cfg!(feature = "zstd") { "zstd says".into() } else { format!("no decoder for codec {codec}") };
    assert!(error.contains(&expected), "{error}");
}

#[test]
fn the_largest_block_is_read_and_a_larger_one_is_damage() {
    let largest = block_with_payload(&vec![0; MAX_BLOCK_BYTES]);
    assert_eq!(blocks(&largest).len(), 1);
    let too_large = block_with_payload(&vec![0; MAX_BLOCK_BYTES + 1]);
    assert_eq!(blocks(&too_large).len(), 0);
    // Neither length may lie: too much stored behind a small raw length, and the other way round.
    for at in [8, 12] {
        let mut lies = if at == 12 { too_large.clone() } else { block_with_payload(&framed(&WATERMARK)) };
        lies[at..at + 4].copy_from_slice(&(if at == 12 { 3 } else { u32::MAX }).to_le_bytes());
        let crc = crc32(&[&lies[4..36], &lies[40..]].concat());
        lies[36..40].copy_from_slice(&crc.to_le_bytes());
        assert_eq!(blocks(&lies).len(), 0);
    }
}

#[test]
fn headers_that_all_claim_megabytes_take_no_hours() {
    // 8 MiB of 40-byte headers: 209,715, each of whose claimed payloads would take a CRC over 4 MiB, 0.8 TB together.
    let mut header = block_with_payload(&[0; 8]);
    header.truncate(40);
    header[8..12].copy_from_slice(&(MAX_BLOCK_BYTES as u32).to_le_bytes());
    header[12..16].copy_from_slice(&(MAX_BLOCK_BYTES as u32).to_le_bytes());
    let file = header.repeat((8 << 20) / 40);
    let begin = Instant::now();
    assert_eq!(blocks(&file).len(), 0);
    // At most 64 MiB + 16 × 8 MiB = 192 MiB are checked.
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
}

proptest! {
    #[test]
    fn any_bytes_in_a_whole_block_are_survived(payload in prop::collection::vec(any::<u8>(), 0..600)) {
        for block in blocks(&block_with_payload(&payload)) {
            // Every record takes at least the byte of its length.
            prop_assert!(block.records().count() <= payload.len());
        }
    }

    #[test]
    fn any_bytes_as_a_record_are_survived(tag in 0u8..23, body in prop::collection::vec(any::<u8>(), 0..200)) {
        let body = [&[tag][..], &body].concat();
        let found = blocks(&file_with_record(&body));
        prop_assert_eq!(found[0].records().count(), 1);
    }

    #[test]
    fn bursts_of_damage_never_change_what_is_read(
        which in 0usize..3,
        at in any::<prop::sample::Index>(),
        burst in prop::collection::vec(any::<u8>(), 1..5),
    ) {
        let capture = samples::all().remove(which);
        let mut hurt = capture.bytes();
        let at = at.index(hurt.len() - burst.len());
        hurt[at..at + burst.len()].copy_from_slice(&burst);
        let found = blocks(&hurt);
        for block in &found {
            let expected = &capture.blocks[(block.header.sequence - capture.first_sequence) as usize];
            let records: Vec<_> = block.records().filter_map(Result::ok).collect();
            prop_assert_eq!(&records, &expected.records);
        }
        // Four bytes touch at most two neighbouring blocks.
        prop_assert!(found.len() + 2 >= capture.blocks.len());
    }
}
