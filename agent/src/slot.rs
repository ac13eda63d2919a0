//! One slot per thread: its counters, which are always on, and what recording needs to know about the thread.
//!
//! A slot is written by its thread alone, with plain loads and stores, and read by anybody who sums. Counters only
//! ever grow and stay with the slot when the thread ends; the next thread that gets the slot goes on from there, so a
//! sum over all slots is the process's total, whoever comes and goes.
//!
//! Never: freed. When threads outnumber the slots (65,536 live ones) the rest share one, counted with atomic adds.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use plimsoll_format::{Mode, SizeClass, Totals};

use crate::arena::{Arena, Zeroed};
use crate::chunk::ChunkCursor;
use crate::recorder::{self, Recorder};
use crate::unwind::WalkCursor;

/// Size classes: class `k` holds sizes from 2^k up to 2^(k+1) − 1 bytes, class 0 also size 0.
pub(crate) const CLASSES: usize = 64;
/// Bytes that a thread may allocate, and free, before it publishes its live total: half the width that it adds to the
/// interval around the process's peak.
pub(crate) const PUBLISH_STEP: u64 = 512 << 10;

const SLOTS_PER_SLAB: usize = 64;
const SLABS: usize = 1024;

const FREE: u32 = 0;
const USED: u32 = 1;

/// What one thread counts and knows.
#[repr(C, align(64))]
pub(crate) struct Slot {
    /// Bytes allocated; doubles as the countdown to `stop_bytes`.
    pub(crate) bytes: AtomicU64,
    /// The slow path is due when `bytes` reaches this. 0 makes every allocation take it.
    pub(crate) stop_bytes: AtomicU64,
    /// Bytes freed.
    pub(crate) freed_bytes: AtomicU64,
    /// The slow path is due when `freed_bytes` reaches this. 0 makes every free take it.
    pub(crate) stop_freed_bytes: AtomicU64,
    allocations: [AtomicU64; CLASSES],
    frees: [AtomicU64; CLASSES],
    pub(crate) reallocations: AtomicU64,

    state: AtomicU32,
    /// Counts for the agent: its own threads, and its work on the program's threads.
    is_agent: AtomicBool,
    /// Set while the slow path runs; a nested entry passes straight through.
    pub(crate) busy: AtomicBool,
    /// Id of the thread in captures, never reused.
    pub(crate) thread: AtomicU32,
    /// Id of the thread in the system.
    pub(crate) os_thread: AtomicU32,
    /// Tag in force, 0 for none.
    pub(crate) tag: AtomicU32,

    /// `bytes` and `freed_bytes` at which the live total is to be published next, and what was published last.
    pub(crate) publish_bytes: AtomicU64,
    pub(crate) publish_freed_bytes: AtomicU64,
    published: AtomicI64,

    /// Session that armed the sampler, its random state, the interval in force and the `bytes` of the next sample.
    pub(crate) session: AtomicU32,
    pub(crate) random: AtomicU64,
    pub(crate) interval: AtomicU64,
    pub(crate) sample_bytes: AtomicU64,
    /// Exact mode: the chunk under way. Only its thread touches it, and only while `busy`.
    pub(crate) cursor: ChunkCursor,
    /// Exact mode: where the thread keeps its last walk. Touched as `cursor` is.
    pub(crate) walk: WalkCursor,
    /// The thread's stack: lowest address and end; the end is 0 before it was asked for, 1 when unknown.
    stack_start: AtomicUsize,
    stack_end: AtomicUsize,

    /// Counters when the present thread got the slot.
    base: [AtomicU64; 5],
}

// SAFETY: all fields are atomics or cells of plain integers, valid as zeros, without Drop.
unsafe impl Zeroed for Slot {}
// SAFETY: `cursor` and `walk` are the only fields that are not atomic; they are touched by the slot's thread alone, and by the writer
// only after that thread has given the slot up (`release`, a Release store read with Acquire).
unsafe impl Sync for Slot {}

