//! The writer thread: takes events from hooks, puts them into blocks, and is the only one to touch the disk.
//!
//! It sleeps until a tick is due or a hook calls. At each tick it sweeps what threads have published, so that the file
//! is never more than a tick behind the program.
//!
//! While a hook may wait for it, it takes no lock that a thread of the program can hold: modules are refreshed by a
//! thread of their own. When a write fails it says so once, counts what is lost, and tries again at each tick.

mod asked;
mod balance;
mod definitions;
mod file;
mod near_limit;
mod output;
mod shared;
mod thinning;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plimsoll_format::{
    AgentCost, BlockWriter, Counters, End, EndReason, EventKind, Events, Header, Mode, PackState, PeakInterval, Record,
    SPAN_FROM_BYTES, unpack,
};

use crate::chunk::{ChunkReader, Part};
use crate::clock;
use crate::config::{Compression, Config};
use crate::live_table::THIN_AT;
use crate::memory::MemoryReader;
use crate::recorder::Recorder;
use crate::{slot, sys};
pub(crate) use asked::Ask;
use balance::Balance;
use definitions::Definitions;
use near_limit::NearLimit;
pub(crate) use output::Output;
use shared::LeavesAnOutcome;
pub(crate) use shared::{Outcome, Shared, lock};

/// A block is finished when it has grown to this.
const BLOCK_BYTES: usize = 256 << 10;
/// Finished blocks are written when they have grown to this: what the writer holds does not grow with what it is given.
const BUFFER_BYTES: usize = 1 << 20;
/// Definitions come again after this many bytes, or after eight times their own size if that is more.
const KEYFRAME_BYTES: u64 = 4 << 20;
/// Events taken from the ring before other work gets its turn.
const RING_BATCH: usize = 64 << 10;

/// See the module's description.
pub(crate) struct Writer {
    recorder: &'static Recorder,
    shared: Arc<Shared>,
    header: Header,
    output: Output,
    blocks: BlockWriter,
    /// Finished blocks on their way to the file.
    buffer: Vec<u8>,
    definitions: Definitions,
    chunks: ChunkReader,
    /// Per chunk, what the next part of it refers to.
    chunk_states: Vec<PackState>,
    /// Events of the ring that are in blocks.
    ring_taken: u64,
    memory: MemoryReader,
    near_limit: NearLimit,
    balance: Option<Balance>,
    tick: Duration,
    next_tick_ns: u64,
    /// Since when losses have not been written.
    losses_from: u64,
    /// Number of the last write error.
    last_error: i32,
    keyframe_at: u64,
    written_bytes: u64,
    outcome: Outcome,
    /// Entries that thinning took out. A hook that ran then may still be looking at one.
    thinned_out: Vec<u32>,
    /// Threads whose hooks ran when those entries were taken out, and have not been seen to return since.
    thinned_before: Vec<&'static slot::Slot>,
    last_watermark: u64,
    /// What could not be written and comes in no keyframe; and whether a segment lacks its live blocks.
    unsaid: Vec<Record>,
    owes_live_blocks: bool,
    /// Error number of the last failed write, while nothing has been written since.
    failing: Option<i32>,
    said: bool,
}

impl Writer {
    /// A writer whose file has its opening already, so that a process killed at once leaves a readable capture.
    pub(crate) fn open(
        recorder: &'static Recorder,
        shared: Arc<Shared>,
        header: Header,
        output: Output,
        config: &Config,
    ) -> Writer {
        let mut blocks = BlockWriter::new(header.session);
        if config.compression == Compression::Zstd {
            // Without memory for it blocks stay plain, which readers take as well.
            blocks.compress_with_zstd();
        }
        let is_bounded_exact = header.mode == Mode::Exact && output.is_bounded();
        let mut writer = Writer {
            recorder,
            shared,
            blocks,
            header,
            output,
            buffer: Vec::new(),
            definitions: Definitions::default(),
            chunks: ChunkReader::new(),
            chunk_states: Vec::new(),
            ring_taken: 0,
            memory: MemoryReader::open(),
            near_limit: NearLimit::default(),
            balance: is_bounded_exact.then(Balance::default),
            tick: config.tick,
            next_tick_ns: clock::monotonic_ns(),
            losses_from: clock::now(),
            last_error: 0,
            keyframe_at: 0,
            written_bytes: 0,
            outcome: Outcome::default(),
            thinned_out: Vec::new(),
            thinned_before: Vec::new(),
            last_watermark: 0,
            unsaid: Vec::new(),
            owes_live_blocks: false,
            failing: None,
            said: false,
        };
        writer.keyframe();
        writer.flush();
        writer
    }

