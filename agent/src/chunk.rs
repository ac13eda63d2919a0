//! Chunks of packed events (exact mode): each thread fills one, full ones go to the writer, empty ones come back.
//!
//! A thread publishes the length of its chunk after each event, so that the writer can copy what is there at any
//! moment; only the writer ever empties a chunk, and only when what was in it is in the capture. The pool is one arena of
//! fixed size, which outlives the process where it can ([`crate::shared_arena`]).
//!
//! When no chunk is empty: [`ChunkPool::append`] refuses, and the caller waits for the writer or counts a loss.

use std::cell::{Cell, UnsafeCell};
use std::mem::offset_of;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use plimsoll_format::{CHUNK_HEADER_BYTES, Event, EventKind, MAX_EVENT_BYTES, PackState};

use crate::arena::{Arena, Zeroed};
use crate::shared_arena::Place;

const DATA_BYTES: usize = (32 << 10) - CHUNK_HEADER_BYTES;
/// Bytes of a chunk.
pub(crate) const CHUNK_BYTES: usize = size_of::<Chunk>();
/// Chunks of a pool: 8 MiB.
pub(crate) const CHUNKS: usize = 256;

#[repr(C)]
struct Chunk {
    /// Bytes in the low half, events in the high half; what is below is written.
    published: AtomicU64,
    thread: AtomicU32,
    /// Held by a thread that may still append.
    active: AtomicU32,
    /// Bytes that the capture has, by an earlier statement than that of `taken`.
    written: AtomicU64,
    /// Bytes that the writer has taken in the low half; in the high one, the number of the statement that says that the
    /// capture has them.
    taken: AtomicU64,
    data: UnsafeCell<[u8; DATA_BYTES]>,
}

const _: () = {
    assert!(offset_of!(Chunk, published) == 0 && offset_of!(Chunk, thread) == 8 && offset_of!(Chunk, written) == 16);
    assert!(offset_of!(Chunk, taken) == 24 && offset_of!(Chunk, data) == CHUNK_HEADER_BYTES);
};

// SAFETY: integers only.
unsafe impl Zeroed for Chunk {}
// SAFETY: bytes above the published length are written by the one thread that holds the chunk, bytes below are only
// read; the Release store of the length orders the two. The writer resets a chunk only when no thread holds it.
unsafe impl Sync for Chunk {}
// SAFETY: as above; a chunk is plain memory.
unsafe impl Send for Chunk {}

/// A thread's place in its chunk; lives in the thread's slot.
#[derive(Default)]
pub(crate) struct ChunkCursor {
    /// Session that the rest belongs to; another one makes the cursor empty.
    session: Cell<u32>,
    /// Position of the chunk plus one, 0 for none.
    chunk: Cell<u32>,
    /// Whether this thread may hold chunks in this session, once asked.
    owner: Cell<Option<bool>>,
    state: Cell<PackState>,
}

/// What became of an event.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum Append {
    /// It is in the chunk.
    Done,
    /// It is in a new chunk, and the full one went to the writer, who may be asleep.
    DoneAndSent,
    /// No chunk is empty.
    Full,
    /// Too many threads hold chunks: this one is to use the ring.
    NotAnOwner,
}

/// A run of packed events ready to be written.
pub(crate) struct Part<'a> {
    pub(crate) thread: u32,
    pub(crate) count: u32,
    pub(crate) packed: &'a [u8],
    /// Chunk that the run stands in.
    pub(crate) chunk: u32,
    /// Bytes of the chunk up to its end.
    end: u32,
    /// Whether it begins at the chunk's beginning.
    pub(crate) is_first: bool,
    /// Whether it ends this filling of the chunk: nothing refers to its last state then.
    pub(crate) is_last: bool,
}

/// Where the writer stands in each chunk.
#[derive(Default, Clone, Copy)]
struct Swept {
    bytes: u32,
    events: u32,
}