static SLAB: [AtomicPtr<Slot>; SLABS] = [const { AtomicPtr::new(std::ptr::null_mut()) }; SLABS];
/// Slots handed out at least once; all live ones are below.
static SLOTS: AtomicUsize = AtomicUsize::new(0);
/// Most slots of the program in use at once since the process started.
static MOST_USED: AtomicU32 = AtomicU32::new(0);
static IN_USE: AtomicU32 = AtomicU32::new(0);
static NEXT_THREAD: AtomicU32 = AtomicU32::new(1);
/// Live bytes as published by all threads, the maximum of that, and when it was seen.
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static PEAK_TICKS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// The thread's slot. No destructor: allocations after the thread's last destructor still find it.
    static CURRENT: Cell<Option<&'static Slot>> = const { Cell::new(None) };
}

/// The calling thread's slot, `None` before its first event.
#[inline(always)]
pub(crate) fn current() -> Option<&'static Slot> {
    CURRENT.with(Cell::get)
}

/// Makes `slot` the calling thread's and returns the one before.
pub(crate) fn set_current(slot: Option<&'static Slot>) -> Option<&'static Slot> {
    CURRENT.with(|current| current.replace(slot))
}

#[inline(always)]
fn class(size: usize) -> usize {
    // At most 63, so the array access needs no check.
    (size as u64 | 1).ilog2() as usize
}

/// Adds to a counter that only this thread writes.
#[inline(always)]
fn add(counter: &AtomicU64, amount: u64) -> u64 {
    let sum = counter.load(Ordering::Relaxed).wrapping_add(amount);
    counter.store(sum, Ordering::Relaxed);
    sum
}

impl Slot {
    /// Counts an allocation; true when the slow path is due.
    #[inline(always)]
    pub(crate) fn count_alloc(&self, size: usize) -> bool {
        add(&self.allocations[class(size)], 1);
        add(&self.bytes, size as u64) >= self.stop_bytes.load(Ordering::Relaxed)
    }

    /// Counts a free; true when the slow path is due.
    #[inline(always)]
    pub(crate) fn count_free(&self, size: usize) -> bool {
        add(&self.frees[class(size)], 1);
        add(&self.freed_bytes, size as u64) >= self.stop_freed_bytes.load(Ordering::Relaxed)
    }

    /// Counts a successful reallocation; its free and its allocation are counted as such.
    #[inline(always)]
    pub(crate) fn count_realloc(&self) {
        add(&self.reallocations, 1);
    }

    /// Whether every free takes the slow path: exact mode, or a state about to be looked at.
    #[inline(always)]
    pub(crate) fn sees_every_free(&self) -> bool {
        self.stop_freed_bytes.load(Ordering::Relaxed) == 0
    }

    /// Counts on behalf of threads that have no slot, from any of them. Size 0 stands for no event.
    pub(crate) fn count_shared(&self, allocated: usize, freed: usize) {
        if allocated > 0 {
            self.allocations[class(allocated)].fetch_add(1, Ordering::Relaxed);
            self.bytes.fetch_add(allocated as u64, Ordering::Relaxed);
        }
        if freed > 0 {
            self.frees[class(freed)].fetch_add(1, Ordering::Relaxed);
            self.freed_bytes.fetch_add(freed as u64, Ordering::Relaxed);
        }
    }

    /// Makes the next event take the slow path. Called by other threads; see `set_stops` for the race.
    pub(crate) fn stop_now(&self) {
        self.stop_bytes.store(0, Ordering::Release);
        self.stop_freed_bytes.store(0, Ordering::Release);
    }

    /// Sets when the slow path is due next. By the slot's own thread, as the last step of a slow path.
    ///
    /// A session that starts meanwhile installs its recorder, makes all threads pass a barrier, and then calls
    /// `stop_now`: either its store comes after ours, or we see its recorder, as we look once more after storing.
    pub(crate) fn set_stops(&self, recorder: Option<&Recorder>) {
        if self.is_agents() {
            return;
        }
        let publish = self.publish_bytes.load(Ordering::Relaxed);
        let (stop, stop_freed) = match recorder.map(|recorder| recorder.mode) {
            None => (publish, self.publish_freed_bytes.load(Ordering::Relaxed)),
            Some(Mode::Exact) => (0, 0),
            // Not armed yet: the next allocation is to arm the sampler; frees need no look but the filter's.
            Some(Mode::Sampled) if self.session.load(Ordering::Relaxed) != recorder.map_or(0, |it| it.session) => {
                (0, self.publish_freed_bytes.load(Ordering::Relaxed))
            }
            Some(Mode::Sampled) => {
                let next = self.sample_bytes.load(Ordering::Relaxed).min(publish);
                (next, self.publish_freed_bytes.load(Ordering::Relaxed))
            }
        };
        self.stop_bytes.store(stop, Ordering::Relaxed);
        self.stop_freed_bytes.store(stop_freed, Ordering::Relaxed);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        if recorder::current().map(std::ptr::from_ref) != recorder.map(std::ptr::from_ref) {
            self.stop_now();
        }
    }

    /// Whether the live total is due to be published.
    pub(crate) fn publish_due(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.publish_bytes.load(Ordering::Relaxed)
            || self.freed_bytes.load(Ordering::Relaxed) >= self.publish_freed_bytes.load(Ordering::Relaxed)
    }

    /// Adds this thread's change to the process's live total and raises the peak if that is a new one.
    #[cold]
    #[inline(never)]
    pub(crate) fn publish(&self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        let freed = self.freed_bytes.load(Ordering::Relaxed);
        self.publish_bytes.store(bytes.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        self.publish_freed_bytes.store(freed.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        let mine = bytes.wrapping_sub(freed) as i64;
        let change = mine.wrapping_sub(self.published.load(Ordering::Relaxed));
        self.published.store(mine, Ordering::Relaxed);
        let live = LIVE.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
        if live > PEAK.load(Ordering::Relaxed) && PEAK.fetch_max(live, Ordering::Relaxed) < live {
            PEAK_TICKS.store(crate::clock::now(), Ordering::Relaxed);
        }
    }

    /// Everything this slot ever counted.
    pub(crate) fn totals(&self) -> Totals {
        let sum = |counters: &[AtomicU64]| {
            counters.iter().fold(0u64, |sum, counter| sum.wrapping_add(counter.load(Ordering::Relaxed)))
        };
        Totals {
            allocations: sum(&self.allocations),
            bytes: self.bytes.load(Ordering::Relaxed),
            frees: sum(&self.frees),
            freed_bytes: self.freed_bytes.load(Ordering::Relaxed),
            reallocations: self.reallocations.load(Ordering::Relaxed),
        }
    }

    /// What the present thread counted since it got the slot.
    pub(crate) fn thread_totals(&self) -> Totals {
        let now = self.totals();
        let base = |at: usize| self.base[at].load(Ordering::Relaxed);
        Totals {
            allocations: now.allocations.wrapping_sub(base(0)),
            bytes: now.bytes.wrapping_sub(base(1)),
            frees: now.frees.wrapping_sub(base(2)),
            freed_bytes: now.freed_bytes.wrapping_sub(base(3)),
            reallocations: now.reallocations.wrapping_sub(base(4)),
        }
    }

    /// Adds this slot's size classes to `classes`.
    pub(crate) fn add_classes(&self, classes: &mut [SizeClass; CLASSES]) {
        for ((class, allocations), frees) in classes.iter_mut().zip(&self.allocations).zip(&self.frees) {
            class.allocations = class.allocations.wrapping_add(allocations.load(Ordering::Relaxed));
            class.frees = class.frees.wrapping_add(frees.load(Ordering::Relaxed));
        }
    }

    /// Bounds of the thread's own stack, empty when the system does not tell them.
    #[inline(always)]
    pub(crate) fn stack(&self) -> std::ops::Range<usize> {
        if self.stack_end.load(Ordering::Relaxed) == 0 {
            self.ask_for_stack();
        }
        self.stack_start.load(Ordering::Relaxed)..self.stack_end.load(Ordering::Relaxed)
    }

    #[cold]
    fn ask_for_stack(&self) {
        let _errno = crate::sys::Errno::save();
        {
            let (start, end) = crate::sys::stack_bounds().unwrap_or((1, 1));
            self.stack_start.store(start, Ordering::Relaxed);
            self.stack_end.store(end, Ordering::Relaxed);
        }
    }

    /// Whether this slot counts for the agent.
    pub(crate) fn is_agents(&self) -> bool {
        self.is_agent.load(Ordering::Relaxed)
    }

    /// Whether a thread holds this slot.
    pub(crate) fn is_used(&self) -> bool {
        self.state.load(Ordering::Acquire) == USED
    }

    /// Prepares a slot that was just claimed for the calling thread.
    fn open(&self) {
        let totals = self.totals();
        let counts = [totals.allocations, totals.bytes, totals.frees, totals.freed_bytes, totals.reallocations];
        for (base, count) in self.base.iter().zip(counts) {
            base.store(count, Ordering::Relaxed);
        }
        self.busy.store(false, Ordering::Relaxed);
        self.os_thread.store(crate::sys::thread_id(), Ordering::Relaxed);
        self.tag.store(0, Ordering::Relaxed);
        self.session.store(0, Ordering::Relaxed);
        self.stack_end.store(0, Ordering::Relaxed);
        self.publish_bytes.store(totals.bytes.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        self.publish_freed_bytes.store(totals.freed_bytes.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        // The agent's slots never leave the fast path; the program's take the slow path at their first event, which
        // joins a session under way.
        let stop = if self.is_agents() { u64::MAX } else { 0 };
        self.stop_bytes.store(stop, Ordering::Relaxed);
        self.stop_freed_bytes.store(stop, Ordering::Relaxed);
        // Work of the agent's on a program's thread opens a slot each time: it must not use ids up.
        let thread = if self.is_agents() { 0 } else { NEXT_THREAD.fetch_add(1, Ordering::Relaxed) };
        self.thread.store(thread, Ordering::Release);
    }

    /// Gives the slot up. The caller has published and handed over whatever the thread held.
    pub(crate) fn release(&self) {
        if !self.is_agents() {
            IN_USE.fetch_sub(1, Ordering::Relaxed);
        }
        self.state.store(FREE, Ordering::Release);
    }
}

/// All slots that were ever handed out, and the shared one.
pub(crate) fn all() -> impl Iterator<Item = &'static Slot> {
    let count = SLOTS.load(Ordering::Acquire).min(SLABS * SLOTS_PER_SLAB);
    (0..count).filter_map(at).chain(std::iter::once(overflow()))
}

/// The slot of all threads that found no other. It never records; its counters are added to atomically.
pub(crate) fn overflow() -> &'static Slot {
    // SAFETY: a slot is valid as zeros (`Zeroed`), and a `Sync` static is never moved or written as a whole.
    static OVERFLOW: std::mem::MaybeUninit<Slot> = std::mem::MaybeUninit::zeroed();
    // SAFETY: as above.
    unsafe { OVERFLOW.assume_init_ref() }
}

fn at(index: usize) -> Option<&'static Slot> {
    let slab = SLAB.get(index / SLOTS_PER_SLAB)?.load(Ordering::Acquire);
    if slab.is_null() {
        return None;
    }
    // SAFETY: a non-null slab is a leaked arena of SLOTS_PER_SLAB zero-initialised slots.
    Some(unsafe { &*slab.add(index % SLOTS_PER_SLAB) })
}

/// Claims a slot for the calling thread, `None` when there is no room for another.
pub(crate) fn acquire(is_agent: bool) -> Option<&'static Slot> {
    let slot = claim_free(is_agent).or_else(|| claim_new(is_agent))?;
    if !is_agent {
        let used = IN_USE.fetch_add(1, Ordering::Relaxed) + 1;
        MOST_USED.fetch_max(used, Ordering::Relaxed);
    }
    slot.open();
    Some(slot)
}

/// A slot given up by a thread of the same side: counters stay with the slot, so sides must not mix.
fn claim_free(is_agent: bool) -> Option<&'static Slot> {
    let count = SLOTS.load(Ordering::Acquire).min(SLABS * SLOTS_PER_SLAB);
    (0..count).filter_map(at).find(|slot| {
        slot.is_agents() == is_agent
            && slot.state.load(Ordering::Relaxed) == FREE
            && slot.state.compare_exchange(FREE, USED, Ordering::Acquire, Ordering::Relaxed).is_ok()
    })
}