    /// The error of the opening, if it could not be written.
    pub(crate) fn opening_error(&self) -> Option<std::io::Error> {
        self.failing.map(std::io::Error::from_raw_os_error)
    }

    /// Path of the first segment, for messages.
    pub(crate) fn path(&self) -> &std::path::Path {
        self.output.base()
    }

    /// The thread's whole life.
    pub(crate) fn run(mut self) {
        let _leaves_an_outcome = LeavesAnOutcome(self.shared.clone());
        loop {
            let ending = lock(&self.shared.ending).clone();
            let had_work = self.take_events();
            self.give_back_thinned();
            if self.recorder.live.len() >= THIN_AT {
                self.thin();
            }
            // A full segment ends with a tick of its own: the bound holds at any rate of events.
            let is_full = self.failing.is_none() && self.output.is_segment_full();
            let is_behind = self.balance.as_ref().is_some_and(Balance::is_large);
            if ending.is_some() || is_full || is_behind || clock::monotonic_ns() >= self.next_tick_ns {
                self.tick();
            }
            self.look_at_desk();
            self.flush();
            if let Some(reason) = ending {
                return self.finish(reason);
            }
            if !had_work && self.thinned_out.is_empty() {
                self.sleep();
            }
        }
    }

    fn sleep(&self) {
        let recorder = self.recorder;
        let call = recorder.writer_call.load(Ordering::Acquire);
        recorder.writer_asleep.store(true, Ordering::Release);
        let due = self.next_tick_ns.saturating_sub(clock::monotonic_ns());
        // Neither a full ring nor a request may have come between the last look and here.
        let is_asked = lock(&self.shared.ending).is_some() || !self.shared.desk.is_empty();
        if !is_asked && !recorder.ring.is_half_full() && !recorder.chunks.has_full() {
            sys::futex_wait(&recorder.writer_call, call, Duration::from_nanos(due.max(1)));
        }
        recorder.writer_asleep.store(false, Ordering::Release);
    }

    // ---- events ----

    /// Takes what hooks have sent. New stack nodes are written before and after: an event's nodes exist before the
    /// event is sent, so that they stand in the same write.
    ///
    /// True when chunks were taken: there may be more by now.
    fn take_events(&mut self) -> bool {
        self.define();
        let mut chunks = std::mem::replace(&mut self.chunks, ChunkReader::new());
        let recorder = self.recorder;
        let drained = chunks.drain(&recorder.chunks, |part| self.write_part(&part));
        self.chunks = chunks;
        self.take_ring();
        if drained > 0 && self.failing.is_none() {
            recorder.writer_stuck.store(false, Ordering::Relaxed);
        }
        self.write_notes();
        self.define();
        drained > 0
    }

    fn define(&mut self) {
        let (mut definitions, shared) = (std::mem::take(&mut self.definitions), self.shared.clone());
        definitions.news(self.recorder, &shared, &mut |record| self.push(record));
        self.definitions = definitions;
    }

    fn sweep(&mut self) {
        let mut chunks = std::mem::replace(&mut self.chunks, ChunkReader::new());
        let recorder = self.recorder;
        chunks.sweep(&recorder.chunks, |part| self.write_part(&part));
        self.chunks = chunks;
        self.take_ring();
    }

