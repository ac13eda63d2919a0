//! How large the tables are that are in the arena.

use plimsoll_format::Mode;

use crate::chunk::{CHUNK_BYTES, CHUNKS};

const SAMPLED_RING: usize = 4096;
const EXACT_RING: usize = 32 << 10;
/// Stack nodes of which the arena keeps the newest, so that events which the capture lacks have their stacks.
const SAMPLED_JOURNAL: usize = 4 << 10;
const EXACT_JOURNAL: usize = 64 << 10;
/// Chunks take this part of the cgroup's limit at most, but for so many.
const SHARE_FOR_CHUNKS: u64 = 32;
const LEAST_CHUNKS: usize = 16;

/// Entries of the tables that are in the arena.
pub(crate) struct TableSizes {
    pub(crate) ring: usize,
    pub(crate) journal: usize,
    pub(crate) chunks: usize,
}

impl TableSizes {
    /// Of a session in this mode, in a cgroup with this limit: of which they take a small part.
    pub(crate) fn of(mode: Mode, limit_bytes: Option<u64>) -> TableSizes {
        let chunks = limit_bytes.map_or(CHUNKS, |limit| (limit / SHARE_FOR_CHUNKS) as usize / CHUNK_BYTES);
        match mode {
            Mode::Exact => {
                let chunks = chunks.clamp(LEAST_CHUNKS, CHUNKS);
                TableSizes { ring: EXACT_RING, journal: EXACT_JOURNAL, chunks }
            }
            Mode::Sampled => TableSizes { ring: SAMPLED_RING, journal: SAMPLED_JOURNAL, chunks: 0 },
        }
    }
}