fn claim_new(is_agent: bool) -> Option<&'static Slot> {
    loop {
        let index = SLOTS.load(Ordering::Acquire);
        let slab = SLAB.get(index / SLOTS_PER_SLAB)?;
        if slab.load(Ordering::Acquire).is_null() {
            add_slab(slab)?;
        }
        // A slot above the count is nobody's; raising the count makes it visible, claiming it makes it ours.
        let slot = at(index)?;
        if slot.state.compare_exchange(FREE, USED, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            slot.is_agent.store(is_agent, Ordering::Relaxed);
            SLOTS.fetch_max(index + 1, Ordering::AcqRel);
            return Some(slot);
        }
        SLOTS.fetch_max(index + 1, Ordering::AcqRel);
    }
}

fn add_slab(entry: &AtomicPtr<Slot>) -> Option<()> {
    let arena = Arena::<Slot>::map(SLOTS_PER_SLAB)?;
    let start = arena.as_ptr().cast_mut();
    if entry.compare_exchange(std::ptr::null_mut(), start, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        std::mem::forget(arena);
    }
    Some(())
}

/// In a forked child: the other threads are not here, and what their hooks were at will never end.
pub(crate) fn forget_other_threads() {
    let own = current();
    for slot in all().filter(|slot| !own.is_some_and(|own| std::ptr::eq(own, *slot))) {
        slot.busy.store(false, Ordering::Relaxed);
        slot.state.store(FREE, Ordering::Release);
    }
    IN_USE.store(u32::from(own.is_some()), Ordering::Relaxed);
    if let Some(own) = own {
        own.os_thread.store(crate::sys::thread_id(), Ordering::Relaxed);
    }
}

