//! Compressed blocks: what goes in comes out, plain where that is smaller; and frames that lie or are damaged inside a
//! valid CRC give no records, no panic and no memory beyond the cap.

use plimsoll_format::{
    BLOCK_HEADER_BYTES, Block, BlockWriter, Codec, Events, Item, MAX_BLOCK_BYTES, MAX_EXPANSION, PackState, Reader,
    Record, UnreadableBlock,
};
use proptest::prelude::*;

use crate::plain::crc32;
use crate::samples;

/// A block around `payload` that states `codec` and `raw_bytes`, with a CRC that holds.
fn block(codec: u8, payload: &[u8], raw_bytes: usize) -> Block {
    let mut bytes = [0xf5, 0x50, 0x4c, 0xb1, codec, 0, 0, 0].to_vec();
    bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&(raw_bytes as u32).to_le_bytes());
    bytes.resize(BLOCK_HEADER_BYTES - 4, 0);
    let crc = crc32(&[&bytes[4..], payload].concat());
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes.extend_from_slice(payload);
    let mut reader = Reader::new();
    reader.feed(&bytes);
    reader.end();
    let Some(Item::Block(block)) = reader.next_item() else { panic!("a whole block") };
    block
}

fn markers(names: &[String]) -> Vec<Record> {
    (0..).zip(names).map(|(ticks, name)| Record::Marker { ticks, name: name.clone() }).collect()
}

/// One block with `records`, as the writer makes it.
fn written(records: &[Record]) -> Vec<u8> {
    let mut writer = BlockWriter::new(samples::SESSION);
    assert!(writer.compress_with_zstd());
    records.iter().for_each(|record| assert!(writer.push(record)));
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    bytes
}

fn read(bytes: &[u8]) -> Block {
    let mut reader = Reader::new();
    reader.feed(bytes);
    reader.end();
    let Some(Item::Block(block)) = reader.next_item() else { panic!("a whole block") };
    block
}

fn records(block: &Block) -> Vec<Record> {
    block.try_records().expect("readable").map(|record| record.expect("known")).collect()
}

#[test]
fn the_sample_holds_compressed_and_plain_blocks() {
    let codecs = samples::compressed().block_bytes().iter().map(|bytes| read(bytes).header.codec).collect::<Vec<_>>();
    assert_eq!(codecs, [Codec::Zstd, Codec::Zstd, Codec::None]);
}

#[test]
fn a_writer_compresses_block_after_block_with_one_context() {
    let mut writer = BlockWriter::new(samples::SESSION);
    assert_eq!(writer.compressor_bytes(), 0);
    assert!(writer.compress_with_zstd());
    let mut sizes = Vec::new();
    for number in 0..300u64 {
        let names: Vec<String> = (0..500).map(|name| format!("marker {} of {number}", name * number % 97)).collect();
        markers(&names).iter().for_each(|record| assert!(writer.push(record)));
        let mut bytes = Vec::new();
        writer.finish(&mut bytes);
        assert_eq!(records(&read(&bytes)), markers(&names));
        sizes.push(writer.compressor_bytes());
    }
    assert!(sizes[0] > 0 && sizes.iter().all(|size| *size <= sizes[0].max(1 << 20)), "{sizes:?}");
}

#[test]
fn what_does_not_shrink_or_shrinks_too_well_is_stored_plain() {
    // Bytes of a good random number generator do not shrink.
    let mut state = 1u64;
    let noise = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    });
    let noise = Record::Events(Events {
        packing: 1,
        state: PackState::default(),
        count: 1,
        packed: noise.take(10_000).collect(),
    });
    // A million equal letters shrink some thousand times, more than a reader has to take.
    let letters = Record::Marker { ticks: 1, name: "a".repeat(1 << 20) };
    for record in [noise, letters] {
        let block = read(&written(std::slice::from_ref(&record)));
        assert_eq!(block.header.codec, Codec::None, "{} bytes", block.header.raw_bytes);
        assert_eq!((records(&block), block.header.payload_bytes), (vec![record], block.header.raw_bytes));
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    let whole = written(&markers(&vec!["a name".to_owned(); 50]));
    let raw_bytes = read(&whole).header.raw_bytes as usize;
    let frame = &whole[BLOCK_HEADER_BYTES..];
    assert_eq!(records(&block(1, frame, raw_bytes)).len(), 50);
    for lie in [0, 1, raw_bytes - 1, raw_bytes + 1, frame.len() * MAX_EXPANSION, MAX_BLOCK_BYTES] {
        let block = block(1, frame, lie);
        assert!(matches!(block.try_records(), Err(UnreadableBlock::Payload(_))), "{lie}");
        assert_eq!(block.records().count(), 0);
    }
    // Nor may anything stand behind the frame.
    let twice = [frame, frame].concat();
    assert!(block(1, &twice, raw_bytes).try_records().is_err());
    assert!(block(1, &[frame, &[0]].concat(), raw_bytes).try_records().is_err());
}

