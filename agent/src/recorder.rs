//! What hooks need while a session records, and how one event becomes bytes on their way to the writer.
//!
//! There is at most one recorder. Hooks find it through one pointer, use it only while their slot is `busy`, and a
//! session frees it only after it has taken the pointer away and seen every slot not busy once.
//!
//! While a hook is at what all threads share, a queue or the table of live samples, signals are kept out: a handler that jumped
//! out of the middle would leave the others spinning. A sample or a full chunk is rare enough for that.

mod current;
mod ends;
mod intervals;
mod sizes;

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded};
use plimsoll_format::{Event, EventKind, LossCause, Mode, StackNode};

use crate::chunk::{Append, ChunkPool};
use crate::config::{Recording, Unwinder};
use crate::last_threads::LastThreads;
use crate::live_table::{LiveTable, Sample};
use crate::loss::Losses;
use crate::ring::EventRing;
use crate::sampler::Random;
use crate::shared_arena::{Place, SharedArena};
use crate::slot::Slot;
use crate::stack_table::{EXACT_NODES, SAMPLED_NODES, StackTable};
use crate::sys::{Errno, SignalsBlocked};
use crate::unwind::{Outcome, Registers, Unwinders};
use crate::{clock, filter, sys};

pub(crate) use current::*;
use ends::THREAD_ENDS;
pub(crate) use ends::ThreadEnd;
use intervals::Intervals;
pub(crate) use sizes::TableSizes;

/// Longest time that a hook waits for the writer.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// See the module's description.
pub(crate) struct Recorder {
    /// Tells sessions of this process apart, from 1.
    pub(crate) session: u32,
    pub(crate) mode: Mode,
    pub(crate) intervals: Intervals,
    pub(crate) seed: u64,
    pub(crate) paused: AtomicBool,
    pub(crate) arena: SharedArena,
    pub(crate) stacks: StackTable,
    pub(crate) unwinders: Unwinders,
    pub(crate) live: LiveTable,
    last_threads: LastThreads,
    pub(crate) ring: EventRing,
    pub(crate) chunks: ChunkPool,
    pub(crate) thread_ends: (Sender<ThreadEnd>, Receiver<ThreadEnd>),
    pub(crate) losses: Losses,
    /// The writer sleeps on this; hooks and sessions wake it.
    pub(crate) writer_call: AtomicU32,
    pub(crate) writer_asleep: AtomicBool,
    /// The writer did not get on in time, or cannot write: hooks don't wait until it clears this.
    pub(crate) writer_stuck: AtomicBool,
    pub(crate) waits: AtomicU64,
    pub(crate) waited_ns: AtomicU64,
}

impl Recorder {
    /// A recorder that nobody uses yet; `None` when the system has no memory for its tables.
    pub(crate) fn map(
        session: u32,
        recording: Recording,
        seed: u64,
        unwinder: Unwinder,
        modules: &[crate::modules::LoadedModule],
        (sizes, place): (&TableSizes, &Place),
    ) -> Option<Recorder> {
        let (mode, first_interval) = match recording {
            Recording::Sampled { interval } => (Mode::Sampled, interval),
            Recording::Exact => (Mode::Exact, 1),
        };
        let exact = mode == Mode::Exact;
        Some(Recorder {
            session,
            mode,
            intervals: Intervals::new(first_interval),
            seed,
            paused: AtomicBool::new(false),
            arena: SharedArena::map(place)?,
            stacks: StackTable::map(if exact { EXACT_NODES } else { SAMPLED_NODES }, sizes.journal, place)?,
            unwinders: Unwinders::map(unwinder, exact, modules)?,
            live: LiveTable::map()?,
            last_threads: LastThreads::map(exact)?,
            ring: EventRing::map(sizes.ring, place)?,
            chunks: ChunkPool::map(sizes.chunks, place)?,
            thread_ends: bounded(THREAD_ENDS),
            losses: Losses::map(place)?,
            writer_call: AtomicU32::new(0),
            writer_asleep: AtomicBool::new(false),
            writer_stuck: AtomicBool::new(false),
            waits: AtomicU64::new(0),
            waited_ns: AtomicU64::new(0),
        })
    }