/// Bytes of slots that were touched.
pub(crate) fn mapped_bytes() -> u64 {
    (SLOTS.load(Ordering::Relaxed) * size_of::<Slot>()) as u64
}

/// Threads of the program that hold a slot.
pub(crate) fn threads_in_use() -> u32 {
    IN_USE.load(Ordering::Relaxed)
}

/// The process's peak since it started, as an interval that holds the truth: every thread publishes its live total at
/// least every [`PUBLISH_STEP`] allocated and freed, so the true live total is never further than that times the
/// threads from the published one.
pub(crate) fn peak() -> plimsoll_format::PeakInterval {
    let published = PEAK.load(Ordering::Relaxed).max(0) as u64;
    let slack = u64::from(MOST_USED.load(Ordering::Relaxed)) * PUBLISH_STEP;
    plimsoll_format::PeakInterval {
        low_bytes: published.saturating_sub(slack),
        high_bytes: published.saturating_add(slack),
        ticks: PEAK_TICKS.load(Ordering::Relaxed),
    }
}

/// Sums over all slots, the program's and the agent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) program: Totals,
    pub(crate) agent: Totals,
}

fn add_totals(sum: &mut Totals, other: Totals) {
    sum.allocations = sum.allocations.wrapping_add(other.allocations);
    sum.bytes = sum.bytes.wrapping_add(other.bytes);
    sum.frees = sum.frees.wrapping_add(other.frees);
    sum.freed_bytes = sum.freed_bytes.wrapping_add(other.freed_bytes);
    sum.reallocations = sum.reallocations.wrapping_add(other.reallocations);
}

/// Reads all counters once. While other threads run this is no snapshot; see [`collect_twice`].
pub(crate) fn sums() -> Sums {
    let mut sums = Sums::default();
    for slot in all() {
        let sum = if slot.is_agents() { &mut sums.agent } else { &mut sums.program };
        add_totals(sum, slot.totals());
    }
    sums
}

/// Reads all counters twice. As each only grows, two equal readings are a true snapshot; otherwise each true total at
/// the moment between them lies between the two. Tries a few times for an equal pair.
pub(crate) fn collect_twice() -> (Sums, Sums) {
    let mut first = sums();
    for _ in 0..4 {
        let second = sums();
        if first.program == second.program {
            return (first, second);
        }
        first = second;
    }
    (first, sums())
}

/// Counts per size class over the program's slots.
pub(crate) fn classes() -> [SizeClass; CLASSES] {
    let mut classes = [SizeClass::default(); CLASSES];
    for slot in all().filter(|slot| !slot.is_agents()) {
        slot.add_classes(&mut classes);
    }
    classes
}
