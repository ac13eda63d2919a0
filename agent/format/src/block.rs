//! Blocks: the unit of writing, checking and recovering. A block can be read without any other one.

use std::borrow::Cow;

use crate::codec::{Codec, UnreadableBlock, decompress};
use crate::columns::{self, Sorted, Sorter};
use crate::record::{Events, Record, Span};
use crate::wire;
use crate::zstd::Compressor;

/// First bytes of every capture file.
pub const FILE_MAGIC: [u8; 8] = *b"PLIMSOLL";
/// First bytes of every block. Not valid UTF-8, so that no name inside a payload can look like a block by chance.
pub const BLOCK_MAGIC: [u8; 4] = [0xF5, b'P', b'L', 0xB1];
/// Version of the format that this crate writes. Readers accept every version up to it.
pub const VERSION: u16 = 1;
/// Bytes before the first block: magic, version, reserved, CRC.
pub const FILE_HEADER_BYTES: usize = 16;
/// Bytes of a block before its payload.
pub const BLOCK_HEADER_BYTES: usize = 40;
/// A block of events gets a [`Span`] before it from this many bytes of payload on: a smaller one is read as fast as it is
/// passed over.
pub const SPAN_FROM_BYTES: usize = 16 << 10;
/// Largest payload of a block, before and after compression. A longer length is damage, never an allocation.
pub const MAX_BLOCK_BYTES: usize = 4 << 20;

/// The fixed part of a block, after its magic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    /// How the payload is compressed.
    pub codec: Codec,
    /// This block opens a keyframe: the definitions that later blocks rely on come again from here.
    pub keyframe: bool,
    /// Bytes of the payload as stored.
    pub payload_bytes: u32,
    /// Bytes of the payload after decompression.
    pub raw_bytes: u32,
    /// Session the block belongs to; a block of another session in the same file is foreign.
    pub session: u64,
    /// Position of this block in the session, counted over all segments from 0 without gaps.
    pub sequence: u64,
}