    /// Memory of the tables, as far as it was touched at most.
    pub(crate) fn touched_bytes(&self) -> u64 {
        let chunks = match self.mode {
            Mode::Exact => self.chunks.touched_bytes() + self.last_threads.touched_bytes(),
            Mode::Sampled => 0,
        };
        let filter = filter::touched_bytes(self.live.len());
        self.arena.touched_bytes()
            + self.stacks.touched_bytes()
            + self.unwinders.touched_bytes()
            + self.live.touched_bytes()
            + self.ring.touched_bytes()
            + chunks
            + filter
    }

    // ---- hooks, while the slot is busy ----

    /// Records an allocation if this mode wants it.
    #[inline(always)]
    pub(crate) fn alloc(&self, slot: &Slot, address: usize, size: usize, kind: EventKind, registers: Registers) {
        match self.mode {
            Mode::Exact => self.alloc_exact(slot, address, size, kind, registers),
            Mode::Sampled => self.alloc_sampled(slot, address, size, kind, registers),
        }
    }

    #[inline(always)]
    fn alloc_exact(&self, slot: &Slot, address: usize, size: usize, kind: EventKind, registers: Registers) {
        if self.paused.load(Ordering::Relaxed) {
            return;
        }
        let stack = self.stack(slot, size as u64, registers);
        let place = self.place_and_time(slot, address);
        if !self.chunks.append_usual_alloc((self.session, &slot.cursor), kind, place, (size as u64, stack)) {
            self.append_or_wait(slot, kind, place, (size as u64, stack));
        }
    }

    #[inline(never)]
    fn alloc_sampled(&self, slot: &Slot, address: usize, size: usize, kind: EventKind, registers: Registers) {
        if !self.is_sampled(slot, size as u64) {
            return;
        }
        if self.paused.load(Ordering::Relaxed) {
            self.rearm(slot);
            return;
        }
        let _signals = SignalsBlocked::new();
        let stack = self.stack(slot, size as u64, registers);
        // The one that the gap just used up was drawn with.
        let step = slot.interval.load(Ordering::Relaxed) as u8;
        let event = event(slot, kind, self.place_and_time(slot, address), (size as u64, stack));
        let event = Event { interval_bytes: self.intervals.of(step), ..event };
        let sample = Sample {
            address,
            size: size as u64,
            ticks: event.ticks,
            stack,
            thread: event.thread,
            tag: event.tag,
            step,
        };
        self.rearm(slot);
        if self.keep(&sample) {
            self.send_by_ring(&event);
        }
    }

    /// Records a free if the block is known to this session; `kind` says whether it begins a reallocation. Returns
    /// what [`Recorder::undo`] needs.
    #[inline(always)]
    pub(crate) fn free(&self, slot: &Slot, address: usize, size: usize, kind: EventKind) -> Option<Retired> {
        match self.mode {
            Mode::Exact => self.free_exact(slot, address, size, kind),
            Mode::Sampled => return self.free_sampled(slot, address, size, kind),
        }
        Some(Retired { session: self.session, sample: None })
    }

    #[inline(always)]
    fn free_exact(&self, slot: &Slot, address: usize, size: usize, kind: EventKind) {
        let place = self.place_and_time(slot, address);
        if !self.chunks.append_usual_free((self.session, &slot.cursor), kind, place) {
            // The size is not written, but a loss is counted with it.
            self.append_or_wait(slot, kind, place, (size as u64, 0));
        }
    }

    #[inline(never)]
    fn free_sampled(&self, slot: &Slot, address: usize, size: usize, kind: EventKind) -> Option<Retired> {
        let _signals = SignalsBlocked::new();
        let sample = self.live.remove(address)?;
        filter::remove(address);
        self.send_by_ring(&event(slot, kind, self.place_and_time(slot, address), (size as u64, 0)));
        Some(Retired { session: self.session, sample: Some(sample) })
    }

