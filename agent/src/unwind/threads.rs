//! The last walks of a session, from which the next ones go on. In exact mode each thread keeps its own; in sampled mode
//! a few are shared, and whoever takes one that another thread has left begins anew, as its stack ends elsewhere.
//!
//! When more threads record than there is room for, when all shared ones are taken, or when a stack has a frame without
//! a simple rule or is deeper than [`MAX_FRAMES`](super::MAX_FRAMES): nothing is found, and the caller walks the whole
//! stack by a context.

use std::cell::{Cell, UnsafeCell};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use plimsoll_format::{StackNode, UnwindQuality};

use super::claim::Claim;
use super::last_walk::{Found, Ground, LastWalk};
use super::rules::{EXACT_RULES, Rule, RuleTable, SAMPLED_RULES, State};
use super::{Outcome, Registers, bump};
use crate::arena::{Arena, Zeroed};
use crate::stack_table::StackTable;

/// Threads that keep their last walk: as many as may hold chunks. 7 MiB, touched as deep as stacks are.
const THREADS: usize = 128;
/// Walks that a sampled session shares.
const SHARED: usize = 4;

/// Which place a thread has; lives in its slot.
#[derive(Default)]
pub(crate) struct WalkCursor {
    /// Session that the place belongs to.
    session: Cell<u32>,
    /// The place plus one, 0 for none.
    place: Cell<u32>,
}

#[repr(C, align(64))]
struct Place {
    claim: Claim,
    walks: AtomicU64,
    complete: AtomicU64,
    walk: UnsafeCell<LastWalk>,
}

// SAFETY: integers and bools only, valid as zeros.
unsafe impl Zeroed for Place {}
// SAFETY: the cell is touched only by the thread that holds `claim`, and only while its slot is busy.
unsafe impl Sync for Place {}
// SAFETY: as above.
unsafe impl Send for Place {}

impl Place {
    /// Finds the node of a stack. The calling thread holds the claim.
    #[inline(always)]
    fn find(&self, start: &State, ground: &mut OwnStack<'_, impl Fn(u64) -> Option<Rule>>) -> Option<Found> {
        // SAFETY: the claim makes this the only access, be it held for this walk only or (its slot is busy, and the cursor
        // is its own) for as long as the thread lives.
        let walk = unsafe { &mut *self.walk.get() };
        let found = walk.find(start, ground.generation, ground)?;
        bump(&self.walks);
        if found.outcome == Outcome::Complete {
            bump(&self.complete);
        }
        Some(found)
    }
}

/// See the module's description.
pub(super) struct ThreadWalks {
    places: Arena<Place>,
    rules: RuleTable,
    /// Generation of the module list: rules and walks of another one are void.
    generation: AtomicU32,
    is_shared: bool,
}

impl ThreadWalks {
    /// Room for all, `None` when the system has no memory for it.
    pub(super) fn map(exact: bool) -> Option<ThreadWalks> {
        let (places, rules) = if exact { (THREADS, EXACT_RULES) } else { (SHARED, SAMPLED_RULES) };
        Some(ThreadWalks {
            places: Arena::map(places)?,
            rules: RuleTable::map(rules)?,
            generation: AtomicU32::new(1),
            is_shared: !exact,
        })
    }

    /// The module list has changed.
    pub(super) fn next_generation(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    /// Finds the node of the calling thread's stack. `learn` asks framehop for a rule.
    #[inline]
    pub(super) fn find(
        &self,
        (session, cursor): (u32, &WalkCursor),
        registers: Registers,
        stack: &Range<usize>,
        stacks: &StackTable,
        learn: impl Fn(u64) -> Option<Rule>,
    ) -> Option<Found> {
        let start = State {
            address: registers.program_counter as u64,
            stack_pointer: registers.stack_pointer as u64,
            frame_pointer: registers.frame_pointer as u64,
        };
        let generation = self.generation.load(Ordering::Acquire) as u16;
        let mut ground = OwnStack { rules: &self.rules, generation, end: stack.end as u64, stacks, learn };
        if !self.is_shared {
            return self.place(session, cursor)?.find(&start, &mut ground);
        }
        let place = self.places.iter().find(|place| place.claim.take())?;
        let found = place.find(&start, &mut ground);
        place.claim.release();
        found
    }

    #[inline(always)]
    fn place(&self, session: u32, cursor: &WalkCursor) -> Option<&Place> {
        if cursor.session.get() != session {
            self.claim(session, cursor);
        }
        self.places.get((cursor.place.get() as usize).checked_sub(1)?)
    }

    #[cold]
    fn claim(&self, session: u32, cursor: &WalkCursor) {
        cursor.session.set(session);
        let place = self.places.iter().position(|place| place.claim.take());
        cursor.place.set(place.map_or(0, |place| place as u32 + 1));
        if let Some(place) = place.and_then(|place| self.places.get(place)) {
            // SAFETY: just claimed by the calling thread.
            unsafe { &mut *place.walk.get() }.clear();
        }
    }

    /// Gives the place up, at the end of a thread.
    pub(super) fn leave(&self, session: u32, cursor: &WalkCursor) {
        if cursor.session.replace(0) != session {
            return;
        }
        if let Some(place) = (cursor.place.take() as usize).checked_sub(1).and_then(|place| self.places.get(place)) {
            place.claim.release();
        }
    }

    /// Adds how well stacks were walked so far.
    pub(super) fn add_quality(&self, quality: &mut UnwindQuality) {
        for place in self.places.iter() {
            quality.walks += place.walks.load(Ordering::Relaxed);
            quality.complete += place.complete.load(Ordering::Relaxed);
        }
    }

    /// Bytes touched at most.
    pub(super) fn touched_bytes(&self) -> u64 {
        (self.places.len() * size_of::<Place>()) as u64 + self.rules.touched_bytes()
    }
}

/// The calling thread's stack, between the walk's stack pointer and the stack's end.
struct OwnStack<'a, F> {
    rules: &'a RuleTable,
    generation: u16,
    end: u64,
    stacks: &'a StackTable,
    learn: F,
}

impl<F: Fn(u64) -> Option<Rule>> Ground for OwnStack<'_, F> {
    #[inline(always)]
    fn rule(&mut self, address: u64) -> Option<Rule> {
        if let Some(rule) = self.rules.get(address, self.generation) {
            return Some(rule);
        }
        let rule = (self.learn)(address)?;
        self.rules.put(address, self.generation, rule);
        Some(rule)
    }

    #[inline(always)]
    fn word(&self, address: u64) -> u64 {
        // SAFETY: `LastWalk` asks only for aligned words between the stack pointer it was given, which lies on this
        // thread's own stack, and that stack's end: mapped and readable. Other threads that write there, through
        // references into this one's frames, can at worst make a comparison fail.
        unsafe { (address as *const u64).read_volatile() }
    }

    #[inline(always)]
    fn end(&self) -> u64 {
        self.end
    }

    #[inline(always)]
    fn child(&self, parent: u32, address: u64) -> Option<u32> {
        self.stacks.child(parent, address)
    }

    fn broken_root(&self) -> Option<u32> {
        self.stacks.child(0, StackNode::BROKEN)
    }
}
