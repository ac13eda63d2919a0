//! The capture format of Plimsoll, shared by the agent that writes it and the viewer that reads it.
//!
//! A capture is a file header followed by self-contained blocks; a block holds bincode [`Record`]s; the
//! allocation events of a thread travel inside [`Record::Events`] as packed bytes. `FORMAT.md` beside this
//! crate gives every byte. This crate does no I/O, holds no state between calls that a caller cannot see, and
//! has no `unsafe`.
//!
//! ```
//! use plimsoll_format::{BlockHeader, BlockWriter, Item, Reader, Record};
//!
//! let mut writer = BlockWriter::new(7);
//! writer.push(&Record::Marker { ticks: 42, name: "deploy".into() });
//! let mut file = plimsoll_format::file_header().to_vec();
//! writer.finish(&mut file);
//!
//! let mut reader = Reader::new();
//! reader.feed(&file);
//! let Some(Item::Block(block)) = reader.next_item() else { panic!("one block was written") };
//! assert_eq!(block.header.session, 7);
//! assert_eq!(block.records().count(), 1);
//! ```
#![forbid(unsafe_code)]

mod arena;
mod block;
mod codec;
mod columns;
pub mod control;
mod dead_process;
mod event;
mod loss;
mod memory;
mod read;
mod record;
mod wire;
#[cfg_attr(not(feature = "zstd"), path = "no_zstd.rs")]
mod zstd;

pub use arena::{
    ARENA_HEADER_BYTES, ARENA_MAGIC, ARENA_VERSION, ARENA_WORDS_AT, ArenaInfo, ArenaLayout, CHUNK_HEADER_BYTES,
    JOURNAL_ENTRY_BYTES, MAX_ARENA_BYTES, MAX_ARENA_PATH_BYTES, NoArena, RING_POSITION_BYTES, Remains, arena_word,
};
pub use block::{
    BLOCK_HEADER_BYTES, BLOCK_MAGIC, Block, BlockHeader, BlockWriter, FILE_HEADER_BYTES, FILE_MAGIC, MAX_BLOCK_BYTES,
    RecordIter, SPAN_FROM_BYTES, UnknownRecord, VERSION, file_header, parse_file_header,
};
pub use codec::{Codec, MAX_EXPANSION, UnreadableBlock};
pub use dead_process::{arena_beside, oom_file, oom_kills_in, start_time_in, state_oom_kills};
pub use event::{Event, EventIter, EventKind, MAX_EVENT_BYTES, PackState, unpack};
pub use loss::{Loss, LossCause};
pub use memory::{
    AgentCost, AllocatorReading, Cgroup, LargeMapping, MappingKind, MappingPart, Mappings, ProcessMemory, Serves,
    SystemMemory, Tick,
};
pub use read::{Damage, Item, Reader};
pub use record::*;
pub use wire::DecodeError;
