//! Records of what could not be recorded.

use bincode::{Decode, Encode};

/// Why events were lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum LossCause {
    /// The writer fell behind for longer than a hook may wait.
    WriterBehind,
    /// Writing failed; the system's error number.
    WriteFailed(i32),
    /// The table of stacks was full: the events are here, the inner part of their stacks is not.
    StackTableFull,
    /// The table of live samples was full.
    LiveTableFull,
    /// A hook was entered again while it ran on the same thread, by a signal handler.
    Reentered,
}

impl LossCause {
    /// All causes, with the system's error number for failed writes.
    pub fn all(write_error: i32) -> [LossCause; 5] {
        [
            LossCause::WriterBehind,
            LossCause::WriteFailed(write_error),
            LossCause::StackTableFull,
            LossCause::LiveTableFull,
            LossCause::Reentered,
        ]
    }

    /// Its position among all.
    pub fn number(self) -> usize {
        match self {
            LossCause::WriterBehind => 0,
            LossCause::WriteFailed(_) => 1,
            LossCause::StackTableFull => 2,
            LossCause::LiveTableFull => 3,
            LossCause::Reentered => 4,
        }
    }
}

/// Events that could not be recorded. Counters are not affected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Loss {
    /// Not before this moment.
    pub from_ticks: u64,
    /// Not after this moment.
    pub to_ticks: u64,
    /// Why.
    pub cause: LossCause,
    /// Allocations (or samples) lost, or, for a full stack table, attributed to an outer frame only.
    pub allocations: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frees lost. After this, live figures have bounds.
    pub frees: u64,
    /// Bytes of these, 0 where unknown.
    pub freed_bytes: u64,
}
