//! Damaged files: every whole block is recovered, everything else is reported as damage, nothing panics.

use plimsoll_format::{BLOCK_HEADER_BYTES, Block, Damage, FILE_HEADER_BYTES, Item, Reader, Record, parse_file_header};

use crate::samples;

/// The capture that is hurt, its blocks' own bytes, and what they hold.
struct Victim {
    file: Vec<u8>,
    blocks: Vec<Vec<u8>>,
    records: Vec<Vec<Record>>,
}

fn victim() -> Victim {
    victim_of(&samples::all().remove(0))
}

fn victim_of(capture: &samples::Capture) -> Victim {
    let blocks = capture.block_bytes();
    let records = capture.blocks.iter().map(|block| block.records.clone()).collect();
    Victim { file: capture.bytes(), blocks, records }
}

/// Everything in `file`, fed in pieces of `piece` bytes.
fn read_in_pieces(file: &[u8], piece: usize) -> (Vec<Block>, Vec<Damage>) {
    let mut reader = Reader::new();
    let mut found = (Vec::new(), Vec::new());
    let take = |reader: &mut Reader, found: &mut (Vec<Block>, Vec<Damage>)| {
        while let Some(item) = reader.next_item() {
            match item {
                Item::Block(block) => found.0.push(block),
                Item::Damage(damage) => found.1.push(damage),
            }
        }
    };
    for bytes in file.chunks(piece) {
        reader.feed(bytes);
        take(&mut reader, &mut found);
    }
    reader.end();
    take(&mut reader, &mut found);
    assert_eq!(reader.pending_bytes(), 0, "every byte is accounted for");
    found
}

/// Everything in `file`; the same whether it comes at once or in pieces.
fn read(file: &[u8]) -> (Vec<Block>, Vec<Damage>) {
    let at_once = read_in_pieces(file, file.len().max(1));
    let in_pieces = read_in_pieces(file, 97);
    assert_eq!(offsets(&at_once.0), offsets(&in_pieces.0));
    assert_eq!(at_once.1, in_pieces.1);
    at_once
}

fn offsets(blocks: &[Block]) -> Vec<u64> {
    blocks.iter().map(|block| block.offset).collect()
}

fn records(block: &Block) -> Vec<Record> {
    block.records().map(|record| record.expect("a whole block of this version decodes")).collect()
}

#[test]
fn cut_anywhere_all_complete_blocks_are_recovered() {
    for capture in samples::all() {
        let file = capture.bytes();
        let mut ends = vec![];
        let mut end = FILE_HEADER_BYTES;
        for bytes in capture.block_bytes() {
            end += bytes.len();
            ends.push(end);
        }
        for length in 0..=file.len() {
            let (blocks, damage) = read(&file[..length]);
            // Complete blocks are those whose last byte is in; so the count never falls as the file grows.
            let complete = ends.iter().filter(|end| **end <= length).count();
            assert_eq!(blocks.len(), complete, "cut to {length} bytes");
            for (block, expected) in blocks.iter().zip(&capture.blocks) {
                assert_eq!(records(block), expected.records);
            }
            // What is left over is one region that reaches the end.
            let whole = ends.iter().rev().find(|end| **end <= length).copied();
            let begin = whole.unwrap_or(if length < FILE_HEADER_BYTES { 0 } else { FILE_HEADER_BYTES });
            let expected = (length > begin).then(|| (begin as u64, (length - begin) as u64, true));
            let found: Vec<_> = damage.iter().map(|damage| (damage.offset, damage.bytes, damage.at_end)).collect();
            assert_eq!(found, Vec::from_iter(expected), "cut to {length} bytes");
        }
    }
}

#[test]
fn any_flipped_bit_costs_one_block_at_most() {
    flip_every_bit(&victim());
    samples::all().iter().filter(|capture| capture.compressed).for_each(|capture| flip_every_bit(&victim_of(capture)));
}

