//! Reads the blocks of a capture and keeps those that belong to it: each once, of one session.

use std::path::Path;

use plimsoll_format::{Block, BlockHeader, Damage, Item, Reader, Record, UnknownRecord};

use crate::model::BlockGap;

use super::error::LoadError;
use super::files::{READ_BYTES, SegmentFile, read_some};

/// Missing ranges of sequence numbers that are remembered; in a file with more, late blocks count as copies.
const MAX_GAPS: usize = 4096;

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
}

/// What a reader meets; the records of a block are still to be decoded.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Segment { number: u32, path: &'a Path },
    Block { block: Block, fate: BlockFate, gap: Option<BlockGap> },
    Damage(Damage),
}

/// Takes a piece; false when nobody listens any more.
pub(super) type Give<'g, 'a> = dyn FnMut(Piece<'a>) -> bool + 'g;

/// Reads all files and gives everything in them.
pub(super) fn read<'a>(
    files: &'a [SegmentFile],
    session: u64,
    progress: Option<&(dyn Fn(u64, u64) + Send + Sync)>,
    give: &mut Give<'_, 'a>,
) -> Result<(), LoadError> {
    let total = files.iter().map(|file| file.bytes).sum();
    let mut done = 0;
    let mut sequence = Sequence::default();
    let mut buffer = vec![0; READ_BYTES];
    for file in files {
        sequence.segment(file.number);
        let mut is_heard = give(Piece::Segment { number: file.number, path: &file.path });
        let mut reader = Reader::new();
        let mut input = file.bytes_from_start()?;
        loop {
            let count = read_some(&mut input, &mut buffer, file)?;
            match buffer.get(..count) {
                Some(filled) if count > 0 => reader.feed(filled),
                _ => reader.end(),
            }
            while let Some(item) = reader.next_item() {
                is_heard &= match item {
                    Item::Damage(damage) => give(Piece::Damage(damage)),
                    Item::Block(block) => give_block(block, session, &mut sequence, give),
                };
                if !is_heard {
                    return Ok(());
                }
            }
            done += count as u64;
            if let Some(progress) = progress {
                progress(done, total);
            }
            if count == 0 {
                break;
            }
        }
    }
    Ok(())
}

fn give_block(block: Block, session: u64, sequence: &mut Sequence, give: &mut Give<'_, '_>) -> bool {
    let (mut fate, mut gap) = (BlockFate::Foreign, None);
    if block.header.session == session {
        (fate, gap) = sequence.take(block.header.sequence);
    }
    give(Piece::Block { block, fate, gap })
}

/// Which blocks have been seen, by their sequence numbers.
#[derive(Default)]
struct Sequence {
    next: Option<u64>,
    /// Missing so far: first number and the one after the last.
    gaps: Vec<(u64, u64)>,
    segment: Option<u32>,
}

impl Sequence {
    /// A file begins. After dropped segments, and at the first one, the numbers may start anywhere.
    fn segment(&mut self, number: u32) {
        if self.segment.is_none_or(|last| last.checked_add(1) != Some(number)) {
            self.next = None;
        }
        self.segment = Some(number);
    }

    fn take(&mut self, number: u64) -> (BlockFate, Option<BlockGap>) {
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
