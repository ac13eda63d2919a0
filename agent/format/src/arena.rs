//! The arena: what a recording process keeps in shared memory, so that it outlives a SIGKILL. It holds the events that
//! were recorded and are not in the capture yet, and says up to where the capture has the others.
//!
//! The agent writes it word by word while the program runs (this module gives the places); whoever finds it after the
//! process has died reads it with [`Remains::of`]. An arena is as hostile as a capture.

use bincode::{Decode, Encode};

use crate::block::{BlockWriter, file_header};
use crate::event::{Event, EventKind, MAX_EVENT_BYTES, PackState, unpack};
use crate::loss::{Loss, LossCause};
use crate::record::{Events, Mode, Record, StackNode};
use crate::wire;

/// First bytes of every arena.
pub const ARENA_MAGIC: [u8; 8] = *b"PLIMAREN";
/// Version of the arena that this crate writes. Others are not read: agent and reader of an arena share a machine.
pub const ARENA_VERSION: u32 = 1;
/// Bytes before the first table: magic, version, length and CRC of [`ArenaInfo`], the info, and the words below.
pub const ARENA_HEADER_BYTES: usize = 8192;
/// Where the words of the header that change begin.
pub const ARENA_WORDS_AT: usize = 7168;
/// Largest arena that is read.
pub const MAX_ARENA_BYTES: u64 = 64 << 20;
/// Longest path of a capture that an arena states.
pub const MAX_ARENA_PATH_BYTES: usize = 4096;
/// Bytes of a chunk before its data.
pub const CHUNK_HEADER_BYTES: usize = 32;
/// Bytes of an entry of the journal of stack nodes: address, caller and id.
pub const JOURNAL_ENTRY_BYTES: usize = 16;
/// Bytes of a position of the ring.
pub const RING_POSITION_BYTES: usize = 56;

/// Words of the header that change, by their position from [`ARENA_WORDS_AT`] on; 64 bits each.
///
/// What the capture holds is stated twice: the statement in force is the one whose number is the epoch's lowest bit.
pub mod arena_word {
    /// How often the writer has brought the capture up to date.
    pub const EPOCH: usize = 0;
    /// Statement 0: segment of the capture, its length then, events taken from the ring. Statement 1 follows.
    pub const STATEMENTS: usize = 1;
    /// Words of a statement.
    pub const STATEMENT: usize = 3;
    /// Ticks of the last time the writer looked round.
    pub const LAST_TICKS: usize = 7;
    /// Kills for want of memory that the process's cgroup had counted at the start, plus one; 0 when it does not say.
    pub const OOM_KILLS_BEFORE: usize = 8;
    /// The same when the arena was found after the process's death.
    pub const OOM_KILLS_AFTER: usize = 9;
    /// What could not be recorded since the start, for each cause in the order of `LossCause::all`: allocations, their
    /// bytes, frees, their bytes.
    pub const LOSSES: usize = 16;
    /// Causes.
    pub const LOSS_CAUSES: usize = 5;
}

/// What an arena says of itself: written once.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ArenaInfo {
    /// The capture's session.
    pub session: u64,
    /// The process that records.
    pub pid: u32,
    /// When it started, in the system's ticks since its boot (field 22 of `/proc/PID/stat`).
    pub start_time: u64,
    /// Id of the machine's boot.
    pub boot_id: String,
    /// Name of the namespace that process ids are of.
    pub pid_namespace: String,
    /// File name of the program.
    pub program: String,
    /// Path of the capture's first segment.
    pub capture: Vec<u8>,
    /// The cgroup's file that counts kills for want of memory; empty when there is none.
    pub oom_file: String,
    /// How allocations are recorded.
    pub mode: Mode,
    /// Positions of the ring.
    pub ring_positions: u32,
    /// Entries of the journal of stack nodes.
    pub journal_entries: u32,
    /// Chunks of packed events.
    pub chunks: u32,
    /// Bytes of each, its header included.
    pub chunk_bytes: u32,
}

