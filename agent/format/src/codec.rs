//! How payloads are compressed: what the codec byte of a block stands for.
//!
//! A block that was damaged or made up inside a valid CRC is no reason to panic or to allocate much: sizes are compared
//! before anything is decompressed, and the room for the result bounds what comes out.

use std::borrow::Cow;
use std::fmt;

use crate::block::MAX_BLOCK_BYTES;
use crate::zstd;

/// A payload may grow to this many times its stored bytes. What packs better is stored plain, so that reading a file
/// takes time in proportion to its length, whoever made it.
pub const MAX_EXPANSION: usize = 64;

/// How a block's payload is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Not compressed.
    None,
    /// Frames of zstd, one after the other.
    Zstd,
    /// A codec this version does not know; the block is kept by length and reported as unread.
    Unknown(u8),
}

impl Codec {
    pub(crate) fn from_byte(byte: u8) -> Codec {
        match byte {
            0 => Codec::None,
            1 => Codec::Zstd,
            other => Codec::Unknown(other),
        }
    }

    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Codec::None => 0,
            Codec::Zstd => 1,
            Codec::Unknown(byte) => byte,
        }
    }
}

/// Why a whole block gives no records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnreadableBlock {
    /// Its codec is not known to this version, or not built in.
    Codec(Codec),
    /// Its payload is not what its codec makes, or not of the size that its header states.
    Payload(String),
}

impl fmt::Display for UnreadableBlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UnreadableBlock::Codec(codec) => write!(f, "unreadable block: no decoder for codec {}", codec.to_byte()),
            UnreadableBlock::Payload(found) => write!(f, "unreadable block: {found}"),
        }
    }
}

impl std::error::Error for UnreadableBlock {}

/// The payload as it was before compression; `raw_bytes` is what the header states.
pub(crate) fn decompress(codec: Codec, payload: &[u8], raw_bytes: u32) -> Result<Cow<'_, [u8]>, UnreadableBlock> {
    match codec {
        Codec::None => Ok(Cow::Borrowed(payload)),
        Codec::Zstd => {
            let raw_bytes = raw_bytes as usize;
            let most = payload.len().saturating_mul(MAX_EXPANSION).min(MAX_BLOCK_BYTES);
            if raw_bytes > most {
                let found = format!("{} bytes claim to hold {raw_bytes}, more than {most}", payload.len());
                return Err(UnreadableBlock::Payload(found));
            }
            zstd::decompress(payload, raw_bytes).map(Cow::Owned)
        }
        Codec::Unknown(_) => Err(UnreadableBlock::Codec(codec)),
    }
}
