//! Reads what comes to a growing file, block by block, and nothing twice: it remembers where the last whole block ended.
//!
//! A block of which a part is missing waits for the rest. So does one whose checksum does not hold at the end of the file,
//! since it may still be written; when blocks follow it, or more than a block's length does, it is damage and counted.
//! Blocks of events are passed over unread where the capture says what they are.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use plimsoll_format::{
    BLOCK_HEADER_BYTES, BLOCK_MAGIC, Block, BlockHeader, FILE_HEADER_BYTES, Item, MAX_BLOCK_BYTES, Reader, Span,
    file_header,
};

/// Bytes read at once.
const READ_BYTES: usize = 256 << 10;
/// Bytes read in one call at most, so that a long capture is caught up with in steps.
const STEP_BYTES: u64 = 32 << 20;
/// A whole block is not longer.
const BLOCK_BYTES: u64 = (BLOCK_HEADER_BYTES + MAX_BLOCK_BYTES) as u64;

/// What comes next in a file.
pub(super) enum Piece {
    /// A whole block.
    Block(Block),
    /// A block of events that was not read.
    PassedOver(BlockHeader),
    /// So many bytes that belong to no whole block.
    Damage(u64),
}

/// What became of the file since it was read last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// It has grown, or not.
    Grown,
    /// It is shorter than what was read of it: it is read from its start again.
    Cut,
}

/// A file under way.
#[derive(Debug)]
pub(super) struct FileTail {
    path: PathBuf,
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    /// Everything before was given.
    settled: u64,
    /// Where reading stopped: from `settled` to here nothing whole was found.
    seen: u64,
    /// Length and time of the last write when it was looked at last.
    stamp: Option<(u64, SystemTime)>,
    /// What the last block says of the one after it.
    span: Option<Span>,
}

