//! Walks the calling thread's stack into return addresses, innermost first.
//!
//! Most stacks are found from a thread's last walk and what is new (`last_walk.rs`, `threads.rs`). Where that is not
//! possible, the whole stack is walked, which needs a context (a rule cache and a frame buffer, 37 KiB); contexts are few and
//! claimed by a try-lock that nobody waits for in a hook. When none is free, or the stack pointer is outside the thread's own stack (coroutines,
//! signal stacks), the portable unwinder is asked instead, which needs neither and keeps 128 frames. On a stack with
//! little room left (`room.rs`) nothing is walked.
//!
//! Never: allocates, takes a lock, or reads outside the thread's stack (the portable unwinder apart, which trusts the
//! unwind tables).

mod cfi;
mod claim;
mod frame_pointer;
mod last_walk;
mod portable;
mod registers;
mod room;
mod rules;
mod threads;

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_format::UnwindQuality;

use crate::arena::{Arena, Zeroed};
use crate::config::Unwinder;
use crate::modules::LoadedModule;
use crate::stack_table::StackTable;
use cfi::Cfi;
use claim::Claim;
pub(crate) use last_walk::Found;
pub(crate) use registers::{Registers, stack_pointer};
pub(crate) use room::signal_stack;
use rules::Rule;
use threads::ThreadWalks;
pub(crate) use threads::WalkCursor;

/// Frames kept of one stack, counted from the innermost; what lies outside is cut and marked.
pub(crate) const MAX_FRAMES: usize = 512;
/// Contexts of a sampled and of an exact session.
const SAMPLED_CONTEXTS: usize = 4;
const EXACT_CONTEXTS: usize = 32;

/// The calling thread's stack by the portable unwinder, innermost first, as far as there is room; empty where there is too
/// little stack left to walk. For scopes, which have no contexts.
pub(crate) fn portable_stack(stack: Range<usize>, buffer: &mut [u64]) -> &[u64] {
    let _errno = crate::sys::Errno::save();
    let here = stack_pointer();
    let has_room = if stack.contains(&here) { room::is_on_own(&stack, here) } else { room::is_elsewhere(here) };
    if !has_room {
        return &[];
    }
    let mut frames = Frames::new(buffer);
    portable::walk(&mut frames);
    let len = frames.len;
    buffer.get(..len).unwrap_or_default()
}

/// How a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// At the thread's root.
    Complete,
    /// At the depth limit.
    Truncated,
    /// At a frame that could not be unwound.
    Broken,
}

/// Return addresses of one stack, innermost first, with room for no more than it was made for.
pub(crate) struct Frames<'a> {
    buffer: &'a mut [u64],
    len: usize,
}