fn flip_every_bit(victim: &Victim) {
    let Victim { file, blocks, records: expected } = victim;
    for bit in 0..file.len() * 8 {
        let mut hurt = file.clone();
        hurt[bit / 8] ^= 1 << (bit % 8);
        let mut hit = None;
        let mut begin = FILE_HEADER_BYTES;
        for (number, block) in blocks.iter().enumerate() {
            if (begin..begin + block.len()).contains(&(bit / 8)) {
                hit = Some((number, begin as u64, block.len() as u64));
            }
            begin += block.len();
        }
        let (found, damage) = read_in_pieces(&hurt, hurt.len());
        let lost = hit.map(|(number, ..)| number);
        let kept: Vec<_> = expected.iter().enumerate().filter(|(number, _)| Some(*number) != lost).collect();
        assert_eq!(found.len(), kept.len(), "bit {bit}");
        for (block, (number, records_of_block)) in found.iter().zip(kept) {
            assert_eq!(block.header.sequence, number as u64);
            assert_eq!(records(block), *records_of_block, "bit {bit}");
        }
        match hit {
            Some((_, offset, bytes)) => {
                let at_end = offset + bytes == hurt.len() as u64;
                assert_eq!(damage, [Damage { offset, bytes, zeros: false, at_end }], "bit {bit}");
            }
            // The file header: a wrong magic is reported as damage, the rest by its CRC.
            None => {
                assert_eq!(parse_file_header(&hurt), None, "bit {bit}");
                assert_eq!(damage.len(), usize::from(bit < 64), "bit {bit}");
            }
        }
    }
}

#[test]
fn zeros_and_junk_are_reported_once_each() {
    let Victim { file, blocks, .. } = victim();
    let end = file.len() as u64;
    let zeros = [file.clone(), vec![0; 5_000]].concat();
    let (found, damage) = read(&zeros);
    assert_eq!(found.len(), blocks.len());
    assert_eq!(damage, [Damage { offset: end, bytes: 5_000, zeros: true, at_end: true }]);

    // Junk that is full of false starts: block magics with impossible and with unkept lengths.
    let mut junk = Vec::new();
    for length in [u32::MAX, 1_000, 0] {
        junk.extend_from_slice(&[0xf5, 0x50, 0x4c, 0xb1, 0, 0, 0, 0]);
        junk.extend_from_slice(&length.to_le_bytes());
        junk.extend_from_slice(&[0xf5; 50]);
    }
    let (found, damage) = read(&[file.clone(), junk.clone()].concat());
    assert_eq!(found.len(), blocks.len());
    assert_eq!(damage, [Damage { offset: end, bytes: junk.len() as u64, zeros: false, at_end: true }]);

    let between = [&file[..FILE_HEADER_BYTES], &blocks[0], &junk, &blocks[1], &[0; 9], &blocks[2]].concat();
    let (found, damage) = read(&between);
    assert_eq!(found.len(), 3);
    let first = (FILE_HEADER_BYTES + blocks[0].len()) as u64;
    let second = first + (junk.len() + blocks[1].len()) as u64;
    let expected = [
        Damage { offset: first, bytes: junk.len() as u64, zeros: false, at_end: false },
        Damage { offset: second, bytes: 9, zeros: true, at_end: false },
    ];
    assert_eq!(damage, expected);
}

#[test]
fn doubled_swapped_and_lost_blocks_show_in_their_sequence() {
    let Victim { file, blocks, records: expected } = victim();
    let sequences = |order: &[usize]| -> Vec<u64> {
        let parts = order.iter().map(|number| blocks[*number].clone());
        let hurt = [vec![file[..FILE_HEADER_BYTES].to_vec()], parts.collect()].concat().concat();
        let (found, damage) = read(&hurt);
        assert_eq!(damage, []);
        found.iter().for_each(|block| assert_eq!(records(block), expected[block.header.sequence as usize]));
        found.iter().map(|block| block.header.sequence).collect()
    };
    assert_eq!(sequences(&[0, 1, 1, 2]), [0, 1, 1, 2]);
    assert_eq!(sequences(&[0, 2, 1]), [0, 2, 1]);
    assert_eq!(sequences(&[0, 2]), [0, 2]);
    assert_eq!(sequences(&[2]), [2]);
}

#[test]
fn of_two_captures_in_one_file_both_are_read() {
    let Victim { file, blocks, .. } = victim();
    let (found, damage) = read(&[file.clone(), file.clone()].concat());
    assert_eq!(found.len(), 2 * blocks.len());
    // The second file header is no block.
    let offset = file.len() as u64;
    let bytes = FILE_HEADER_BYTES as u64;
    assert_eq!(damage, [Damage { offset, bytes, zeros: false, at_end: false }]);
}

#[test]
fn a_block_that_is_still_being_written_is_waited_for() {
    let Victim { file, blocks, .. } = victim();
    let first = FILE_HEADER_BYTES + blocks[0].len();
    let mut reader = Reader::new();
    reader.feed(&file[..first + BLOCK_HEADER_BYTES + 3]);
    assert!(matches!(reader.next_item(), Some(Item::Block(_))));
    assert!(reader.next_item().is_none(), "the second block has only begun");
    reader.feed(&file[first + BLOCK_HEADER_BYTES + 3..]);
    assert!(matches!(reader.next_item(), Some(Item::Block(block)) if block.header.sequence == 1));
}