    /// Takes back the start of a reallocation that failed.
    pub(crate) fn undo(&self, slot: &Slot, address: usize, retired: &Retired) {
        if retired.session != self.session {
            return;
        }
        if retired.sample.is_some_and(|sample| !self.keep(&sample)) {
            return;
        }
        match self.mode {
            Mode::Exact => self.free_exact(slot, address, 0, EventKind::ReallocUndo),
            Mode::Sampled => {
                let place = self.place_and_time(slot, address);
                self.send_by_ring(&event(slot, EventKind::ReallocUndo, place, (0, 0)));
            }
        }
    }

    /// Puts a sample into the table; counts it as lost, and gives false, when that is full.
    ///
    /// The filter comes first: the writer may thin the sample away, and take it out of the filter, at any moment after.
    fn keep(&self, sample: &Sample) -> bool {
        filter::insert(sample.address);
        let kept = self.live.insert(sample);
        if !kept {
            filter::remove(sample.address);
            self.losses.alloc(LossCause::LiveTableFull, sample.size);
        }
        kept
    }

    /// Time stamp, address and tag of an event that happens now.
    #[inline(always)]
    fn place_and_time(&self, slot: &Slot, address: usize) -> (u64, u64, u32) {
        let thread = slot.thread.load(Ordering::Relaxed);
        let ticks = match self.mode {
            Mode::Exact if self.last_threads.was_touched_by(address, thread) => clock::now_unfenced(),
            _ => clock::now(),
        };
        (ticks, address as u64, slot.tag.load(Ordering::Relaxed))
    }

