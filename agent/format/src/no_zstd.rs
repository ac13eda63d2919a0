//! Stands in for `zstd` in builds without that feature: nothing is compressed, compressed blocks are kept by their length.

use crate::codec::{Codec, UnreadableBlock};

/// There is none.
#[derive(Debug)]
pub(crate) enum Compressor {}

impl Compressor {
    pub(crate) fn new() -> Option<Compressor> {
        None
    }

    pub(crate) fn compress(&mut self, _raw: &[u8], _cuts: &[usize]) -> Option<&[u8]> {
        match *self {}
    }

    pub(crate) fn context_bytes(&self) -> usize {
        match *self {}
    }
}

pub(crate) fn decompress(_payload: &[u8], _raw_bytes: usize) -> Result<Vec<u8>, UnreadableBlock> {
    Err(UnreadableBlock::Codec(Codec::Zstd))
}
