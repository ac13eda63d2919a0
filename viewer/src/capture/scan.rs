//! Reads the blocks of a capture and keeps those that belong to it: each once, of one session.

use std::io::Read;
use std::path::Path;

use plimsoll_format::{
    BLOCK_HEADER_BYTES, BLOCK_MAGIC, Block, BlockHeader, Damage, Item, Reader, Record, Span, UnknownRecord,
};

use crate::model::BlockGap;

use super::error::LoadError;
use super::files::{READ_BYTES, SegmentFile, read_some};

/// Missing ranges of sequence numbers that are remembered; in a file with more, late blocks count as copies.
const MAX_GAPS: usize = 4096;
/// Bytes read behind a block that is passed over.
const HEADERS_BYTES: usize = 1 << 10;

/// What a scan meets, in order; records as they are, or what was made of them.
#[derive(Debug)]
pub enum Found<'a, R = Record> {
    /// A file begins.
    Segment {
        /// Its number.
        number: u32,
        /// Where it is.
        path: &'a Path,
    },
    /// A whole block; its records follow when it is kept.
    Block {
        /// Where in the file.
        offset: u64,
        /// Its fixed part.
        header: BlockHeader,
        /// Whether it is kept.
        fate: BlockFate,
    },
    /// A record of a kept block.
    Record(R),
    /// A record of a kept block that was skipped.
    Unknown(UnknownRecord),
    /// Bytes that belong to no whole block.
    Damage(Damage),
    /// Blocks that were missing before the last one: told before its records.
    Gap(BlockGap),
}

/// Whether a block is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockFate {
    /// It is read.
    Kept,
    /// It is read, though later ones came before it.
    Late,
    /// A copy of one that was read.
    Copy,
    /// It belongs to another session.
    Foreign,
    /// Its codec is unknown, or its payload is not what its codec makes.
    Unreadable,
    /// It holds only events that are not asked for, and was not looked at.
    PassedOver {
        /// None of its events is stamped earlier.
        first_ticks: u64,
    },
}

/// What a reader meets; the records of a block are still to be decoded.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Segment { number: u32, path: &'a Path },
    Block { block: Block, fate: BlockFate, gap: Option<BlockGap>, without_events: bool },
    PassedOver { offset: u64, header: BlockHeader, fate: BlockFate, gap: Option<BlockGap> },
    Damage(Damage),
}

/// Takes a piece; false when nobody listens any more.
pub(super) type Give<'g, 'a> = dyn FnMut(Piece<'a>) -> bool + 'g;

/// Says whether any event from one moment to another is asked for.
pub(super) type Wanted<'w> = dyn Fn(u64, u64) -> bool + Sync + 'w;

/// What a reader is to read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) files: &'a [SegmentFile],
    pub(super) session: u64,
    /// Blocks that hold only other events are passed over.
    pub(super) wanted: &'a Wanted<'a>,
    pub(super) progress: Option<&'a (dyn Fn(u64, u64) + Send + Sync)>,
}

/// Reads all files and gives everything in them.
pub(super) fn read<'a>(source: &Source<'a>, give: &mut Give<'_, 'a>) -> Result<(), LoadError> {
    let total = source.files.iter().map(|file| file.bytes).sum();
    let mut before = 0;
    let mut sequence = Sequence::default();
    for file in source.files {
        sequence.segment(file.number);
        let progress = |at: u64| {
            if let Some(progress) = source.progress {
                progress(before + at, total);
            }
        };
        let mut reader = FileReader { file, source, reader: Reader::new(), span: None, at: 0, progress: &progress };
        let segment = Piece::Segment { number: file.number, path: &file.path };
        if !give(segment) || !reader.read(&mut sequence, give)? {
            return Ok(());
        }
        before += file.bytes;
    }
    Ok(())
}

/// Goes through one file.
struct FileReader<'a, 's> {
    file: &'a SegmentFile,
    source: &'s Source<'a>,
    reader: Reader,
    /// What the block before said of the next one, which is not wanted.
    span: Option<Span>,
    /// Where the file is read next.
    at: u64,
    progress: &'s dyn Fn(u64),
}

