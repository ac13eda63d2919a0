//! Finds the blocks of a capture in a stream of bytes, whatever was done to the file.
//!
//! Never: panics, allocates by a length it has not checked, or takes more than linear time. A damaged region is
//! reported once and skipped up to the next block whose CRC holds.

use crate::block::{BLOCK_HEADER_BYTES, BLOCK_MAGIC, Block, BlockHeader, FILE_HEADER_BYTES, FILE_MAGIC, block_crc};

/// Payload bytes that may be checked in vain, besides sixteen for each byte of the file so far. Chance never comes near;
/// a file that is made of block headers, each claiming megabytes, would else take hours.
const VAIN_BYTES: u64 = 64 << 20;

/// What stands in a capture next.
#[derive(Debug, Clone)]
pub enum Item {
    /// A whole block.
    Block(Block),
    /// Bytes that belong to no whole block.
    Damage(Damage),
}

/// A region of a capture that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Damage {
    /// Byte offset at which it begins.
    pub offset: u64,
    /// Its length.
    pub bytes: u64,
    /// All bytes are zero, as in a file that was extended and never written.
    pub zeros: bool,
    /// It reaches the end of the file: a capture that was cut off, not one that was hurt.
    pub at_end: bool,
}

/// Incremental reader: [`feed`](Reader::feed) it bytes, take [`next_item`](Reader::next_item)s until `None`, and call
/// [`end`](Reader::end) when no more bytes will come.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
    /// Position in `buffer` up to which everything was handed out.
    at: usize,
    /// File offset of `buffer[0]`.
    base: u64,
    ended: bool,
    started: bool,
    damage: Option<Damage>,
    /// Payload bytes whose CRC did not hold.
    vain_bytes: u64,
}

/// What stands at the current position.
enum Found {
    Block(BlockHeader, usize),
    NeedMore,
    Nothing,
}

impl Reader {
    /// A reader at the beginning of a file.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Adds bytes that follow those already fed.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.at > 0 {
            self.buffer.drain(..self.at);
            self.base += self.at as u64;
            self.at = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// Says that no more bytes will come.
    pub fn end(&mut self) {
        self.ended = true;
    }

    /// The header of the block that seems to stand next, and the file offset of its magic: nothing of it is checked but
    /// its magic and its lengths. `None` when something else stands there, or not enough was fed.
    pub fn peek(&self) -> Option<(u64, BlockHeader)> {
        let (header, _) = BlockHeader::parse(self.rest()).filter(|_| self.started && self.damage.is_none())?;
        Some((self.base + self.at as u64, header))
    }

    /// Goes on `bytes` further, whatever stands there. Gives how many of them were not fed yet: the next byte to feed is
    /// the one after them.
    pub fn skip(&mut self, bytes: u64) -> u64 {
        let fed = usize::try_from(bytes).unwrap_or(usize::MAX).min(self.pending_bytes());
        self.at += fed;
        let missing = bytes - fed as u64;
        if missing > 0 {
            self.base += self.buffer.len() as u64 + missing;
            self.buffer.clear();
            self.at = 0;
        }
        missing
    }

    /// Bytes fed and not yet handed out.
    pub fn pending_bytes(&self) -> usize {
        self.buffer.len() - self.at
    }

    /// The next block or damaged region, or `None` until more is fed (or for good, after [`end`](Reader::end)).
    pub fn next_item(&mut self) -> Option<Item> {
        if !self.started && !self.skip_file_header() {
            return None;
        }
        loop {
            match self.look() {
                Found::Block(header, length) => {
                    if let Some(damage) = self.damage.take() {
                        return Some(Item::Damage(damage));
                    }
                    return Some(Item::Block(self.take(header, length)));
                }
                Found::NeedMore => return None,
                Found::Nothing if self.pending_bytes() == 0 => {
                    return self.damage.take().map(|damage| Item::Damage(Damage { at_end: true, ..damage }));
                }
                Found::Nothing => self.skip_damage(),
            }
        }
    }

    /// Skips the file header when it stands at the front; a damaged one is left to the search for blocks.
    fn skip_file_header(&mut self) -> bool {
        let Some(start) = self.buffer.first_chunk::<FILE_HEADER_BYTES>() else {
            self.started = self.ended;
            return self.started;
        };
        if start[..8] == FILE_MAGIC {
            self.at = FILE_HEADER_BYTES;
        }
        self.started = true;
        true
    }

    fn rest(&self) -> &[u8] {
        self.buffer.get(self.at..).unwrap_or_default()
    }

    fn look(&mut self) -> Found {
        let rest = self.rest();
        let missing = if self.ended { Found::Nothing } else { Found::NeedMore };
        if rest.len() < BLOCK_HEADER_BYTES {
            let could_be = rest.iter().zip(BLOCK_MAGIC).all(|(byte, magic)| *byte == magic);
            return if could_be || self.ended { missing } else { Found::Nothing };
        }
        let Some((header, crc)) = BlockHeader::parse(rest) else { return Found::Nothing };
        let length = BLOCK_HEADER_BYTES + header.payload_bytes as usize;
        let Some(payload) = rest.get(BLOCK_HEADER_BYTES..length) else { return missing };
        let is_worth_it = self.vain_bytes <= VAIN_BYTES + 16 * (self.base + self.at as u64);
        if is_worth_it && block_crc(rest, payload) == crc {
            return Found::Block(header, length);
        }
        self.vain_bytes += if is_worth_it { payload.len() as u64 } else { 0 };
        Found::Nothing
    }

    fn take(&mut self, header: BlockHeader, length: usize) -> Block {
        let payload = self.rest().get(BLOCK_HEADER_BYTES..length).unwrap_or_default().to_vec();
        let offset = self.base + self.at as u64;
        self.at += length;
        Block { offset, header, payload }
    }

    /// Adds bytes up to the next possible block to the damage under way.
    fn skip_damage(&mut self) {
        let rest = self.rest();
        let next = rest.iter().skip(1).position(|byte| *byte == BLOCK_MAGIC[0]);
        let skipped = next.map_or(rest.len(), |at| at + 1);
        let zeros = rest.iter().take(skipped).all(|byte| *byte == 0);
        let offset = self.base + self.at as u64;
        let damage = self.damage.get_or_insert(Damage { offset, bytes: 0, zeros: true, at_end: false });
        damage.bytes += skipped as u64;
        damage.zeros &= zeros;
        self.at += skipped;
    }
}