    /// Writes a part of a chunk as it is; only the state that the next part refers to is worked out.
    fn write_part(&mut self, part: &Part<'_>) {
        let at = part.chunk as usize;
        if self.chunk_states.len() <= at {
            self.chunk_states.resize(at + 1, PackState::default());
        }
        let Some(next_state) = self.chunk_states.get_mut(at) else { return };
        let state = if part.is_first { PackState::of_thread(part.thread) } else { *next_state };
        let mut events = unpack(state, part.packed);
        match &mut self.balance {
            Some(balance) => events.by_ref().flatten().for_each(|event| balance.add(event)),
            None if part.is_last => {}
            None => events.by_ref().for_each(drop),
        }
        *next_state = events.state();
        // A chunk is of one thread and in order. What is in it was stamped before it came here.
        let first = unpack(state, part.packed).next().and_then(Result::ok).map_or(u64::MAX, |event| event.ticks);
        self.push_events(
            Events { packing: 1, state, count: part.count, packed: part.packed.to_vec() },
            (first, clock::now().max(first)),
        );
        // Stated by the next write, which has it: nothing is written between the two.
        self.recorder.chunks.taken(part, self.recorder.arena.epoch().wrapping_add(1));
    }

    fn take_ring(&mut self) {
        let mut packed = Vec::new();
        let mut room = [0u8; plimsoll_format::MAX_EVENT_BYTES];
        let (first, mut state, mut count) = (PackState::default(), PackState::default(), 0);
        let (mut earliest, mut latest) = (u64::MAX, 0);
        while let Some(event) = self.recorder.ring.pop() {
            if let Some(bytes) = state.pack(&event, &mut room) {
                packed.extend_from_slice(room.get(..bytes).unwrap_or_default());
                count += 1;
                (earliest, latest) = (earliest.min(event.ticks), latest.max(event.ticks));
            }
            if let Some(balance) = &mut self.balance {
                balance.add(event);
            }
            if count as usize >= RING_BATCH {
                break;
            }
        }
        if count > 0 {
            self.push_events(Events { packing: 1, state: first, count, packed }, (earliest, latest));
            self.ring_taken = self.recorder.ring.taken();
            if self.failing.is_none() {
                self.recorder.writer_stuck.store(false, Ordering::Relaxed);
            }
        }
    }

    /// Adds events, none of which is stamped before the first or after the second of `stamps`. They go in blocks of their
    /// own, which a reader can pass over, but for those that come between definitions a few at a time.
    fn push_events(&mut self, events: Events, (first, last): (u64, u64)) {
        self.outcome.events += u64::from(events.count);
        if self.blocks.has_no_events() {
            self.blocks.finish(&mut self.buffer);
        }
        self.finish_if_full();
        // A part of a chunk is far smaller than a block can be.
        self.blocks.push_events(events, first, last);
    }

    fn finish_if_full(&mut self) {
        if self.blocks.pending_bytes() >= BLOCK_BYTES {
            self.blocks.finish(&mut self.buffer);
            // While nothing can be written the buffer is what `recover` tries to write as a whole.
            if self.buffer.len() >= BUFFER_BYTES && self.failing.is_none() {
                self.flush();
            }
        }
    }

    fn push(&mut self, record: &Record) {
        if self.blocks.has_only_events() && self.blocks.pending_bytes() >= SPAN_FROM_BYTES {
            self.blocks.finish(&mut self.buffer);
        }
        self.finish_if_full();
        // Records are split far below the size of a block; one that is refused after all starts the next.
        if !self.blocks.push(record) {
            self.blocks.finish(&mut self.buffer);
            self.blocks.push(record);
        }
    }

    fn write_notes(&mut self) {
        let notes = std::mem::take(&mut *lock(&self.shared.notes));
        notes.iter().for_each(|note| self.push(note));
        while let Ok(end) = self.recorder.thread_ends.1.try_recv() {
            for record in self.definitions.thread_ended(&end) {
                self.push(&record);
            }
        }
    }

    // ---- ticks ----

    fn tick(&mut self) {
        self.next_tick_ns = clock::monotonic_ns() + self.tick.as_nanos() as u64;
        if self.failing.is_some() {
            self.recover();
        }
        let watermark = clock::now();
        self.recorder.arena.looked_round(watermark);
        self.sweep();
        self.write_notes();
        self.define();
        self.push(&Record::Anchor(clock::anchor()));
        let cost = self.agent_cost();
        let tick = self.memory.tick(cost);
        self.push(&Record::Tick(tick));
        let near = self.near_limit.crossed(&tick);
        if let Some(name) = &near {
            self.push(&Record::Marker { ticks: tick.ticks, name: name.clone() });
        }
        self.push(&Record::Counters(self.counters()));
        // While nothing can be written, losses go on adding up.
        if self.failing.is_none() {
            self.write_losses(watermark);
        }
        self.push(&Record::Watermark { ticks: watermark });
        if let Some(balance) = &mut self.balance {
            balance.apply(self.last_watermark);
        }
        self.last_watermark = watermark;
        self.flush();
        if self.failing.is_none() && self.output.is_segment_full() {
            self.rotate();
        } else if self.failing.is_none() && (near.is_some() || self.written_bytes >= self.keyframe_at) {
            self.keyframe();
        }
    }

