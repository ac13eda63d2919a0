//! The one place that knows bincode. Everything else sees [`encode`] and [`decode`].
//!
//! Configuration: bincode 2 `standard()`: little-endian, integers wider than a byte as bincode varints, lengths
//! as varints, enum tags as varint `u32`. Decoding is limited, since bincode without a limit reserves whatever a
//! length field claims (measured: nine hostile bytes make it panic).

use bincode::{Decode, Encode};

use crate::block::MAX_BLOCK_BYTES;

/// Decoded size that a single record may claim. Larger than any block, as memory layouts are wider than the wire.
const LIMIT: usize = 8 * MAX_BLOCK_BYTES;

/// Why bytes could not be decoded into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(pub(crate) String);

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "undecodable record: {}", self.0)
    }
}

impl std::error::Error for DecodeError {}

/// Appends the encoding of `value` to `out`.
pub(crate) fn encode<T: Encode>(value: &T, out: &mut Vec<u8>) {
    // Writing into a Vec cannot fail and no record holds a type that refuses to encode.
    let written = bincode::encode_into_std_write(value, out, bincode::config::standard());
    debug_assert!(written.is_ok());
}

/// Decodes one value from the front of `bytes`; trailing bytes are allowed (a newer writer may append fields).
pub(crate) fn decode<T: Decode<()>>(bytes: &[u8]) -> Result<T, DecodeError> {
    decode_with_length(bytes).map(|(value, _used)| value)
}

/// Decodes one value and says how many bytes it took.
pub(crate) fn decode_with_length<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    bincode::decode_from_slice(bytes, config).map_err(|error| DecodeError(error.to_string()))
}