/// Where the tables of an arena begin. They stand in this order, each at a multiple of 4096.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaLayout {
    /// The ring's positions.
    pub ring: u64,
    /// The journal's entries.
    pub journal: u64,
    /// The chunks.
    pub chunks: u64,
    /// The arena's end.
    pub bytes: u64,
}

/// Why bytes are no arena.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoArena {
    /// They begin with something else, or the process died before it had made one.
    NotAnArena,
    /// Another version wrote them.
    Version(u32),
    /// What it says of itself cannot be true.
    Damaged,
}

impl std::fmt::Display for NoArena {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            NoArena::NotAnArena => f.write_str("it is no arena, or was never finished"),
            NoArena::Version(version) => {
                write!(f, "it is of version {version}, and this program reads version {ARENA_VERSION}")
            }
            NoArena::Damaged => f.write_str("what it says of itself is damaged"),
        }
    }
}

impl std::error::Error for NoArena {}

impl ArenaInfo {
    /// Where the tables begin.
    pub fn layout(&self) -> ArenaLayout {
        let page = |at: u64| at.next_multiple_of(4096);
        let ring = ARENA_HEADER_BYTES as u64;
        let journal = page(ring + u64::from(self.ring_positions) * RING_POSITION_BYTES as u64);
        let chunks = page(journal + u64::from(self.journal_entries) * JOURNAL_ENTRY_BYTES as u64);
        let bytes = page(chunks + u64::from(self.chunks) * u64::from(self.chunk_bytes));
        ArenaLayout { ring, journal, chunks, bytes }
    }

    /// The first bytes of the arena; `None` when the info is too long for them.
    pub fn header(&self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        wire::encode(self, &mut body);
        let mut header = ARENA_MAGIC.to_vec();
        header.extend(ARENA_VERSION.to_le_bytes());
        header.extend((body.len() as u32).to_le_bytes());
        header.extend(crc32fast::hash(&body).to_le_bytes());
        header.append(&mut body);
        (header.len() <= ARENA_WORDS_AT).then_some(header)
    }

    /// Reads the first bytes of an arena.
    ///
    /// # Errors
    /// They are none, of another version, or damaged.
    pub fn parse(bytes: &[u8]) -> Result<ArenaInfo, NoArena> {
        let magic = bytes.get(..8).ok_or(NoArena::NotAnArena)?;
        if magic != ARENA_MAGIC {
            return Err(NoArena::NotAnArena);
        }
        let version = u32_at(bytes, 8);
        if version != ARENA_VERSION {
            return Err(NoArena::Version(version));
        }
        let length = u32_at(bytes, 12) as usize;
        let body = 20usize.checked_add(length).filter(|end| *end <= ARENA_WORDS_AT).and_then(|end| bytes.get(20..end));
        let body = body.filter(|body| crc32fast::hash(body) == u32_at(bytes, 16)).ok_or(NoArena::Damaged)?;
        let info: ArenaInfo = wire::decode(body).map_err(|_| NoArena::Damaged)?;
        let is_possible = info.layout().bytes <= MAX_ARENA_BYTES
            && (info.chunks == 0 || info.chunk_bytes as usize > CHUNK_HEADER_BYTES)
            && info.chunk_bytes.is_multiple_of(8);
        is_possible.then_some(info).ok_or(NoArena::Damaged)
    }
}

/// What a process left behind in its arena.
#[derive(Debug, Clone, PartialEq)]
pub struct Remains {
    /// What the arena says of itself.
    pub info: ArenaInfo,
    /// Segment of the capture that was written last.
    pub segment: u32,
    /// Its length up to which the capture is as stated: events in blocks from there on are in the arena, too.
    pub written_bytes: u64,
    /// Ticks of the last time the writer looked round.
    pub last_ticks: u64,
    /// Kills for want of memory that the process's cgroup had counted at the start.
    pub oom_kills_before: Option<u64>,
    /// The same when the arena was found and saved.
    pub oom_kills_after: Option<u64>,
    /// What could not be recorded since the start, all of it.
    pub losses: Vec<Loss>,
    /// The newest stack nodes, most of which the capture has.
    pub nodes: Vec<StackNode>,
    /// Events that the capture may lack, thread by thread as they were recorded.
    pub events: Vec<Events>,
    /// Stamp of the latest of them, 0 without any.
    pub newest_ticks: u64,
    /// How many there are.
    pub count: u64,
    /// Threads that they are of.
    pub threads: u32,
}

