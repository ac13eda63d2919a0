//! Codec 1: the payload as frames of zstd.

use zstd_safe::{CCtx, compress_bound, get_error_name};

use crate::codec::{MAX_EXPANSION, UnreadableBlock};

/// Packed events leave little to an encoder that searches longer: level 3 gains some per cent for three times the
/// time.
const LEVEL: i32 = 1;

/// Bytes that are worth a frame: its header and the code's description take some dozen.
const LEAST_FRAME: usize = 512;

/// One context and one buffer, used for every block.
pub(crate) struct Compressor {
    context: CCtx<'static>,
    stored: Vec<u8>,
}

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Compressor").finish_non_exhaustive()
    }
}

impl Compressor {
    /// `None` when the system has no memory for the context.
    pub(crate) fn new() -> Option<Compressor> {
        Some(Compressor { context: CCtx::try_create()?, stored: Vec::new() })
    }

    /// The payload compressed, cut into frames at `cuts`, as each kind of data deserves a code of its own. `None` when it is
    /// to be stored plain, as it does not shrink, or shrinks by more than readers accept.
    pub(crate) fn compress(&mut self, raw: &[u8], cuts: &[usize]) -> Option<&[u8]> {
        let (mut stored, mut from) = (0, 0);
        for to in cuts.iter().copied().chain([raw.len()]) {
            if to == from || (to < from + LEAST_FRAME && to < raw.len()) {
                continue;
            }
            let part = raw.get(from..to)?;
            let room = stored + compress_bound(part.len());
            if self.stored.len() < room {
                self.stored.resize(room, 0);
            }
            stored += self.context.compress(self.stored.get_mut(stored..)?, part, LEVEL).ok()?;
            from = to;
        }
        let is_fit = stored < raw.len() && stored.saturating_mul(MAX_EXPANSION) >= raw.len();
        self.stored.get(..stored).filter(|_| is_fit)
    }

    /// Memory of the context, which zstd takes from the C library.
    pub(crate) fn context_bytes(&self) -> usize {
        self.context.sizeof()
    }
}

/// Exactly `raw_bytes` bytes, or what is wrong with `payload`. Never writes more than was reserved.
pub(crate) fn decompress(payload: &[u8], raw_bytes: usize) -> Result<Vec<u8>, UnreadableBlock> {
    let mut raw = Vec::with_capacity(raw_bytes);
    match zstd_safe::decompress(&mut raw, payload) {
        Ok(written) if written == raw_bytes => Ok(raw),
        Ok(written) => Err(UnreadableBlock::Payload(format!("it holds {written} bytes, its header says {raw_bytes}"))),
        Err(code) => Err(UnreadableBlock::Payload(format!("zstd says: {}", get_error_name(code)))),
    }
}
