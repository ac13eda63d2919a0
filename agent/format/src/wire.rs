//! The one place that knows bincode. Everything else sees [`encode`] and [`decode`].
//!
//! Configuration: bincode 2 `standard()`: little-endian, integers wider than a byte as bincode varints, lengths
//! as varints, enum tags as varint `u32`. Decoding is limited, since bincode without a limit reserves whatever a
//! length field claims (measured: nine hostile bytes make it panic).

use std::borrow::Cow;

use bincode::{Decode, Encode};

use crate::block::MAX_BLOCK_BYTES;

/// Decoded size that a single record may claim. Larger than any block, as memory layouts are wider than the wire.
const LIMIT: usize = 8 * MAX_BLOCK_BYTES;

/// Said of records that are none of the kinds known here.
const UNKNOWN_KIND: &str = "a kind that this version does not know";

/// Why bytes could not be decoded into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError(pub(crate) Cow<'static, str>);

impl DecodeError {
    /// Whether this is what a newer writer's records look like.
    pub(crate) fn is_of_unknown_kind(&self) -> bool {
        matches!(self.0, Cow::Borrowed(UNKNOWN_KIND))
    }
}

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

/// As [`decode`], for a value that is small by nature: `MOST` bytes of memory are claimed at most.
pub(crate) fn decode_small<T: Decode<()>, const MOST: usize>(bytes: &[u8]) -> Result<T, DecodeError> {
    let config = bincode::config::standard().with_limit::<MOST>();
    let decoded = bincode::decode_from_slice(bytes, config);
    decoded.map(|(value, _used)| value).map_err(|error| DecodeError(error.to_string().into()))
}

/// Decodes one value and says how many bytes it took.
pub(crate) fn decode_with_length<T: Decode<()>>(bytes: &[u8]) -> Result<(T, usize), DecodeError> {
    let config = bincode::config::standard().with_limit::<LIMIT>();
    bincode::decode_from_slice(bytes, config).map_err(|error| {
        DecodeError(match error {
            // A newer writer's block may be full of these, and words that are made anew for each take longer than reading.
            bincode::error::DecodeError::UnexpectedVariant { type_name: "Record", .. } => UNKNOWN_KIND.into(),
            bincode::error::DecodeError::UnexpectedEnd { .. } => "it ends within a field".into(),
            error => error.to_string().into(),
        })
    })
}