impl FileTail {
    /// Opens a regular file to read it from its start.
    pub(super) fn open(path: &Path) -> io::Result<FileTail> {
        // Asked before it is opened: opening a pipe would wait for its other end.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        Ok(FileTail {
            path: path.to_owned(),
            file,
            identity: (metadata.dev(), metadata.ino()),
            settled: 0,
            seen: 0,
            stamp: None,
            span: None,
        })
    }

    /// Whether the file that now has this name is another one; `None` when there is none.
    pub(super) fn is_replaced(&self) -> Option<bool> {
        let metadata = fs::metadata(&self.path).ok()?;
        Some((metadata.dev(), metadata.ino()) != self.identity)
    }

    /// Time of the last write, as far as it was looked at.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.stamp.map(|(_, modified)| modified)
    }

    /// Bytes that were not read yet.
    pub(super) fn behind_bytes(&self) -> u64 {
        self.stamp.map_or(0, |(length, _)| length.saturating_sub(self.seen))
    }

    /// Bytes at the end of the file in which no whole block was found so far.
    pub(super) fn pending_bytes(&self) -> u64 {
        self.stamp.map_or(0, |(length, _)| length.saturating_sub(self.settled))
    }

    /// Bytes given so far.
    pub(super) fn settled_bytes(&self) -> u64 {
        self.settled
    }

    /// Gives what has come since the last call.
    pub(super) fn poll(&mut self, take: &mut dyn FnMut(Piece)) -> io::Result<Change> {
        let metadata = self.file.metadata()?;
        let length = metadata.len();
        let stamp = Some((length, metadata.modified()?));
        let mut change = Change::Grown;
        if length < self.seen {
            (self.settled, self.seen, self.span) = (0, 0, None);
            change = Change::Cut;
        } else if stamp == self.stamp && self.seen == length {
            return Ok(Change::Grown);
        }
        self.stamp = stamp;
        self.read(length, take)?;
        Ok(change)
    }

    /// Reads from the end of the last whole block on, and gives what is whole.
    fn read(&mut self, length: u64, take: &mut dyn FnMut(Piece)) -> io::Result<()> {
        let mut reader = Reader::new();
        let mut at = self.settled;
        if at > 0 {
            // Within a file a reader begins as if behind the header.
            reader.feed(&file_header());
            reader.next_item();
        }
        // Where in the file the reader's first byte is.
        let base = at.saturating_sub(FILE_HEADER_BYTES as u64);
        let mut buffer = vec![0; READ_BYTES];
        let mut read = 0;
        loop {
            while self.next(&mut reader, base, (&mut at, length), take)? {}
            self.seen = at;
            let room = length.saturating_sub(at).min(STEP_BYTES.saturating_sub(read));
            let room = usize::try_from(room).unwrap_or(READ_BYTES).min(READ_BYTES);
            let filled = buffer.get_mut(..room).unwrap_or_default();
            let count = self.read_at(filled, at)?;
            if count == 0 {
                break;
            }
            reader.feed(buffer.get(..count).unwrap_or_default());
            at += count as u64;
            read += count as u64;
        }
        self.give_up_on(at, take);
        Ok(())
    }

    /// Gives the next thing that is whole; false when more has to be read first.
    fn next(
        &mut self,
        reader: &mut Reader,
        base: u64,
        (at, length): (&mut u64, u64),
        take: &mut dyn FnMut(Piece),
    ) -> io::Result<bool> {
        if let Some(span) = self.span {
            if reader.pending_bytes() < BLOCK_HEADER_BYTES {
                return Ok(false);
            }
            match self.pass_over(reader, base, &span, length)? {
                Passed::Waits => return Ok(false),
                Passed::Not => self.span = None,
                Passed::Over { end, missing, header } => {
                    (self.span, self.settled) = (None, end);
                    *at += missing;
                    take(Piece::PassedOver(header));
                    return Ok(true);
                }
            }
        }
        match reader.next_item() {
            None => return Ok(false),
            Some(Item::Damage(damage)) => {
                // What was given up on before is a part of it.
                let end = base + damage.offset + damage.bytes;
                take(Piece::Damage(end.saturating_sub(self.settled)));
                self.settled = end;
            }
            Some(Item::Block(block)) => {
                let bytes = BLOCK_HEADER_BYTES as u64 + u64::from(block.header.payload_bytes);
                self.settled = base + block.offset + bytes;
                self.span = block.span();
                take(Piece::Block(block));
            }
        }
        Ok(true)
    }

    /// Passes over the next block when it is the one that the span is of, and ends where another begins or the file does.
    fn pass_over(&self, reader: &mut Reader, base: u64, span: &Span, length: u64) -> io::Result<Passed> {
        let Some((offset, header)) = reader.peek() else { return Ok(Passed::Not) };
        if (header.sequence, header.payload_bytes) != (span.sequence, span.payload_bytes) {
            return Ok(Passed::Not);
        }
        let bytes = BLOCK_HEADER_BYTES as u64 + u64::from(header.payload_bytes);
        let end = base + offset + bytes;
        if end > length {
            return Ok(Passed::Waits);
        }
        let mut next = [0; BLOCK_MAGIC.len()];
        let found = self.read_at(&mut next, end)?;
        if !BLOCK_MAGIC.starts_with(next.get(..found).unwrap_or_default()) {
            return Ok(Passed::Not);
        }
        Ok(Passed::Over { end, missing: reader.skip(bytes), header })
    }

    /// Takes for damage what is too far from the end to become a block.
    fn give_up_on(&mut self, end: u64, take: &mut dyn FnMut(Piece)) {
        if end.saturating_sub(self.settled) <= 2 * BLOCK_BYTES {
            return;
        }
        let until = end - BLOCK_BYTES;
        take(Piece::Damage(until - self.settled));
        (self.settled, self.span) = (until, None);
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        loop {
            match self.file.read_at(buffer, at) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// What became of a block that a span is of.
enum Passed {
    /// It is not there, or does not end where it should: it is read.
    Not,
    /// It is not all there yet.
    Waits,
    /// It was passed over: where it ends, and how many of its bytes need not be read.
    Over { end: u64, missing: u64, header: BlockHeader },
}