/// The 16 bytes that open a capture file: magic, version, reserved zero, CRC-32 of the first twelve.
pub fn file_header() -> [u8; FILE_HEADER_BYTES] {
    let mut bytes = [0u8; FILE_HEADER_BYTES];
    bytes[..8].copy_from_slice(&FILE_MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    let crc = crc32fast::hash(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// Reads a file header: the version it states, or `None` when the magic or the CRC is wrong.
pub fn parse_file_header(bytes: &[u8]) -> Option<u16> {
    let header = bytes.first_chunk::<FILE_HEADER_BYTES>()?;
    let crc = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    if header[..8] != FILE_MAGIC || crc != crc32fast::hash(&header[..12]) {
        return None;
    }
    Some(u16::from_le_bytes([header[8], header[9]]))
}

impl BlockHeader {
    /// Parses the header at the front of `bytes` without judging the payload; `None` when it cannot be one.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(BlockHeader, u32)> {
        let header = bytes.first_chunk::<BLOCK_HEADER_BYTES>()?;
        if header[..4] != BLOCK_MAGIC {
            return None;
        }
        let u32_at = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let parsed = BlockHeader {
            codec: Codec::from_byte(header[4]),
            keyframe: header[5] & 1 != 0,
            payload_bytes: u32_at(8),
            raw_bytes: u32_at(12),
            session: u64_at(16),
            sequence: u64_at(24),
        };
        let bounded = parsed.payload_bytes as usize <= MAX_BLOCK_BYTES && parsed.raw_bytes as usize <= MAX_BLOCK_BYTES;
        bounded.then_some((parsed, u32_at(36)))
    }

    fn bytes(&self, payload: &[u8]) -> [u8; BLOCK_HEADER_BYTES] {
        let mut bytes = [0u8; BLOCK_HEADER_BYTES];
        bytes[..4].copy_from_slice(&BLOCK_MAGIC);
        bytes[4] = self.codec.to_byte();
        bytes[5] = u8::from(self.keyframe);
        bytes[8..12].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.raw_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.session.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        // Bytes 32..36 are reserved and zero.
        let crc = block_crc(&bytes, payload);
        bytes[36..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }
}

/// CRC-32 over the header after its magic and before the CRC, then the payload as stored.
pub(crate) fn block_crc(header: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header.get(4..36).unwrap_or_default());
    hasher.update(payload);
    hasher.finalize()
}

/// Records of a known kind that do not decode, after which the rest of a block is left alone: its CRC holds, so someone made
/// it to be read in vain. Each may claim a list of megabytes.
const MAX_UNDECODABLE: usize = 256;

/// A payload that holds a [`Span`] alone is not longer, whatever a newer writer adds to it.
const MAX_SPAN_BYTES: usize = 1 << 10;

/// Collects records into blocks and numbers them.
#[derive(Debug)]
pub struct BlockWriter {
    session: u64,
    sequence: u64,
    keyframe: bool,
    payload: Vec<u8>,
    record: Vec<u8>,
    compressor: Option<Compressor>,
    sorter: Sorter,
    /// Where columns of events begin and end in the payload.
    cuts: Vec<usize>,
    /// Earliest and latest stamp of the payload's events, as far as callers told.
    stamps: Option<(u64, u64)>,
    /// The payload holds more than events whose stamps were told.
    has_others: bool,
}

impl BlockWriter {
    /// A writer whose blocks belong to `session`, starting at sequence 0.
    pub fn new(session: u64) -> BlockWriter {
        BlockWriter {
            session,
            sequence: 0,
            keyframe: false,
            payload: Vec::new(),
            record: Vec::new(),
            compressor: None,
            sorter: Sorter::default(),
            cuts: Vec::new(),
            stamps: None,
            has_others: false,
        }
    }

    /// Compresses blocks from here on with zstd at level 1, where that makes them smaller. False, and they stay plain,
    /// without the feature `zstd` or when the system has no memory for it.
    pub fn compress_with_zstd(&mut self) -> bool {
        self.compressor = Compressor::new();
        self.compressor.is_some()
    }

    /// Bytes that compression holds beside Rust's allocator.
    pub fn compressor_bytes(&self) -> usize {
        self.compressor.as_ref().map_or(0, Compressor::context_bytes)
    }

    /// Appends a record: its length as a bincode varint, then its bytes. A record that would not fit a block even
    /// alone is refused with `false`; callers split long lists.
    pub fn push(&mut self, record: &Record) -> bool {
        let is_taken = self.append(record);
        self.has_others |= is_taken;
        is_taken
    }

    /// Appends events, none of which is stamped before `first_ticks` or after `last_ticks`. A large block that holds
    /// nothing else gets a [`Span`] before it, so that readers can pass over it.
    pub fn push_events(&mut self, events: Events, first_ticks: u64, last_ticks: u64) -> bool {
        let is_taken = self.append(&Record::Events(events));
        if is_taken {
            let (first, last) = self.stamps.unwrap_or((u64::MAX, 0));
            self.stamps = Some((first.min(first_ticks), last.max(last_ticks)));
        }
        is_taken
    }

    /// Whether a block is under way that holds nothing but events whose stamps are known.
    pub fn has_only_events(&self) -> bool {
        !self.has_others && self.stamps.is_some()
    }

    /// Whether a block is under way that holds no events whose stamps are known.
    pub fn has_no_events(&self) -> bool {
        !self.payload.is_empty() && self.stamps.is_none()
    }

    fn append(&mut self, record: &Record) -> bool {
        self.record.clear();
        let columns = self.sorted(record);
        match &columns {
            Some((sorted, _)) => wire::encode(sorted, &mut self.record),
            None => wire::encode(record, &mut self.record),
        }
        if self.payload.len() + self.record.len() + 9 > MAX_BLOCK_BYTES {
            return false;
        }
        wire::encode(&(self.record.len() as u64), &mut self.payload);
        self.payload.extend_from_slice(&self.record);
        if let Some((_, lengths)) = columns {
            let mut at = self.payload.len() - lengths.iter().sum::<usize>();
            for length in lengths {
                self.cuts.push(at);
                at += length;
            }
            self.cuts.push(at);
        }
        true
    }

    /// Events that will be compressed, in columns, and the lengths of these, which end the record.
    fn sorted(&mut self, record: &Record) -> Option<(Record, [usize; columns::COLUMNS])> {
        let Record::Events(events) = record else { return None };
        if self.compressor.is_none() || events.packing != 1 {
            return None;
        }
        let Sorted { packed, lengths } = self.sorter.sort(&events.packed, events.count)?;
        Some((Record::Events(Events { packing: columns::PACKING, packed, ..*events }), lengths))
    }

    /// Marks the block under way as the start of a keyframe.
    pub fn mark_keyframe(&mut self) {
        self.keyframe = true;
    }

    /// Payload bytes collected so far.
    pub fn pending_bytes(&self) -> usize {
        self.payload.len()
    }

    /// Appends the finished block to `out` and starts the next one; does nothing when no record is pending.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.payload.is_empty() {
            return;
        }
        let has_others = std::mem::take(&mut self.has_others);
        let stamps = self.stamps.take().filter(|_| !has_others);
        let (codec, stored) =
            match self.compressor.as_mut().and_then(|compressor| compressor.compress(&self.payload, &self.cuts)) {
                Some(compressed) => (Codec::Zstd, compressed),
                None => (Codec::None, self.payload.as_slice()),
            };
        if let Some((first_ticks, last_ticks)) = stamps.filter(|_| self.payload.len() >= SPAN_FROM_BYTES) {
            let (sequence, payload_bytes) = (self.sequence + 1, stored.len() as u32);
            let span = Span { sequence, payload_bytes, first_ticks, last_ticks };
            write_span(self.session, self.sequence, &span, out);
            self.sequence += 1;
        }
        let header = BlockHeader {
            codec,
            keyframe: std::mem::take(&mut self.keyframe),
            payload_bytes: stored.len() as u32,
            raw_bytes: self.payload.len() as u32,
            session: self.session,
            sequence: self.sequence,
        };
        out.extend_from_slice(&header.bytes(stored));
        out.extend_from_slice(stored);
        self.payload.clear();
        self.cuts.clear();
        self.sequence += 1;
    }

    /// Sequence number that the next finished block will carry.
    pub fn next_sequence(&self) -> u64 {
        self.sequence
    }

    /// Continues another writer's numbering (used when records are appended to a finished capture).
    pub fn set_next_sequence(&mut self, sequence: u64) {
        self.sequence = sequence;
    }
}