    /// Whether the allocation of `size` bytes that was just counted holds a sampled byte.
    fn is_sampled(&self, slot: &Slot, size: u64) -> bool {
        let bytes = slot.bytes();
        if slot.session.load(Ordering::Relaxed) != self.session {
            slot.session.store(self.session, Ordering::Relaxed);
            let thread = u64::from(slot.thread.load(Ordering::Relaxed));
            let random = Random::new(self.seed ^ thread.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            slot.random.store(random.state(), Ordering::Relaxed);
            // The gap begins before this allocation, so that it may be the first sampled one.
            self.draw(slot, bytes.wrapping_sub(size));
        }
        bytes >= slot.sample_bytes.load(Ordering::Relaxed)
    }

    /// After a sample the next gap begins where its block ends: gaps have no memory.
    fn rearm(&self, slot: &Slot) {
        self.draw(slot, slot.bytes());
    }

    fn draw(&self, slot: &Slot, from: u64) {
        let mut random = Random::from_state(slot.random.load(Ordering::Relaxed));
        let step = self.intervals.step();
        let gap = random.gap(self.intervals.of(step));
        slot.random.store(random.state(), Ordering::Relaxed);
        slot.interval.store(u64::from(step), Ordering::Relaxed);
        slot.sample_bytes.store(from.saturating_add(gap), Ordering::Relaxed);
    }

    /// Walks the stack and gives its node; an outer one when the table is full, 0 when nothing is known.
    #[inline(always)]
    fn stack(&self, slot: &Slot, size: u64, registers: Registers) -> u32 {
        let stack = slot.stack();
        if let Some(found) = self.unwinders.find((self.session, &slot.walk), registers, &stack, &self.stacks) {
            if found.is_cut {
                self.losses.alloc(LossCause::StackTableFull, size);
            } else if self.unwinders.checks() {
                self.check(found.node, self.walk_whole_stack(stack, size, registers));
            }
            return found.node;
        }
        self.walk_whole_stack(stack, size, registers)
    }

    #[inline(never)]
    fn walk_whole_stack(&self, stack: Range<usize>, size: u64, registers: Registers) -> u32 {
        self.unwinders.walk(registers, stack, |frames, outcome| {
            let mut node = match outcome {
                Outcome::Complete => Some(0),
                Outcome::Truncated => self.stacks.child(0, StackNode::TRUNCATED),
                Outcome::Broken => self.stacks.child(0, StackNode::BROKEN),
            }
            .unwrap_or(0);
            for address in frames.iter().rev() {
                match self.stacks.child(node, *address) {
                    Some(child) => node = child,
                    None => {
                        self.losses.alloc(LossCause::StackTableFull, size);
                        break;
                    }
                }
            }
            node
        })
    }

    /// The debug mode `PLIMSOLL_CHECK_STACKS`: a stack from the last walk must be what a whole walk finds.
    #[cold]
    fn check(&self, found: u32, whole: u32) {
        if found != whole {
            sys::die("plimsoll: PLIMSOLL_CHECK_STACKS: a stack from the last walk differs from a whole walk\n");
        }
        self.unwinders.count_check();
    }

    /// Appends an event that is not usual, or needs a new chunk; waits for the writer if need be, or counts it as lost.
    #[cold]
    #[inline(never)]
    fn append_or_wait(&self, slot: &Slot, kind: EventKind, place: (u64, u64, u32), (size, stack): (u64, u32)) {
        let event = event(slot, kind, place, (size, stack));
        if slot.ring_only.load(Ordering::Relaxed) == self.session {
            return self.send_by_ring(&event);
        }
        // While nothing gets on, few try whether it does again.
        if self.writer_stuck.load(Ordering::Relaxed) && !event.ticks.is_multiple_of(64) {
            return self.losses.event(LossCause::WriterBehind, &event);
        }
        let append = || {
            let _signals = SignalsBlocked::new();
            self.chunks.append(self.session, &slot.cursor, &event)
        };
        match append() {
            Append::Done => {}
            Append::DoneAndSent => self.wake_writer(),
            Append::Full => {
                self.wait_or_lose(&event, || matches!(append(), Append::Done | Append::DoneAndSent));
            }
            Append::NotAnOwner => {
                slot.ring_only.store(self.session, Ordering::Relaxed);
                self.send_by_ring(&event);
            }
        }
    }

    #[inline(never)]
    fn send_by_ring(&self, event: &Event) {
        if !self.ring.push(event) {
            self.wait_or_lose(event, || self.ring.push(event));
        } else if self.ring.is_half_full() {
            self.wake_writer();
        }
    }

    #[cold]
    fn wait_or_lose(&self, event: &Event, mut attempt: impl FnMut() -> bool) {
        let _errno = Errno::save();
        let start = clock::monotonic_ns();
        while !self.writer_stuck.load(Ordering::Relaxed) {
            // Each time round: the writer may have gone to sleep just after it was last seen awake.
            self.wake_writer();
            sys::sleep(Duration::from_micros(50));
            if attempt() {
                self.waits.fetch_add(1, Ordering::Relaxed);
                self.waited_ns.fetch_add(clock::monotonic_ns().saturating_sub(start), Ordering::Relaxed);
                return;
            }
            if clock::monotonic_ns().saturating_sub(start) > LONGEST_WAIT.as_nanos() as u64 {
                self.writer_stuck.store(true, Ordering::Relaxed);
            }
        }
        self.losses.event(LossCause::WriterBehind, event);
    }

    /// Ends the writer's sleep, if it sleeps.
    fn wake_writer(&self) {
        if self.writer_asleep.swap(false, Ordering::AcqRel) {
            self.call_writer();
        }
    }

    /// Makes the writer look again, whatever it does now.
    pub(crate) fn call_writer(&self) {
        let _errno = Errno::save();
        self.writer_call.fetch_add(1, Ordering::Release);
        sys::futex_wake(&self.writer_call);
    }
}

/// An event of the thread that has `slot`, with the interval of exact mode.
fn event(
    slot: &Slot,
    kind: EventKind,
    (ticks, address, tag): (u64, u64, u32),
    (size_bytes, stack): (u64, u32),
) -> Event {
    let thread = slot.thread.load(Ordering::Relaxed);
    Event { kind, ticks, address, size_bytes, stack, thread, tag, interval_bytes: 1 }
}

/// What the beginning of a reallocation took out of a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retired {
    session: u32,
    sample: Option<Sample>,
}