impl Remains {
    /// Reads an arena whose process has ended.
    ///
    /// # Errors
    /// It is none, of another version, or damaged in what it says of itself.
    pub fn of(bytes: &[u8]) -> Result<Remains, NoArena> {
        let info = ArenaInfo::parse(bytes)?;
        let word = |at: usize| u64_at(bytes, ARENA_WORDS_AT + at * 8);
        let epoch = word(arena_word::EPOCH);
        let statement = arena_word::STATEMENTS + (epoch & 1) as usize * arena_word::STATEMENT;
        let layout = info.layout();
        let mut remains = Remains {
            segment: word(statement) as u32,
            written_bytes: word(statement + 1),
            last_ticks: word(arena_word::LAST_TICKS),
            oom_kills_before: word(arena_word::OOM_KILLS_BEFORE).checked_sub(1),
            oom_kills_after: word(arena_word::OOM_KILLS_AFTER).checked_sub(1),
            losses: LossCause::all(0).into_iter().filter_map(|cause| loss(cause, word)).collect(),
            nodes: nodes(table(bytes, layout.journal, layout.chunks)),
            events: Vec::new(),
            newest_ticks: 0,
            count: 0,
            threads: 0,
            info,
        };
        let chunks = table(bytes, layout.chunks, layout.bytes).chunks_exact(remains.info.chunk_bytes.max(1) as usize);
        let mut found: Vec<Found> =
            chunks.take(remains.info.chunks as usize).filter_map(|chunk| Found::of_chunk(chunk, epoch)).collect();
        // Several chunks of one thread: in the order in which it filled them.
        found.sort_by_key(|found| found.first_ticks);
        let ring = table(bytes, layout.ring, layout.journal);
        found.extend(Found::of_ring(ring, remains.info.ring_positions, word(statement + 2)));
        let mut threads: Vec<u32> = found.iter().flat_map(|found| found.threads.iter().copied()).collect();
        threads.sort_unstable();
        threads.dedup();
        remains.threads = threads.len() as u32;
        remains.newest_ticks = found.iter().map(|found| found.last_ticks).max().unwrap_or(0);
        remains.events = found.into_iter().map(|found| found.events).collect();
        remains.count = remains.events.iter().map(|events| u64::from(events.count)).sum();
        Ok(remains)
    }

    /// The remains as a capture file of the same session, its blocks numbered from `sequence` on.
    pub fn to_file(&self, sequence: u64) -> Vec<u8> {
        let mut file = file_header().to_vec();
        let mut blocks = BlockWriter::new(self.info.session);
        blocks.set_next_sequence(sequence);
        let nodes = self.nodes.chunks(NODES_OF_A_RECORD).map(|nodes| Record::StackNodes(nodes.to_vec()));
        let events = self.events.iter().cloned().map(Record::Events);
        let newest = self.newest_ticks.max(self.last_ticks);
        for record in nodes.chain(events).chain([Record::Watermark { ticks: newest }]) {
            blocks.push(&record);
            if blocks.pending_bytes() >= BLOCK_BYTES {
                blocks.finish(&mut file);
            }
        }
        blocks.finish(&mut file);
        file
    }
}

const NODES_OF_A_RECORD: usize = 4096;
const BLOCK_BYTES: usize = 256 << 10;

/// Events of a chunk, or of the ring.
struct Found {
    events: Events,
    first_ticks: u64,
    last_ticks: u64,
    threads: Vec<u32>,
}