/// Appends a block that holds nothing but the span of the one after it.
fn write_span(session: u64, sequence: u64, span: &Span, out: &mut Vec<u8>) {
    let (mut record, mut payload) = (Vec::new(), Vec::new());
    wire::encode(&Record::Span(*span), &mut record);
    wire::encode(&(record.len() as u64), &mut payload);
    payload.extend_from_slice(&record);
    let bytes = payload.len() as u32;
    let header =
        BlockHeader { codec: Codec::None, keyframe: false, payload_bytes: bytes, raw_bytes: bytes, session, sequence };
    out.extend_from_slice(&header.bytes(&payload));
    out.extend_from_slice(&payload);
}

/// A block that was found whole: its CRC holds.
#[derive(Debug, Clone)]
pub struct Block {
    /// Byte offset of the block's magic in its file.
    pub offset: u64,
    /// Its fixed part.
    pub header: BlockHeader,
    pub(crate) payload: Vec<u8>,
}

impl Block {
    /// The span of the block after this one, when this one holds that and nothing else.
    pub fn span(&self) -> Option<Span> {
        if self.header.codec != Codec::None || self.payload.len() > MAX_SPAN_BYTES {
            return None;
        }
        let mut records = self.records();
        match (records.next(), records.next()) {
            (Some(Ok(Record::Span(span))), None) => Some(span),
            _ => None,
        }
    }

