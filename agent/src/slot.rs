//! One slot per thread: its counters, which are always on, and what recording needs to know about the thread.
//!
//! A slot is written by its thread alone, with plain loads and stores, and read by anybody who sums. Counters only
//! ever grow and stay with the slot when the thread ends; the next thread that gets the slot goes on from there, so a
//! sum over all slots is the process's total, whoever comes and goes.
//!
//! Never: freed. When threads outnumber the slots (65,536 live ones) the rest share one, counted with atomic adds.

use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering};

use plimsoll_format::{Mode, SizeClass, Totals};

use crate::arena::Zeroed;
use crate::byte_counter::{ALWAYS, ByteCounter};
use crate::chunk::ChunkCursor;
use crate::recorder::{self, Recorder};
use crate::unwind::WalkCursor;

mod count;
mod slabs;
mod sums;

pub(crate) use sums::{classes, collect_twice, peak, sums};

/// Size classes: class `k` holds sizes from 2^k up to 2^(k+1) − 1 bytes, class 0 also size 0.
pub(crate) const CLASSES: usize = 64;
/// Bytes that a thread may allocate, and free, before it publishes its live total: half the width that it adds to the
/// interval around the process's peak.
pub(crate) const PUBLISH_STEP: u64 = 512 << 10;

const FREE: u32 = 0;
const USED: u32 = 1;

/// What one thread counts and knows.
#[repr(C, align(64))]
pub(crate) struct Slot {
    /// Bytes allocated, and how many more until the slow path is due.
    bytes: ByteCounter,
    /// Bytes freed, and how many more until a free must be looked at; always, while frees of samples are awaited.
    freed_bytes: ByteCounter,
    /// Of the frees looked at: bytes until the slow path is due. Below 0, each of them takes it.
    watched: AtomicI64,
    /// By `class_index`.
    allocations: [AtomicU64; CLASSES],
    frees: [AtomicU64; CLASSES],
    pub(crate) reallocations: AtomicU64,

    state: AtomicU32,
    /// Counts for the agent: its own threads, and its work on the program's threads.
    is_agent: AtomicBool,
    /// Set while the slow path runs; a nested entry passes straight through.
    pub(crate) busy: AtomicBool,
    /// The stack pointer where the slow path was entered.
    pub(crate) entered_at: AtomicUsize,
    /// The thread is in a scope: every event takes the slow path.
    in_scope: AtomicBool,
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

    /// Session that the stops were last set for, 0 for none.
    joined: AtomicU32,
    /// Session that armed the sampler, its random state, the interval in force and the `bytes` of the next sample.
    pub(crate) session: AtomicU32,
    pub(crate) random: AtomicU64,
    pub(crate) interval: AtomicU64,
    pub(crate) sample_bytes: AtomicU64,
    /// Exact mode: the session in which the thread may hold no chunk.
    pub(crate) ring_only: AtomicU32,
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

/// Most slots of the program in use at once since the process started.
static MOST_USED: AtomicU32 = AtomicU32::new(0);
static IN_USE: AtomicU32 = AtomicU32::new(0);
static NEXT_THREAD: AtomicU32 = AtomicU32::new(1);
/// Live bytes as published by all threads, the maximum of that, and when it was seen on the monotonic
/// clock: before the first session starts, the capture's clock is not chosen.
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static PEAK_NS: AtomicU64 = AtomicU64::new(0);

/// Stands for no slot. Every event is due here, so that the fast path need not ask whether the thread has a slot;
/// what is counted here, by all threads at once, is never looked at.
static NOBODY: Slot = {
    // SAFETY: a slot is valid as zeros (`Zeroed`).
    let zeros: Slot = unsafe { MaybeUninit::zeroed().assume_init() };
    Slot { bytes: ByteCounter::due(), freed_bytes: ByteCounter::due(), watched: AtomicI64::new(ALWAYS), ..zeros }
};

thread_local! {
    /// The thread's slot. No destructor: allocations after the thread's last destructor still find it.
    static CURRENT: Cell<&'static Slot> = const { Cell::new(&NOBODY) };
}

/// The calling thread's slot, for counting: what is due there must ask [`current`] next.
#[inline(always)]
pub(crate) fn of_this_thread() -> &'static Slot {
    CURRENT.with(Cell::get)
}

