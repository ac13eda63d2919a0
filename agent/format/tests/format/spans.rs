//! Spans: which blocks get one, and passing over the block behind it.

use plimsoll_format::{Block, BlockWriter, Item, PackState, Reader, Record, SPAN_FROM_BYTES, Span};

use crate::samples::{self, alloc, pack};

fn read_all(bytes: &[u8]) -> Vec<Block> {
    let mut reader = Reader::new();
    reader.feed(bytes);
    reader.end();
    let block = |item| if let Item::Block(block) = item { block } else { panic!("{item:?}") };
    std::iter::from_fn(|| reader.next_item()).map(block).collect()
}

/// Pushes events until the block has `bytes`; each record's first stamp is `ticks`, its last one 9 more.
fn fill(writer: &mut BlockWriter, bytes: usize, ticks: u64) {
    while writer.pending_bytes() < bytes {
        let events: Vec<_> = (0..10).map(|at| alloc(ticks + at, 0x1000 * at, 64, 1)).collect();
        assert!(writer.push_events(pack(PackState::default(), &events).0, ticks, ticks + 9));
    }
}

fn span_of(blocks: &[Block], sequence: u64, first_ticks: u64, last_ticks: u64) -> Span {
    let payload_bytes = blocks[sequence as usize].header.payload_bytes;
    Span { sequence, payload_bytes, first_ticks, last_ticks }
}

#[test]
fn large_blocks_of_events_alone_get_a_span() {
    for is_compressed in [false, cfg!(feature = "zstd")] {
        let mut writer = BlockWriter::new(samples::SESSION);
        assert!(!is_compressed || writer.compress_with_zstd());
        let mut bytes = Vec::new();
        // 0, 1: a span and its block, of two times in any order.
        fill(&mut writer, SPAN_FROM_BYTES / 2, 500);
        fill(&mut writer, SPAN_FROM_BYTES, 100);
        assert!(writer.has_only_events() && !writer.has_no_events());
        writer.finish(&mut bytes);
        // 2: too small.
        fill(&mut writer, SPAN_FROM_BYTES / 2, 600);
        writer.finish(&mut bytes);
        // 3: something else is in it.
        fill(&mut writer, SPAN_FROM_BYTES, 700);
        assert!(writer.push(&Record::Watermark { ticks: 800 }));
        assert!(!writer.has_only_events() && !writer.has_no_events());
        writer.finish(&mut bytes);
        // 4: no events. 5, 6: what came before is forgotten.
        assert!(writer.push(&Record::Watermark { ticks: 900 }));
        assert!(!writer.has_only_events() && writer.has_no_events());
        writer.finish(&mut bytes);
        fill(&mut writer, SPAN_FROM_BYTES, 1_000);
        writer.finish(&mut bytes);
        let blocks = read_all(&bytes);
        assert!(blocks.iter().map(|block| block.header.sequence).eq(0..7));
        let spans: Vec<_> = blocks.iter().filter_map(Block::span).collect();
        assert_eq!(spans, [span_of(&blocks, 1, 100, 509), span_of(&blocks, 6, 1_000, 1_009)]);
        assert_eq!(writer.next_sequence(), 7);
    }
}

#[test]
fn events_of_unknown_time_leave_a_block_without_a_span() {
    let mut writer = BlockWriter::new(samples::SESSION);
    fill(&mut writer, SPAN_FROM_BYTES, 100);
    assert!(writer.push(&Record::Events(pack(PackState::default(), &[alloc(5, 0x10, 1, 1)]).0)));
    let mut bytes = Vec::new();
    writer.finish(&mut bytes);
    assert!(read_all(&bytes).iter().all(|block| block.span().is_none()));
}

/// Passes over the block behind each span, feeding the reader `piece` bytes at a time and leaving out what it leaves out.
#[test]
fn a_block_can_be_passed_over_without_being_fed() {
    let file = samples::spanned().bytes();
    for piece in 1..=file.len() {
        let (mut reader, mut at, mut span, mut sequences) = (Reader::new(), 0, None, Vec::new());
        loop {
            if let Some((offset, header)) = reader.peek()
                && span.take().is_some_and(|span: Span| span.sequence == header.sequence)
            {
                assert_eq!(file[offset as usize..][..4], plimsoll_format::BLOCK_MAGIC);
                let bytes = plimsoll_format::BLOCK_HEADER_BYTES as u64 + u64::from(header.payload_bytes);
                at += reader.skip(bytes) as usize;
                continue;
            }
            // The header of a block that may be passed over has to be there before the block is asked for.
            let has_header = reader.pending_bytes() >= plimsoll_format::BLOCK_HEADER_BYTES;
            match if span.is_none() || has_header { reader.next_item() } else { None } {
                Some(Item::Block(block)) => {
                    span = block.span();
                    sequences.push(block.header.sequence);
                }
                Some(Item::Damage(damage)) => panic!("{damage:?}"),
                None if at == file.len() => break,
                None => {
                    let end = (at + piece).min(file.len());
                    reader.feed(&file[at..end]);
                    at = end;
                }
            }
        }
        assert_eq!(sequences, [0, 1, 3, 5], "{piece} bytes at a time");
    }
}