/// See the module's description.
pub(crate) struct ChunkPool {
    chunks: Arena<Chunk>,
    owners: AtomicU32,
    empty: (Sender<u32>, Receiver<u32>),
    full: (Sender<u32>, Receiver<u32>),
    /// Chunks that were ever used. The others are taken only when none comes back in time, so that the few that go to
    /// and fro stay in the processor's caches.
    used: AtomicU32,
}

impl ChunkPool {
    /// A pool of so many empty chunks, `None` when the system has no memory for it.
    pub(crate) fn map(chunks: usize, place: &Place) -> Option<ChunkPool> {
        Some(ChunkPool {
            chunks: place.map(|layout| layout.chunks, chunks)?,
            owners: AtomicU32::new(0),
            empty: bounded(chunks),
            full: bounded(chunks),
            used: AtomicU32::new(0),
        })
    }

    /// Appends an allocation of the usual size to the chunk under way. False when there is none, or no room in it, or the
    /// numbers are not usual: then [`ChunkPool::append`].
    #[inline(always)]
    pub(crate) fn append_usual_alloc(
        &self,
        (session, cursor): (u32, &ChunkCursor),
        kind: EventKind,
        (ticks, address, tag): (u64, u64, u32),
        (size, stack): (u64, u32),
    ) -> bool {
        let pack = |state: &mut PackState, room: &mut [u8; MAX_EVENT_BYTES]| {
            state.pack_usual_alloc(kind, (ticks.max(state.ticks), address, tag), (size, stack), room)
        };
        self.chunk_of(session, cursor).is_some_and(|chunk| chunk.append(cursor, pack))
    }

    /// As [`ChunkPool::append_usual_alloc`] for what has neither size nor stack.
    #[inline(always)]
    pub(crate) fn append_usual_free(
        &self,
        (session, cursor): (u32, &ChunkCursor),
        kind: EventKind,
        (ticks, address, tag): (u64, u64, u32),
    ) -> bool {
        let pack = |state: &mut PackState, room: &mut [u8; MAX_EVENT_BYTES]| {
            state.pack_usual_free(kind, (ticks.max(state.ticks), address, tag), room)
        };
        self.chunk_of(session, cursor).is_some_and(|chunk| chunk.append(cursor, pack))
    }

    #[inline(always)]
    fn chunk_of(&self, session: u32, cursor: &ChunkCursor) -> Option<&Chunk> {
        let at = (cursor.chunk.get() as usize).checked_sub(1)?;
        if cursor.session.get() == session { self.chunks.get(at) } else { None }
    }

    /// Appends any event of the cursor's thread. Never waits, never allocates.
    pub(crate) fn append(&self, session: u32, cursor: &ChunkCursor, event: &Event) -> Append {
        if cursor.session.get() != session {
            cursor.session.set(session);
            cursor.chunk.set(0);
            cursor.owner.set(None);
        }
        let pack = |state: &mut PackState, room: &mut [u8; MAX_EVENT_BYTES]| {
            state.pack(&Event { ticks: event.ticks.max(state.ticks), ..*event }, room)
        };
        let mut sent = false;
        loop {
            if let Some(chunk) = self.chunk_of(session, cursor) {
                if chunk.append(cursor, pack) {
                    return if sent { Append::DoneAndSent } else { Append::Done };
                }
                self.hand_over(cursor);
                sent = true;
            }
            match self.take_empty(cursor, event.thread) {
                Append::Done => {}
                refused => return refused,
            }
        }
    }

    #[cold]
    fn take_empty(&self, cursor: &ChunkCursor, thread: u32) -> Append {
        let owner = cursor.owner.get().unwrap_or_else(|| self.join());
        cursor.owner.set(Some(owner));
        if !owner {
            return Append::NotAnOwner;
        }
        let Some(at) = self.empty.1.try_recv().ok().or_else(|| self.unused()) else { return Append::Full };
        let Some(chunk) = self.chunks.get(at as usize) else { return Append::Full };
        chunk.thread.store(thread, Ordering::Release);
        kill_point!("chunk has a thread");
        cursor.state.set(PackState::of_thread(thread));
        cursor.chunk.set(at + 1);
        chunk.active.store(1, Ordering::Release);
        kill_point!("chunk taken");
        Append::Done
    }