impl<'a> FileReader<'a, '_> {
    /// False when nobody listens any more.
    fn read(&mut self, sequence: &mut Sequence, give: &mut Give<'_, 'a>) -> Result<bool, LoadError> {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let count = read_some(&mut self.file.bytes_from(self.at)?, &mut buffer, self.file)?;
            self.at += count as u64;
            match buffer.get(..count) {
                Some(filled) if count > 0 => self.reader.feed(filled),
                _ => self.reader.end(),
            }
            if !self.give_all(sequence, give, count == 0)? {
                return Ok(false);
            }
            (self.progress)(self.at);
            if count == 0 {
                return Ok(true);
            }
        }
    }

    /// Gives what can be told of the bytes so far.
    fn give_all(&mut self, sequence: &mut Sequence, give: &mut Give<'_, 'a>, ended: bool) -> Result<bool, LoadError> {
        loop {
            if let Some(span) = self.span {
                if self.reader.pending_bytes() < BLOCK_HEADER_BYTES && !ended {
                    return Ok(true);
                }
                self.span = None;
                if let Some((offset, header)) = self.pass_over(&span)? {
                    let (mut fate, gap) = sequence.take(header.sequence);
                    if matches!(fate, BlockFate::Kept | BlockFate::Late) {
                        fate = BlockFate::PassedOver { first_ticks: span.first_ticks };
                    }
                    if !give(Piece::PassedOver { offset, header, fate, gap }) {
                        return Ok(false);
                    }
                    (self.progress)(self.at);
                    continue;
                }
            }
            let is_heard = match self.reader.next_item() {
                None => return Ok(true),
                Some(Item::Damage(damage)) => give(Piece::Damage(damage)),
                Some(Item::Block(block)) => {
                    let is_ours = block.header.session == self.source.session;
                    let is_wanted = |span: &Span| (self.source.wanted)(span.first_ticks, span.last_ticks);
                    self.span = block.span().filter(|span| is_ours && !is_wanted(span));
                    let without_events = self.file.events_until.is_some_and(|until| block.offset >= until);
                    give_block(block, (is_ours, without_events), sequence, give)
                }
            };
            if !is_heard {
                return Ok(false);
            }
        }
    }

    /// Passes over the next block when it is the one that the span is of, and ends where another begins or the file
    /// ends: a damaged one is read, so that what is left in it is found.
    fn pass_over(&mut self, span: &Span) -> Result<Option<(u64, BlockHeader)>, LoadError> {
        let Some((offset, header)) = self.reader.peek() else { return Ok(None) };
        let stated = (self.source.session, span.sequence, span.payload_bytes);
        if (header.session, header.sequence, header.payload_bytes) != stated {
            return Ok(None);
        }
        let bytes = BLOCK_HEADER_BYTES as u64 + u64::from(header.payload_bytes);
        let end = offset + bytes;
        // Mostly the next span and the header of its block: one read for each block that is passed over.
        let mut next = Vec::with_capacity(HEADERS_BYTES);
        let mut rest = self.file.bytes_from(end)?.take(HEADERS_BYTES as u64);
        rest.read_to_end(&mut next).map_err(|source| self.file.read_error(source))?;
        if end > self.file.bytes || (end < self.file.bytes && !next.starts_with(&BLOCK_MAGIC)) {
            return Ok(None);
        }
        if self.reader.skip(bytes) > 0 {
            self.at = end + next.len() as u64;
            self.reader.feed(&next);
        }
        Ok(Some((offset, header)))
    }
}

fn give_block(
    block: Block,
    (is_ours, without_events): (bool, bool),
    sequence: &mut Sequence,
    give: &mut Give<'_, '_>,
) -> bool {
    let (mut fate, mut gap) = (BlockFate::Foreign, None);
    if is_ours {
        (fate, gap) = sequence.take(block.header.sequence);
    }
    give(Piece::Block { block, fate, gap, without_events })
}

/// Which blocks have been seen, by their sequence numbers.
#[derive(Debug, Default)]
pub(crate) struct Sequence {
    next: Option<u64>,
    /// Missing so far: first number and the one after the last.
    gaps: Vec<(u64, u64)>,
    segment: Option<u32>,
}

impl Sequence {
    /// A file begins. After dropped segments, and at the first one, the numbers may start anywhere.
    pub(crate) fn segment(&mut self, number: u32) {
        if self.segment.is_none_or(|last| last.checked_add(1) != Some(number)) {
            self.next = None;
        }
        self.segment = Some(number);
    }

    /// What becomes of a block, and the blocks that are missing before it.
    pub(crate) fn take(&mut self, number: u64) -> (BlockFate, Option<BlockGap>) {
        let next = self.next.unwrap_or(number);
        if number >= next {
            self.next = Some(number.saturating_add(1));
            let gap = (number > next).then(|| BlockGap { first: next, blocks: number - next });
            if gap.is_some() && self.gaps.len() < MAX_GAPS {
                self.gaps.push((next, number));
            }
            return (BlockFate::Kept, gap);
        }
        let Some(at) = self.gaps.iter().position(|gap| (gap.0..gap.1).contains(&number)) else {
            return (BlockFate::Copy, None);
        };
        let (first, end) = self.gaps.swap_remove(at);
        self.gaps.extend([(first, number), (number + 1, end)].into_iter().filter(|gap| gap.0 < gap.1));
        (BlockFate::Late, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_taken_once_and_gaps_are_told() {
        let mut sequence = Sequence::default();
        sequence.segment(0);
        assert_eq!(sequence.take(0), (BlockFate::Kept, None));
        assert_eq!(sequence.take(0), (BlockFate::Copy, None));
        // 1 to 3 are missing: three blocks.
        assert_eq!(sequence.take(4), (BlockFate::Kept, Some(BlockGap { first: 1, blocks: 3 })));
        assert_eq!(sequence.take(2), (BlockFate::Late, None));
        assert_eq!(sequence.take(2), (BlockFate::Copy, None));
        assert_eq!(sequence.take(3), (BlockFate::Late, None));
        assert_eq!(sequence.take(1), (BlockFate::Late, None));
        assert_eq!(sequence.take(u64::MAX).0, BlockFate::Kept);
    }

    #[test]
    fn dropped_segments_leave_no_gap_but_a_lost_block_between_files_does() {
        let mut sequence = Sequence::default();
        sequence.segment(3);
        assert_eq!(sequence.take(40), (BlockFate::Kept, None));
        sequence.segment(4);
        assert_eq!(sequence.take(42), (BlockFate::Kept, Some(BlockGap { first: 41, blocks: 1 })));
        sequence.segment(6);
        assert_eq!(sequence.take(90), (BlockFate::Kept, None));
    }
}