/// `Events` as written with packing 2: what the crate makes of it.
fn columns(packed: &[u8], count: u32) -> Events {
    let mut writer = BlockWriter::new(samples::SESSION);
    let events = Events { packing: 2, state: PackState::default(), count, packed: packed.to_vec() };
    assert!(writer.push(&Record::Events(events)));
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    let Some(Record::Events(events)) = records(&read(&bytes)).pop() else { panic!("events were written") };
    events
}

/// Section 6, by hand: tag 7, an allocation (ticks 5, address 6, size 300 = ac 02, stack 8), its free (9, 1).
#[test]
fn columns_are_as_described_and_lies_in_them_are_refused() {
    let rows = [8, 7, 0, 5, 6, 0xac, 2, 8, 1, 9, 1];
    let sorted = [4, 2, 2, 2, 8, 7, 0, 1, 5, 9, 6, 1, 0xac, 2, 8];
    let read = columns(&sorted, 2);
    assert_eq!((read.packing, &read.packed[..]), (1, &rows[..]));
    for count in [0, 1, 3, u32::MAX] {
        assert_eq!(columns(&sorted, count).packing, 2, "{count} events");
    }
    for length in 0..sorted.len() {
        assert_eq!(columns(&sorted[..length], 2).packing, 2, "cut to {length}");
    }
    let longer = [&sorted[..], &[1]].concat();
    assert_eq!(columns(&longer, 2).packing, 2, "a number too many");
    for (at, lie) in [(0, 3), (0, 5), (1, 1), (3, 13), (0, 0xff), (4, 5), (7, 20)] {
        let mut lies = sorted;
        lies[at] = lie;
        let read = columns(&lies, 2);
        assert_eq!((read.packing, &read.packed[..]), (2, &lies[..]), "{lie} at {at}");
    }
    let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0];
    assert_eq!(columns(&huge, 0).packing, 2);
}

/// A frame that expands 20,000 times: refused by what it claims, and by its cap when it claims less.
#[test]
fn bombs_are_refused_before_they_go_off() {
    let zeros = vec![0u8; MAX_BLOCK_BYTES];
    let mut bomb = Vec::with_capacity(zstd_safe::compress_bound(zeros.len()));
    zstd_safe::compress(&mut bomb, &zeros, 19).expect("room");
    assert!(bomb.len() * 20_000 < zeros.len());
    let claims = block(1, &bomb, MAX_BLOCK_BYTES).try_records().expect_err("too much");
    assert_eq!(
        claims.to_string(),
        format!(
            "unreadable block: {} bytes claim to hold 4194304, more than {}",
            bomb.len(),
            bomb.len() * MAX_EXPANSION
        )
    );
    assert!(block(1, &bomb, bomb.len() * MAX_EXPANSION).try_records().is_err());
}

#[test]
fn frames_cut_or_hurt_inside_a_valid_crc_are_survived() {
    let capture = samples::compressed();
    let whole = &capture.block_bytes()[1];
    let raw_bytes = read(whole).header.raw_bytes as usize;
    let frame = &whole[BLOCK_HEADER_BYTES..];
    for length in 0..frame.len() {
        assert!(block(1, &frame[..length], raw_bytes).try_records().is_err(), "cut to {length}");
    }
    let mut unreadable = 0;
    for bit in 0..frame.len() * 8 {
        let mut hurt = frame.to_vec();
        hurt[bit / 8] ^= 1 << (bit % 8);
        let hurt = block(1, &hurt, raw_bytes);
        unreadable += usize::from(hurt.try_records().is_err());
        // What still decompresses are other records, or none that decode: no more than there are bytes.
        assert!(hurt.records().count() <= raw_bytes);
    }
    assert!(unreadable > 0);
}

proptest! {
    /// What comes out of a compressed block is what went in, whether or not it is as written.
    #[test]
    fn events_of_any_bytes_come_back(packed in prop::collection::vec(prop_oneof![0u8..11, any::<u8>()], 0..40), count in 0u32..20) {
        let events = Events { packing: 1, state: PackState::default(), count, packed };
        let read = records(&read(&written(&[Record::Events(events.clone())])));
        prop_assert_eq!(&read, &[Record::Events(events)]);
    }

    #[test]
    fn any_bytes_for_a_frame_are_survived(mut payload in prop::collection::vec(any::<u8>(), 0..300), raw_bytes in 0usize..20_000, magic: bool) {
        if magic {
            payload.splice(0..payload.len().min(4), [0x28, 0xb5, 0x2f, 0xfd]);
        }
        let block = block(1, &payload, raw_bytes);
        prop_assert!(block.records().count() <= raw_bytes);
    }
}