    /// The records of this block, in order. Those of an unknown kind or with undecodable bytes come as errors and
    /// are skipped by their length; an unreadable block gives none.
    pub fn records(&self) -> RecordIter<'_> {
        self.try_records().unwrap_or(RecordIter {
            payload: Cow::Borrowed(&[]),
            at: 0,
            undecodable: 0,
            without_events: false,
        })
    }

    /// As [`Block::records`], for readers that count what they could not read. Decompresses, at each call.
    ///
    /// # Errors
    /// The codec is not known (or not built in), or the payload is not what its header and codec promise.
    pub fn try_records(&self) -> Result<RecordIter<'_>, UnreadableBlock> {
        let payload = decompress(self.header.codec, &self.payload, self.header.raw_bytes)?;
        Ok(RecordIter { payload, at: 0, undecodable: 0, without_events: false })
    }
}

/// A record that was skipped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownRecord {
    /// Bytes skipped.
    pub bytes: usize,
    /// What the decoder said.
    pub error: wire::DecodeError,
}

/// Iterates over a block's records; made by [`Block::records`].
#[derive(Debug)]
pub struct RecordIter<'a> {
    payload: Cow<'a, [u8]>,
    /// Where the next record begins.
    at: usize,
    /// Records of a known kind that did not decode.
    undecodable: usize,
    without_events: bool,
}

impl RecordIter<'_> {
    /// Passes over events.
    #[must_use]
    pub fn without_events(self) -> Self {
        RecordIter { without_events: true, ..self }
    }
}

impl Iterator for RecordIter<'_> {
    type Item = Result<Record, UnknownRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let rest = self.payload.get(self.at..).filter(|rest| !rest.is_empty())?;
            if self.undecodable >= MAX_UNDECODABLE {
                let error = wire::DecodeError("the block has too many undecodable records to go on".into());
                let bytes = rest.len();
                self.at = self.payload.len();
                return Some(Err(UnknownRecord { bytes, error }));
            }
            let (record, after) = split_record(rest);
            self.at = self.payload.len() - after.len();
            self.undecodable += usize::from(record.as_ref().is_err_and(|skipped| !skipped.error.is_of_unknown_kind()));
            if !(self.without_events && matches!(record, Ok(Record::Events(_)))) {
                return Some(record);
            }
        }
    }
}

/// Splits the first length-prefixed record off `bytes`. A length that cannot be true ends the payload.
fn split_record(bytes: &[u8]) -> (Result<Record, UnknownRecord>, &[u8]) {
    let skipped = |error: wire::DecodeError| (Err(UnknownRecord { bytes: bytes.len(), error }), &bytes[..0]);
    let (length, used) = match wire::decode_with_length::<u64>(bytes) {
        Ok(prefix) => prefix,
        Err(error) => return skipped(error),
    };
    let body = usize::try_from(length).ok().and_then(|length| bytes.get(used..used.checked_add(length)?));
    let Some(body) = body else {
        let claim = format!("a record claims {length} bytes, more than its block holds");
        return skipped(wire::DecodeError(claim.into()));
    };
    let rest = &bytes[used + body.len()..];
    match wire::decode::<Record>(body) {
        Ok(mut record) => {
            unsort(&mut record);
            (Ok(record), rest)
        }
        Err(error) => (Err(UnknownRecord { bytes: body.len(), error }), rest),
    }
}

/// Gives events in columns back as they were before. Those that are not as written stay, with a packing that readers of
/// events do not know.
fn unsort(record: &mut Record) {
    if let Record::Events(events) = record
        && events.packing == columns::PACKING
        && let Some(packed) = columns::unsort(&events.packed, events.count)
    {
        (events.packing, events.packed) = (1, packed);
    }
}