impl Found {
    /// What a chunk holds and the capture may lack.
    fn of_chunk(chunk: &[u8], epoch: u64) -> Option<Found> {
        let published = u64_at(chunk, 0) as u32 as usize;
        let thread = u32_at(chunk, 8);
        let (written, taken) = (u32_at(chunk, 16), u64_at(chunk, 24));
        // What was taken counts once the writer has stated so: not in an epoch that is still to come.
        let is_stated = (taken >> 32) as u32 != (epoch as u32).wrapping_add(1);
        let from = if is_stated { taken as u32 } else { written } as usize;
        let data = chunk.get(CHUNK_HEADER_BYTES..)?;
        let (before, packed) = (data.get(..from)?, data.get(from..published).filter(|packed| !packed.is_empty())?);
        let mut passed = unpack(PackState::of_thread(thread), before);
        passed.by_ref().for_each(drop);
        Found::of(passed.state(), packed.to_vec())
    }

    /// What the ring holds and the capture may lack. The first `taken` events of all that ever were in it are there.
    fn of_ring(ring: &[u8], positions: u32, taken: u64) -> Option<Found> {
        let capacity = u64::from(positions);
        let mut state = PackState::default();
        let (mut packed, mut room) = (Vec::new(), [0; MAX_EVENT_BYTES]);
        for at in (0..capacity).map_while(|more| taken.checked_add(more)) {
            let place = (at % capacity) as usize * RING_POSITION_BYTES;
            let Some(position) = ring.get(place..place + RING_POSITION_BYTES) else { break };
            // Later ones may be there though one before them was still being written.
            let Some(event) = ring_event(position, (at / capacity).wrapping_mul(2).wrapping_add(1)) else { continue };
            if let Some(bytes) = state.pack(&event, &mut room) {
                packed.extend_from_slice(room.get(..bytes)?);
            }
        }
        Found::of(PackState::default(), packed)
    }

    fn of(state: PackState, packed: Vec<u8>) -> Option<Found> {
        let (mut count, mut first_ticks, mut last_ticks, mut threads) = (0, u64::MAX, 0, Vec::new());
        for event in unpack(state, &packed).map_while(Result::ok) {
            count += 1;
            first_ticks = first_ticks.min(event.ticks);
            last_ticks = last_ticks.max(event.ticks);
            if threads.last() != Some(&event.thread) {
                threads.push(event.thread);
            }
        }
        let events = Events { packing: 1, state, count, packed };
        (count > 0).then_some(Found { events, first_ticks, last_ticks, threads })
    }
}

/// The event of a ring's position, when that is the turn it is at.
fn ring_event(position: &[u8], turn: u64) -> Option<Event> {
    let word = |at: usize| u64_at(position, at * 8);
    if word(0) != turn {
        return None;
    }
    let (stack, tag) = (word(5), word(6));
    Some(Event {
        kind: EventKind::from_number(tag >> 32)?,
        ticks: word(1),
        address: word(2),
        size_bytes: word(3),
        interval_bytes: word(4),
        stack: stack as u32,
        thread: (stack >> 32) as u32,
        tag: tag as u32,
    })
}

/// What is counted of a cause; `None` when nothing is.
fn loss(cause: LossCause, word: impl Fn(usize) -> u64) -> Option<Loss> {
    let count = |what: usize| word(arena_word::LOSSES + 4 * cause.number() + what);
    let [allocations, bytes, frees, freed_bytes] = [0, 1, 2, 3].map(count);
    let loss = Loss { from_ticks: 0, to_ticks: 0, cause, allocations, bytes, frees, freed_bytes };
    (allocations > 0 || frees > 0).then_some(loss)
}

/// The journal's nodes, callers before what they call.
fn nodes(journal: &[u8]) -> Vec<StackNode> {
    let node = |entry: &[u8]| {
        let node = StackNode { address: u64_at(entry, 0), parent: u32_at(entry, 8), id: u32_at(entry, 12) };
        (node.id != 0 && node.address != 0 && node.parent < node.id).then_some(node)
    };
    let mut nodes: Vec<StackNode> = journal.chunks_exact(JOURNAL_ENTRY_BYTES).filter_map(node).collect();
    nodes.sort_by_key(|node| node.id);
    nodes
}

/// The bytes of a table; fewer when the arena is cut off.
fn table(bytes: &[u8], from: u64, to: u64) -> &[u8] {
    let end = (to as usize).min(bytes.len());
    bytes.get(from as usize..end).unwrap_or_default()
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u32::from_le_bytes(*word))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |word| u64::from_le_bytes(*word))
}