/// The calling thread's slot, `None` before its first event.
#[inline]
pub(crate) fn current() -> Option<&'static Slot> {
    Some(of_this_thread()).filter(|slot| !std::ptr::eq(*slot, &NOBODY))
}

/// Makes `slot` the calling thread's and returns the one before.
pub(crate) fn set_current(slot: Option<&'static Slot>) -> Option<&'static Slot> {
    let before = current();
    CURRENT.with(|current| current.set(slot.unwrap_or(&NOBODY)));
    before
}

/// The countdown that turns negative when `total` reaches `stop`.
fn left(stop: u64, total: u64) -> i64 {
    stop.wrapping_sub(total).wrapping_sub(1) as i64
}

impl Slot {
    /// Bytes allocated.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.total()
    }

    /// Bytes freed.
    pub(crate) fn freed_bytes(&self) -> u64 {
        self.freed_bytes.total()
    }

    /// Counts on behalf of threads that have no slot, from any of them. Size 0 stands for no event.
    pub(crate) fn count_shared(&self, allocated: usize, freed: usize) {
        if allocated > 0 {
            self.allocations[count::class_index(allocated)].fetch_add(1, Ordering::Relaxed);
            self.bytes.add_shared(allocated as u64);
        }
        if freed > 0 {
            self.frees[count::class_index(freed)].fetch_add(1, Ordering::Relaxed);
            self.freed_bytes.add_shared(freed as u64);
        }
    }

    /// Makes the next event take the slow path. By other threads only through [`stop_all`].
    fn stop(&self) {
        self.bytes.stop();
        self.freed_bytes.stop();
        self.watched.fetch_or(ALWAYS, Ordering::AcqRel);
    }

    /// The thread is in a scope from now on. By the slot's own thread.
    pub(crate) fn enter_scope(&self) {
        self.in_scope.store(true, Ordering::Relaxed);
        self.stop();
    }

    /// The thread is in no scope any more: its next slow path sets the stops as they were.
    pub(crate) fn leave_scopes(&self) {
        self.in_scope.store(false, Ordering::Relaxed);
    }

    /// Whether the thread is in a scope.
    #[inline(always)]
    pub(crate) fn is_in_scope(&self) -> bool {
        self.in_scope.load(Ordering::Relaxed)
    }

    /// Whether the next event of either kind takes the slow path.
    fn is_stopped(&self) -> bool {
        self.bytes.is_due() && self.freed_bytes.is_due() && self.watched.load(Ordering::Acquire) < 0
    }

    /// Sets when the slow path is due next. By the slot's own thread, as the last step of a slow path.
    ///
    /// A session that starts meanwhile installs its recorder, makes all threads pass a barrier, and then calls
    /// `stop_all`: either its stop comes after ours, or we see its recorder, as we look once more after setting.
    pub(crate) fn set_stops(&self, recorder: Option<&Recorder>) {
        if self.is_agents() {
            return;
        }
        let session = recorder.map_or(0, |recorder| recorder.session);
        self.joined.store(session, Ordering::Relaxed);
        let (stop, freed, watched) = match recorder.map(|recorder| recorder.mode) {
            _ if self.is_in_scope() => (ALWAYS, ALWAYS, ALWAYS),
            None => (self.left_to_publish(), self.freed_left_to_publish(), ALWAYS),
            Some(Mode::Exact) => (ALWAYS, ALWAYS, ALWAYS),
            // Not armed yet: the next allocation is to arm the sampler.
            Some(Mode::Sampled) if self.session.load(Ordering::Relaxed) != session => {
                (ALWAYS, ALWAYS, self.freed_left_to_publish())
            }
            Some(Mode::Sampled) => {
                let sample = left(self.sample_bytes.load(Ordering::Relaxed), self.bytes());
                (sample.min(self.left_to_publish()), ALWAYS, self.freed_left_to_publish())
            }
        };
        self.bytes.set_left(stop);
        self.freed_bytes.set_left(freed);
        self.watched.store(watched, Ordering::Release);
        std::sync::atomic::compiler_fence(Ordering::SeqCst);
        if recorder::current().map(std::ptr::from_ref) != recorder.map(std::ptr::from_ref) {
            self.stop();
        }
    }

    fn left_to_publish(&self) -> i64 {
        left(self.publish_bytes.load(Ordering::Relaxed), self.bytes())
    }

    fn freed_left_to_publish(&self) -> i64 {
        left(self.publish_freed_bytes.load(Ordering::Relaxed), self.freed_bytes())
    }

    /// Whether the present stops are to stay: in exact mode, once the thread has joined, every event is due.
    #[inline(always)]
    pub(crate) fn stays_stopped(&self, recorder: Option<&Recorder>) -> bool {
        recorder.is_some_and(|it| it.mode == Mode::Exact && self.joined.load(Ordering::Relaxed) == it.session)
    }

    /// Whether the live total is due to be published, after an allocation. By the slot's own thread.
    #[inline(always)]
    pub(crate) fn allocated_enough_to_publish(&self) -> bool {
        self.bytes.own_total() >= self.publish_bytes.load(Ordering::Relaxed) && !self.is_agents()
    }

    /// As above, before a free.
    #[inline(always)]
    pub(crate) fn freed_enough_to_publish(&self) -> bool {
        self.freed_bytes.own_total() >= self.publish_freed_bytes.load(Ordering::Relaxed) && !self.is_agents()
    }

    /// Adds this thread's change to the process's live total and raises the peak if that is a new one.
    #[cold]
    #[inline(never)]
    pub(crate) fn publish(&self) {
        let (bytes, freed) = (self.bytes(), self.freed_bytes());
        self.publish_bytes.store(bytes.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        self.publish_freed_bytes.store(freed.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        let mine = bytes.wrapping_sub(freed) as i64;
        let change = mine.wrapping_sub(self.published.load(Ordering::Relaxed));
        self.published.store(mine, Ordering::Relaxed);
        let live = LIVE.fetch_add(change, Ordering::Relaxed).wrapping_add(change);
        if live > PEAK.load(Ordering::Relaxed) && PEAK.fetch_max(live, Ordering::Relaxed) < live {
            PEAK_NS.store(crate::clock::monotonic_ns(), Ordering::Relaxed);
        }
    }

    /// Everything this slot ever counted.
    pub(crate) fn totals(&self) -> Totals {
        let sum = |counters: &[AtomicU64]| {
            counters.iter().fold(0u64, |sum, counter| sum.wrapping_add(counter.load(Ordering::Relaxed)))
        };
        Totals {
            allocations: sum(&self.allocations),
            bytes: self.bytes(),
            frees: sum(&self.frees),
            freed_bytes: self.freed_bytes(),
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
        for (index, (allocations, frees)) in self.allocations.iter().zip(&self.frees).enumerate() {
            let Some(class) = classes.get_mut(index.saturating_sub(1)) else { continue };
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

    /// As [`Slot::stack`], as far as they are known by now; asks nobody.
    pub(crate) fn known_stack(&self) -> std::ops::Range<usize> {
        self.stack_start.load(Ordering::Relaxed)..self.stack_end.load(Ordering::Relaxed)
    }

    #[cold]
    fn ask_for_stack(&self) {
        let _errno = crate::sys::Errno::save();
        let (start, end) = crate::sys::stack_bounds().unwrap_or((1, 1));
        self.stack_start.store(start, Ordering::Relaxed);
        self.stack_end.store(end, Ordering::Relaxed);
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
        self.in_scope.store(false, Ordering::Relaxed);
        self.os_thread.store(crate::sys::thread_id(), Ordering::Relaxed);
        self.tag.store(0, Ordering::Relaxed);
        self.session.store(0, Ordering::Relaxed);
        self.ring_only.store(0, Ordering::Relaxed);
        self.stack_end.store(0, Ordering::Relaxed);
        self.publish_bytes.store(totals.bytes.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        self.publish_freed_bytes.store(totals.freed_bytes.saturating_add(PUBLISH_STEP), Ordering::Relaxed);
        // The program's slots take the slow path at their first event, which joins a session under way. The agent's take
        // it always: a block may be one of its reserve.
        self.joined.store(0, Ordering::Relaxed);
        self.bytes.set_left(ALWAYS);
        self.freed_bytes.set_left(ALWAYS);
        self.watched.store(ALWAYS, Ordering::Relaxed);
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
    slabs::handed_out().chain([overflow(), &AGENTS_OVERFLOW])
}

/// The slot of all threads that found no other. It never records; its counters are added to atomically.
pub(crate) fn overflow() -> &'static Slot {
    // SAFETY: a slot is valid as zeros (`Zeroed`), and a `Sync` static is never moved or written as a whole.
    static OVERFLOW: MaybeUninit<Slot> = MaybeUninit::zeroed();
    // SAFETY: as above.
    unsafe { OVERFLOW.assume_init_ref() }
}

/// The slot of all work of the agent's that found no other: what is counted there by several threads at once may come
/// out a little low, and concerns the agent alone.
static AGENTS_OVERFLOW: Slot = {
    // SAFETY: a slot is valid as zeros (`Zeroed`).
    let zeros: Slot = unsafe { MaybeUninit::zeroed().assume_init() };
    let (bytes, freed_bytes) = (ByteCounter::due(), ByteCounter::due());
    Slot { bytes, freed_bytes, watched: AtomicI64::new(ALWAYS), is_agent: AtomicBool::new(true), ..zeros }
};

/// Claims a slot for the calling thread, `None` when there is no room for another.
pub(crate) fn acquire(is_agent: bool) -> Option<&'static Slot> {
    let slot = slabs::claim_free(is_agent).or_else(|| slabs::claim_new(is_agent))?;
    if !is_agent {
        let used = IN_USE.fetch_add(1, Ordering::Relaxed) + 1;
        MOST_USED.fetch_max(used, Ordering::Relaxed);
    }
    slot.open();
    Some(slot)
}

/// Claims a slot for work of the agent's, which must be known as such even when there is no room.
pub(crate) fn acquire_agents() -> &'static Slot {
    acquire(true).unwrap_or(&AGENTS_OVERFLOW)
}

/// Makes every thread of the program take the slow path at its next event, to join `session`. Its recorder is in place
/// and all threads have passed a barrier since.
///
/// A thread may just be between the load and the store of its subtraction and so overwrite a stop. After a barrier it
/// no longer is; whoever is neither stopped nor has joined by then is told again.
pub(crate) fn stop_all(session: u32) {
    let missed = |slot: &&Slot| {
        slot.is_used() && !slot.is_agents() && slot.joined.load(Ordering::Acquire) != session && !slot.is_stopped()
    };
    all().filter(|slot| !slot.is_agents()).for_each(Slot::stop);
    loop {
        crate::sys::barrier_on_all_threads();
        if all().filter(missed).inspect(|slot| slot.stop()).count() == 0 {
            return;
        }
    }
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
        // Another thread may have held a scope's lock.
        own.leave_scopes();
    }
}

/// Bytes of slots that were touched.
pub(crate) fn mapped_bytes() -> u64 {
    (slabs::handed_out().count() * size_of::<Slot>()) as u64
}

/// Threads of the program that hold a slot.
pub(crate) fn threads_in_use() -> u32 {
    IN_USE.load(Ordering::Relaxed)
}