impl<'a> Frames<'a> {
    pub(crate) fn new(buffer: &'a mut [u64]) -> Frames<'a> {
        Frames { buffer, len: 0 }
    }

    /// Adds a frame; false when there is no room.
    #[inline]
    pub(crate) fn push(&mut self, address: u64) -> bool {
        // No call returns to 0; a node with that address would never count as ready.
        if address == 0 {
            return true;
        }
        let Some(place) = self.buffer.get_mut(self.len) else { return false };
        *place = address;
        self.len += 1;
        true
    }

    pub(crate) fn as_slice(&self) -> &[u64] {
        self.buffer.get(..self.len).unwrap_or_default()
    }
}

#[repr(C, align(64))]
struct Context {
    claim: Claim,
    walks: AtomicU64,
    complete: AtomicU64,
    truncated: AtomicU64,
    frames: UnsafeCell<[u64; MAX_FRAMES]>,
    cfi: UnsafeCell<MaybeUninit<Cfi>>,
}

// SAFETY: integers, and a `MaybeUninit` that is written before the context is first used. Its `Drop` is run by hand.
unsafe impl Zeroed for Context {}
// SAFETY: the cells are touched only by whoever holds `claim`.
unsafe impl Sync for Context {}
// SAFETY: as above.
unsafe impl Send for Context {}

/// All contexts of a session, and which way to walk.
pub(crate) struct Unwinders {
    method: Unwinder,
    contexts: Arena<Context>,
    portable: [AtomicU64; 3],
    /// On CPUs whose unwind rules have the simple forms of `rules.rs`.
    threads: Option<ThreadWalks>,
    /// Debug mode: every stack from a last walk is compared with a whole walk.
    checks: bool,
    checked: AtomicU64,
}

impl Unwinders {
    /// Contexts for a session that walks by `method` (not `Auto`), knowing `modules`.
    pub(crate) fn map(method: Unwinder, exact: bool, modules: &[LoadedModule]) -> Option<Unwinders> {
        let contexts: Arena<Context> = Arena::map(if exact { EXACT_CONTEXTS } else { SAMPLED_CONTEXTS })?;
        for context in contexts.iter() {
            // SAFETY: nobody else knows the contexts yet.
            unsafe { (*context.cfi.get()).write(Cfi::new(modules)) };
        }
        let threads = if cfg!(target_arch = "x86_64") { Some(ThreadWalks::map(exact)?) } else { None };
        Some(Unwinders {
            method,
            contexts,
            portable: Default::default(),
            threads,
            checks: std::env::var_os("PLIMSOLL_CHECK_STACKS").is_some(),
            checked: AtomicU64::new(0),
        })
    }

    /// Tells every context about a new list of modules. Waits for each to be free, so this is not for hooks.
    ///
    /// A context may never be free again, when a signal handler has jumped out of the hook that held it. Nobody uses it
    /// any more then, and the wait for it ends when `gives_up` says so.
    pub(crate) fn update(&self, modules: &[LoadedModule], gives_up: impl Fn() -> bool) {
        let mut waiting: Vec<&Context> = self.contexts.iter().collect();
        loop {
            waiting.retain(|context| !context.try_set_modules(modules));
            if waiting.is_empty() || gives_up() {
                break;
            }
            crate::sys::sleep(std::time::Duration::from_micros(200));
        }
        self.threads.iter().for_each(ThreadWalks::next_generation);
    }

    /// The tree's node of the calling thread's stack, from its last walk and what is new. `None` when this
    /// thread or this stack cannot be treated so: then [`Unwinders::walk`].
    #[inline]
    pub(crate) fn find(
        &self,
        owner: (u32, &WalkCursor),
        registers: Registers,
        stack: &Range<usize>,
        stacks: &StackTable,
    ) -> Option<Found> {
        let threads = self.threads.as_ref()?;
        if !room::is_on_own(stack, registers.stack_pointer) || self.method == Unwinder::Backtrace {
            return None;
        }
        threads.find(owner, registers, stack, stacks, |address| self.learn(address))
    }

    /// Whether each stack that [`Unwinders::find`] gives is to be compared with a whole walk.
    #[inline(always)]
    pub(crate) fn checks(&self) -> bool {
        self.checks
    }

    /// Counts such a comparison.
    pub(crate) fn count_check(&self) {
        self.checked.fetch_add(1, Ordering::Relaxed);
    }

    /// Comparisons so far.
    pub(crate) fn checked(&self) -> u64 {
        self.checked.load(Ordering::Relaxed)
    }

    /// Gives up what a thread holds, when it ends.
    pub(crate) fn leave(&self, session: u32, cursor: &WalkCursor) {
        self.threads.iter().for_each(|threads| threads.leave(session, cursor));
    }

    #[cold]
    #[inline(never)]
    fn learn(&self, address: u64) -> Option<Rule> {
        if self.method == Unwinder::FramePointer {
            return Some(Rule::FramePointer);
        }
        let context = self.claim_any()?;
        // SAFETY: the claim makes this the only access; the Cfi was written by `map`.
        let rule = unsafe { (*context.cfi.get()).assume_init_mut().learn(address) };
        context.claim.release();
        Some(rule)
    }