    /// A chunk that was never used.
    fn unused(&self) -> Option<u32> {
        let next = |used: u32| ((used as usize) < self.chunks.len()).then_some(used + 1);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
    }

    /// Whether one more thread may hold chunks: half of the pool stays in flight, and the rest of the threads go through the
    /// ring.
    fn join(&self) -> bool {
        let most = self.chunks.len() as u32 / 2;
        let room = |owners| (owners < most).then_some(owners + 1);
        self.owners.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_ok()
    }

    /// Sends the cursor's chunk to the writer: it is full, or its thread ends.
    pub(crate) fn hand_over(&self, cursor: &ChunkCursor) {
        let Some(at) = cursor.chunk.take().checked_sub(1) else { return };
        kill_point!("chunk full");
        // There are as many places as chunks, so this cannot fail.
        let _ = self.full.0.try_send(at);
        kill_point!("chunk handed over");
    }

    /// Gives up the right to hold a chunk, at the end of a thread.
    pub(crate) fn leave(&self, session: u32, cursor: &ChunkCursor) {
        if cursor.session.get() != session {
            return;
        }
        self.hand_over(cursor);
        if cursor.owner.take() == Some(true) {
            self.owners.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Notes that the writer has put a part into blocks, which the arena's statement of this number will say to be in the
    /// capture.
    pub(crate) fn taken(&self, part: &Part<'_>, statement: u64) {
        let Some(chunk) = self.chunks.get(part.chunk as usize) else { return };
        // Whatever was taken before is in the capture by an earlier statement, or goes there by this very one.
        let before = chunk.taken.load(Ordering::Relaxed);
        if (before >> 32) as u32 != statement as u32 {
            chunk.written.store(before & u64::from(u32::MAX), Ordering::Release);
        }
        kill_point!("written moved up");
        chunk.taken.store(statement << 32 | u64::from(part.end), Ordering::Release);
        kill_point!("part taken");
    }

    /// Whether a full chunk waits for the writer.
    pub(crate) fn has_full(&self) -> bool {
        !self.full.1.is_empty()
    }

    /// Bytes touched at most.
    pub(crate) fn touched_bytes(&self) -> u64 {
        u64::from(self.used.load(Ordering::Relaxed)) * size_of::<Chunk>() as u64
    }
}

impl Chunk {
    /// Appends what `pack` writes; false when there is no room, or it writes nothing. Stamps are to be no less than the
    /// one before: time stands still rather than going back.
    #[inline(always)]
    fn append(
        &self,
        cursor: &ChunkCursor,
        pack: impl FnOnce(&mut PackState, &mut [u8; MAX_EVENT_BYTES]) -> Option<usize>,
    ) -> bool {
        let published = self.published.load(Ordering::Relaxed);
        let at = published as u32 as usize;
        if at > DATA_BYTES - MAX_EVENT_BYTES {
            return false;
        }
        // SAFETY: `at` is within the data with room for an event behind it, and nobody else writes or reads above
        // the published length. The cursor is touched by its thread alone, which is here, and `pack` does not reach it.
        let (room, state) = unsafe {
            let room = self.data.get().cast::<u8>().add(at).cast::<[u8; MAX_EVENT_BYTES]>();
            (&mut *room, &mut *cursor.state.as_ptr())
        };
        let Some(bytes) = pack(state, room) else { return false };
        kill_point!("event packed");
        self.published.store(published + (1 << 32) + bytes as u64, Ordering::Release);
        kill_point!("event published");
        true
    }

    fn part(&self, chunk: u32, from: Swept, to: Swept, is_last: bool) -> Part<'_> {
        let length = to.bytes.saturating_sub(from.bytes) as usize;
        // SAFETY: both ends lie within the published part, which is not written any more.
        let packed =
            unsafe { std::slice::from_raw_parts(self.data.get().cast::<u8>().add(from.bytes as usize), length) };
        Part {
            thread: self.thread.load(Ordering::Relaxed),
            count: to.events.saturating_sub(from.events),
            packed,
            chunk,
            end: to.bytes,
            is_first: from.bytes == 0,
            is_last,
        }
    }

    /// Makes the chunk ready for its next thread: nothing in it is of use any more.
    fn empty(&self) {
        self.published.store(0, Ordering::Release);
        kill_point!("chunk emptied");
        // A part that ends at 0, stated long ago.
        self.taken.store(0, Ordering::Release);
        self.written.store(0, Ordering::Release);
    }

    fn published(&self) -> Swept {
        let published = self.published.load(Ordering::Acquire);
        Swept { bytes: published as u32, events: (published >> 32) as u32 }
    }
}

/// The writer's side of a pool: hands out every event once, in the order of its thread.
pub(crate) struct ChunkReader {
    swept: Vec<Swept>,
    /// Chunks whose parts were all given out and are not all in the capture yet.
    drained: Vec<u32>,
}

impl ChunkReader {
    pub(crate) fn new() -> ChunkReader {
        ChunkReader { swept: vec![Swept::default(); CHUNKS], drained: Vec::new() }
    }