    fn write_losses(&mut self, until: u64) {
        for loss in self.recorder.losses.take(self.losses_from, until, self.last_error) {
            self.outcome.lost_allocations += loss.allocations;
            self.outcome.lost_frees += loss.frees;
            self.push(&Record::Loss(loss));
        }
        self.losses_from = until;
    }

    fn agent_cost(&self) -> AgentCost {
        let (sums, _) = slot::collect_twice();
        AgentCost {
            mapped_bytes: self.recorder.touched_bytes() + slot::mapped_bytes() + self.blocks.compressor_bytes() as u64,
            heap_bytes: sums.agent.live_bytes().max(0) as u64,
            cpu_ns: sys::cpu_time(libc::CLOCK_THREAD_CPUTIME_ID),
        }
    }

    fn counters(&self) -> Counters {
        let (first, second) = slot::collect_twice();
        let (recorder, peak) = (self.recorder, slot::peak());
        let mut classes = slot::classes().to_vec();
        let used = classes.iter().rposition(|class| class.allocations + class.frees > 0).map_or(0, |last| last + 1);
        classes.truncate(used);
        Counters {
            ticks: clock::now(),
            program: first.program,
            agent: second.agent,
            exact: first.program == second.program,
            threads: slot::threads_in_use(),
            peak: PeakInterval {
                low_bytes: peak.low_bytes,
                high_bytes: peak.high_bytes,
                ticks: clock::ticks_since(&self.header.start, peak.monotonic_ns),
            },
            classes,
            unwind: recorder.unwinders.quality(),
            stack_nodes: recorder.stacks.len(),
            live_samples: recorder.live.len(),
            waits: recorder.waits.load(Ordering::Relaxed),
            waited_ns: recorder.waited_ns.load(Ordering::Relaxed),
            program_upper: second.program,
        }
    }

    /// Says again what later blocks rely on.
    fn keyframe(&mut self) {
        self.blocks.finish(&mut self.buffer);
        let before = self.written_bytes + self.buffer.len() as u64;
        self.blocks.mark_keyframe();
        self.header.segment = self.output.segment();
        self.header.dropped_segments = self.output.dropped();
        self.push(&Record::Header(self.header.clone()));
        self.push(&Record::Anchor(clock::anchor()));
        self.push(&Record::Arena(self.recorder.arena.told.clone()));
        let (mut definitions, shared) = (std::mem::take(&mut self.definitions), self.shared.clone());
        definitions.all(self.recorder, &shared, &mut |record| self.push(record));
        self.definitions = definitions;
        self.blocks.finish(&mut self.buffer);
        let after = self.written_bytes + self.buffer.len() as u64;
        self.keyframe_at = after + KEYFRAME_BYTES.max(8 * after.saturating_sub(before));
    }

    fn finish(mut self, reason: EndReason) {
        for (thread, totals) in slot::all()
            .filter(|slot| slot.is_used() && !slot.is_agents())
            .map(|slot| (slot.thread.load(Ordering::Relaxed), slot.thread_totals()))
        {
            self.push(&Record::ThreadTotals { thread, ticks: clock::now(), totals });
        }
        self.push(&Record::End(End { ticks: clock::now(), reason, lost_blocks: 0 }));
        self.flush();
        kill_point!("end written");
        self.recorder.arena.remove();
        kill_point!("arena removed");
        self.outcome.written_bytes = self.written_bytes;
        *lock(&self.shared.outcome) = Some(std::mem::take(&mut self.outcome));
    }
}

/// Whether an event takes a block away.
fn is_free(kind: EventKind) -> bool {
    matches!(kind, EventKind::Free | EventKind::ReallocFree)
}