    /// Walks from `registers` and hands the frames to `take` while they last. `stack` is the thread's own.
    pub(crate) fn walk<R>(
        &self,
        registers: Registers,
        stack: Range<usize>,
        take: impl FnOnce(&[u64], Outcome) -> R,
    ) -> R {
        // The system's unwinder may call the system.
        let _errno = crate::sys::Errno::save();
        // Elsewhere (coroutines, signal stacks) there may be holes between here and the stack's end.
        let on_own_stack = stack.contains(&registers.stack_pointer);
        let has_room = match on_own_stack {
            true => room::is_on_own(&stack, registers.stack_pointer),
            false => room::is_elsewhere(registers.stack_pointer),
        };
        if !has_room {
            count(&self.portable, Outcome::Broken);
            return take(&[], Outcome::Broken);
        }
        let stack_end = stack.end;
        if self.method != Unwinder::Backtrace
            && on_own_stack
            && let Some(context) = self.claim_any()
        {
            let result = context.walk(self.method, registers, stack_end, take);
            context.claim.release();
            return result;
        }
        self.walk_portably(take)
    }

    fn walk_portably<R>(&self, take: impl FnOnce(&[u64], Outcome) -> R) -> R {
        // Small, as this may run on a small stack; backtrace's own frames are more than this buffer.
        let mut buffer = [0u64; 128];
        let mut frames = Frames::new(&mut buffer);
        let outcome = portable::walk(&mut frames);
        count(&self.portable, outcome);
        take(frames.as_slice(), outcome)
    }

    fn claim_any(&self) -> Option<&Context> {
        // The first ones again and again: they are warm, and the others take no memory before they are needed.
        self.contexts.iter().find(|context| context.claim.take())
    }

    /// How well stacks were walked so far.
    pub(crate) fn quality(&self) -> UnwindQuality {
        let mut quality = UnwindQuality::default();
        let mut add = |walks: &AtomicU64, complete: &AtomicU64, truncated: &AtomicU64| {
            quality.walks += walks.load(Ordering::Relaxed);
            quality.complete += complete.load(Ordering::Relaxed);
            quality.truncated += truncated.load(Ordering::Relaxed);
        };
        self.contexts.iter().for_each(|context| add(&context.walks, &context.complete, &context.truncated));
        let [walks, complete, truncated] = &self.portable;
        add(walks, complete, truncated);
        self.threads.iter().for_each(|threads| threads.add_quality(&mut quality));
        quality
    }

    /// Bytes touched at most.
    pub(crate) fn touched_bytes(&self) -> u64 {
        (self.contexts.len() * size_of::<Context>()) as u64
            + self.threads.as_ref().map_or(0, ThreadWalks::touched_bytes)
    }
}

impl Drop for Unwinders {
    fn drop(&mut self) {
        for context in self.contexts.iter() {
            // SAFETY: exclusive access through `&mut self`; every Cfi was written by `map` and is dropped only here.
            unsafe { (*context.cfi.get()).assume_init_drop() };
        }
    }
}

fn count(counters: &[AtomicU64; 3], outcome: Outcome) {
    let [walks, complete, truncated] = counters;
    walks.fetch_add(1, Ordering::Relaxed);
    match outcome {
        Outcome::Complete => complete.fetch_add(1, Ordering::Relaxed),
        Outcome::Truncated => truncated.fetch_add(1, Ordering::Relaxed),
        Outcome::Broken => 0,
    };
}

/// Adds one to a counter that only the holder of the claim writes.
fn bump(counter: &AtomicU64) {
    counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
}

impl Context {
    /// Tells it about a new list of modules unless it is in use.
    fn try_set_modules(&self, modules: &[LoadedModule]) -> bool {
        if !self.claim.take() {
            return false;
        }
        // SAFETY: the claim makes this the only access; the Cfi was written by `map`.
        unsafe { (*self.cfi.get()).assume_init_mut().set_modules(modules) };
        self.claim.release();
        true
    }