    /// Gives `write` the rest of every chunk that is full now (it may be nothing); [`ChunkReader::give_back`] is to follow.
    /// Chunks that are filled meanwhile wait for the next call. Returns how many there were.
    pub(crate) fn drain(&mut self, pool: &ChunkPool, mut write: impl FnMut(Part<'_>)) -> usize {
        let mut drained = 0;
        for _ in 0..pool.full.1.len() {
            let Ok(at) = pool.full.1.try_recv() else { break };
            let Some((chunk, swept)) = pool.chunks.get(at as usize).zip(self.swept.get_mut(at as usize)) else {
                continue;
            };
            write(chunk.part(at, std::mem::take(swept), chunk.published(), true));
            chunk.active.store(0, Ordering::Relaxed);
            self.drained.push(at);
            drained += 1;
        }
        drained
    }

    /// Sends back empty what was drained: the capture has it now, or it is counted as lost.
    pub(crate) fn give_back(&mut self, pool: &ChunkPool) {
        for at in self.drained.drain(..) {
            if let Some(chunk) = pool.chunks.get(at as usize) {
                chunk.empty();
                let _ = pool.empty.0.try_send(at);
                kill_point!("chunk given back");
            }
        }
    }

    /// Gives `write` what threads have published in the chunks they still hold.
    ///
    /// Lengths are read before full chunks are drained and parts written after: a chunk that was active at the first
    /// look has all its thread's earlier chunks in the queue by then, so no thread's events change their order.
    pub(crate) fn sweep(&mut self, pool: &ChunkPool, mut write: impl FnMut(Part<'_>)) {
        let seen: Vec<Option<Swept>> = pool
            .chunks
            .iter()
            .map(|chunk| (chunk.active.load(Ordering::Acquire) == 1).then(|| chunk.published()))
            .collect();
        // What was seen of a chunk that is drained now is void.
        let mut drained = vec![false; seen.len()];
        self.drain(pool, |part| {
            if let Some(drained) = drained.get_mut(part.chunk as usize) {
                *drained = true;
            }
            write(part);
        });
        for (at, ((chunk, seen), swept)) in pool.chunks.iter().zip(seen).zip(&mut self.swept).enumerate() {
            let Some(to) = seen.filter(|to| to.bytes > swept.bytes) else { continue };
            if drained.get(at).copied().unwrap_or(true) {
                continue;
            }
            write(chunk.part(at as u32, *swept, to, false));
            *swept = to;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_format::unpack;

    fn private() -> Place {
        Place::Private(String::new())
    }

    fn event(number: u64) -> Event {
        Event {
            kind: EventKind::Alloc,
            ticks: number,
            address: number * 16,
            size_bytes: number,
            stack: 1,
            thread: 3,
            tag: 0,
            interval_bytes: 1,
        }
    }

    /// Sweeping at random moments hands every event out once and in order, across many chunks.
    #[test]
    fn sweeps_and_drains_lose_nothing_and_keep_order() {
        let pool = ChunkPool::map(CHUNKS, &private()).expect("memory");
        let (cursor, mut reader) = (ChunkCursor::default(), ChunkReader::new());
        let mut states = vec![PackState::default(); CHUNKS];
        let mut got = Vec::new();
        let mut take = |part: Part<'_>| {
            let state = &mut states[part.chunk as usize];
            if part.is_first {
                *state = PackState::of_thread(part.thread);
            }
            let mut events = unpack(*state, part.packed);
            let before = got.len();
            got.extend(events.by_ref().map(|event| event.expect("valid")));
            assert_eq!(got.len() - before, part.count as usize);
            *state = events.state();
        };
        for number in 0..100_000 {
            assert!(matches!(pool.append(1, &cursor, &event(number)), Append::Done | Append::DoneAndSent));
            if number % 977 == 0 {
                reader.sweep(&pool, &mut take);
                reader.give_back(&pool);
            }
        }
        pool.leave(1, &cursor);
        reader.sweep(&pool, &mut take);
        assert_eq!(got, (0..100_000).map(event).collect::<Vec<_>>());
    }

    /// A chunk that was swept to its end, and handed over before anything was added, must not be written again, and
    /// its next filling must arrive whole.
    #[test]
    fn a_chunk_handed_over_after_a_sweep_starts_anew() {
        let pool = ChunkPool::map(CHUNKS, &private()).expect("memory");
        let mut reader = ChunkReader::new();
        let count = |reader: &mut ChunkReader| {
            let mut events = 0;
            reader.sweep(&pool, |part| events += part.count);
            reader.give_back(&pool);
            events
        };
        for _ in 0..2 * CHUNKS {
            let cursor = ChunkCursor::default();
            (0..10).for_each(|number| assert_eq!(pool.append(1, &cursor, &event(number)), Append::Done));
            assert_eq!(count(&mut reader), 10);
            pool.leave(1, &cursor);
            assert_eq!(count(&mut reader), 0);
        }
    }

    #[test]
    fn threads_that_left_make_room_for_others() {
        let pool = ChunkPool::map(CHUNKS, &private()).expect("memory");
        let mut reader = ChunkReader::new();
        let cursors: Vec<_> = (0..300).map(|_| ChunkCursor::default()).collect();
        let owners = cursors.iter().filter(|cursor| pool.append(1, cursor, &event(1)) == Append::Done).count();
        assert_eq!(owners, CHUNKS / 2);
        cursors.iter().for_each(|cursor| pool.leave(1, cursor));
        reader.drain(&pool, |_| {});
        reader.give_back(&pool);
        assert_eq!(pool.append(1, &ChunkCursor::default(), &event(1)), Append::Done);
    }

    #[test]
    fn refuses_when_no_chunk_is_empty_and_goes_on_after_a_drain() {
        let pool = ChunkPool::map(CHUNKS, &private()).expect("memory");
        let (cursor, mut reader) = (ChunkCursor::default(), ChunkReader::new());
        let mut number = 0;
        while pool.append(1, &cursor, &event(number)) != Append::Full {
            number += 1;
        }
        let mut count = 0;
        assert_eq!(reader.drain(&pool, |part| count += u64::from(part.count)), CHUNKS);
        assert_eq!(count, number);
        assert_eq!(pool.append(1, &cursor, &event(number)), Append::Full, "what is not in the capture stays");
        reader.give_back(&pool);
        assert_eq!(pool.append(1, &cursor, &event(number)), Append::Done);
    }
}