    fn walk<R>(
        &self,
        method: Unwinder,
        registers: Registers,
        stack_end: usize,
        take: impl FnOnce(&[u64], Outcome) -> R,
    ) -> R {
        // SAFETY: the caller holds the claim, so both cells are ours until it releases it.
        let (buffer, cfi) = unsafe { (&mut *self.frames.get(), (*self.cfi.get()).assume_init_mut()) };
        let mut frames = Frames::new(buffer);
        let outcome = match method {
            Unwinder::FramePointer => frame_pointer::walk(registers, stack_end, &mut frames),
            _ => cfi.walk(registers, stack_end, &mut frames),
        };
        bump(&self.walks);
        match outcome {
            Outcome::Complete => bump(&self.complete),
            Outcome::Truncated => bump(&self.truncated),
            Outcome::Broken => {}
        }
        take(frames.as_slice(), outcome)
    }
}

/// Decides what `Auto` means here by walking the calling thread's stack each way, and says why.
pub(crate) fn choose(wanted: Unwinder, modules: &[LoadedModule]) -> (Unwinder, String) {
    if wanted != Unwinder::Auto {
        return (wanted, format!("{wanted} (as asked)"));
    }
    let (start, end) = crate::sys::stack_bounds().unwrap_or((0, 0));
    let mut depths = [Unwinder::Framehop, Unwinder::FramePointer].map(|method| {
        let tried = Unwinders::map(method, false, modules);
        let walked = tried.map(|tried| tried.walk(Registers::here(), start..end, |frames, end| (frames.len(), end)));
        (method, walked.unwrap_or((0, Outcome::Broken)))
    });
    depths.sort_by_key(|(method, (depth, end))| {
        // A walk that reached the root first, then the deeper one, then framehop.
        (*end != Outcome::Complete, std::cmp::Reverse(*depth), *method != Unwinder::Framehop)
    });
    match depths.first() {
        Some((method, (depth, end))) if *depth >= 3 => {
            let root = if *end == Outcome::Complete { "reached the root" } else { "did not reach the root" };
            (*method, format!("{method} (auto: {depth} frames at start, {root})"))
        }
        _ => (Unwinder::Backtrace, "backtrace (auto: no other unwinder got through the stack at start)".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[inline(never)]
    fn recurse(depth: u32, at_the_end: &mut dyn FnMut()) {
        if depth == 0 {
            at_the_end();
        } else {
            recurse(depth - 1, at_the_end);
        }
        std::hint::black_box(depth);
    }

    fn check(method: Unwinder) -> (usize, Outcome) {
        let unwinders = Unwinders::map(method, false, &crate::modules::loaded()).expect("memory");
        let (start, end) = crate::sys::stack_bounds().expect("bounds");
        let mut result = (0, Outcome::Broken);
        recurse(30, &mut || result = unwinders.walk(Registers::here(), start..end, |frames, end| (frames.len(), end)));
        result
    }

    #[test]
    fn unwinders_agree_on_the_depth_of_a_recursion() {
        // 30 calls of `recurse` above the test's own dozen frames; the three may differ by their own frames only.
        let (framehop, end) = check(Unwinder::Framehop);
        assert_eq!(end, Outcome::Complete);
        assert!(framehop > 40, "{framehop}");
        let (portable, end) = check(Unwinder::Backtrace);
        assert_eq!(end, Outcome::Complete);
        assert!(portable.abs_diff(framehop) <= 8, "{portable} and {framehop}");
    }

    #[test]
    fn depth_limit_cuts_the_outer_end() {
        let unwinders = Unwinders::map(Unwinder::Framehop, false, &crate::modules::loaded()).expect("memory");
        let (start, end) = crate::sys::stack_bounds().expect("bounds");
        let mut result = (0, Outcome::Broken);
        recurse(1000, &mut || {
            result = unwinders.walk(Registers::here(), start..end, |frames, end| (frames.len(), end))
        });
        assert_eq!(result, (MAX_FRAMES, Outcome::Truncated));
        assert_eq!(unwinders.quality().truncated, 1);
    }
}
