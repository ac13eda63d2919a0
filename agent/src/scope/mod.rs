//! Counts what some code allocates, exactly and by call site: for tests and benches, not for production.
//!
//! A scope is entered on a thread until a guard is dropped; any number of threads, and tasks at each poll, may be in it
//! at once. A thread in a scope takes the slow path with every event, where the scope's books are brought up to date:
//! under a lock, with memory of the agent's own (the one exception to the rule that hooks do neither). A thread in no
//! scope pays nothing. `docs/budgets.md` says what is counted where.

mod books;
mod budget;
mod sites;
mod task;

use std::cell::RefCell;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll_format::Hook;

pub use books::ScopeStats;
pub use budget::{Budget, OverBudget};
pub use task::InScope;

use books::Books;

use crate::slot::{self, Slot};
use crate::{agent_side, session};

/// What some code allocates, counted exactly.
///
/// ```
/// # #[global_allocator]
/// # static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();
/// let scope = plimsoll::Scope::new();
/// let kept = {
///     let _entered = scope.enter();
///     drop(std::hint::black_box(vec![0u8; 100]));
///     vec![1u64; 4]
/// };
/// let stats = scope.stats();
/// assert_eq!((stats.allocations, stats.bytes), (2, 132));
/// assert_eq!((stats.live_bytes, stats.peak_live_bytes), (32, 100));
/// # drop(kept);
/// ```
///
/// Only what happens on a thread while it is in the scope counts, so tests that run side by side do not see each other.
/// Clones are the same scope: move one to another thread and enter it there, or wrap a future with [`Scope::attach`].
#[derive(Debug, Clone)]
pub struct Scope {
    shared: Shared,
}

/// A thread is in a [`Scope`] until this is dropped.
#[must_use = "the thread leaves the scope when this guard is dropped"]
#[derive(Debug)]
pub struct Entered {
    number: u64,
    /// A guard belongs to the thread it was made on.
    stays_here: PhantomData<*const ()>,
}

/// The books of a scope. Its memory is the agent's.
#[derive(Debug)]
struct Shared(Option<Arc<Mutex<Books>>>);

/// Scopes that the thread is in, outermost first.
struct Stack(Vec<(u64, Shared)>);

thread_local! {
    static ENTERED: RefCell<Stack> = const { RefCell::new(Stack(Vec::new())) };
}

/// Numbers guards.
static NEXT: AtomicU64 = AtomicU64::new(1);
/// Events of threads in scopes that no scope could count: those of signal handlers, which came in between.
static UNSEEN: AtomicU64 = AtomicU64::new(0);

impl Scope {
    /// A scope that nobody is in yet.
    ///
    /// # Panics
    ///
    /// When [`Allocator`](crate::Allocator) is not the program's global allocator: nothing could be counted.
    #[track_caller]
    pub fn new() -> Scope {
        require_allocator();
        let books = || Books::new(UNSEEN.load(Ordering::Relaxed));
        Scope { shared: Shared(Some(agent_side::run(|| Arc::new(Mutex::new(books()))))) }
    }

    /// Puts the calling thread into the scope. Scopes nest: what is counted in an inner one is counted in the outer ones too,
    /// once in each.
    pub fn enter(&self) -> Entered {
        if slot::current().is_none() {
            // No event on this thread yet: make one, which gives it a slot.
            drop(std::hint::black_box(Box::new(0u8)));
        }
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let push = || ENTERED.try_with(|stack| stack.borrow_mut().0.push((number, self.shared.clone())));
        match (agent_side::run(push), slot::current()) {
            (Ok(()), Some(slot)) => slot.enter_scope(),
            // The thread has all but ended, or is one of too many.
            _ => unseen(),
        }
        Entered { number, stays_here: PhantomData }
    }

    /// Runs `work` in the scope.
    pub fn measure<R>(&self, work: impl FnOnce() -> R) -> R {
        let _entered = self.enter();
        work()
    }

    /// A future that is in the scope whenever it is polled, on whatever thread, and when it is dropped.
    pub fn attach<F: Future>(&self, future: F) -> InScope<F> {
        InScope::new(self.clone(), future)
    }

    /// What was counted so far.
    pub fn stats(&self) -> ScopeStats {
        self.shared.lock().stats()
    }

    /// The sites that allocated most, as text: bytes, allocations and what of it is live, with their calls.
    pub fn report(&self) -> String {
        let text = agent_side::run(|| sites::text(&self.shared.lock()));
        let copy = text.clone();
        agent_side::run(|| drop(text));
        copy
    }

    /// Whether every event was counted.
    fn saw_all(&self) -> bool {
        self.shared.lock().unseen_before() == UNSEEN.load(Ordering::Relaxed)
    }
}

impl Default for Scope {
    #[track_caller]
    fn default() -> Scope {
        Scope::new()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Books> {
        // `None` only while it is dropped.
        let books = self.0.as_ref().unwrap_or_else(|| unreachable!("a scope has books"));
        books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is(&self, other: &Shared) -> bool {
        self.0.as_ref().zip(other.0.as_ref()).is_some_and(|(one, other)| Arc::ptr_eq(one, other))
    }
}

impl Clone for Shared {
    fn clone(&self) -> Shared {
        Shared(self.0.clone())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let books = self.0.take();
        agent_side::run(|| drop(books));
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        let entered = std::mem::take(&mut self.0);
        agent_side::run(|| drop(entered));
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        let leave = || {
            ENTERED.try_with(|stack| {
                let entered = &mut stack.borrow_mut().0;
                // Guards may be dropped in any order.
                entered.retain(|(number, _)| *number != self.number);
                entered.is_empty()
            })
        };
        if let (true, Some(slot)) = (agent_side::run(leave).unwrap_or(true), slot::current()) {
            slot.leave_scopes();
        }
    }
}

/// Panics unless [`Allocator`](crate::Allocator) is the program's. Asks once: it takes two allocations.
#[track_caller]
fn require_allocator() {
    static IS_INSTALLED: AtomicBool = AtomicBool::new(false);
    if IS_INSTALLED.load(Ordering::Relaxed) {
        return;
    }
    match session::installed_hook() {
        Ok(Hook::Allocator) => IS_INSTALLED.store(true, Ordering::Relaxed),
        Ok(_) => panic!("cannot count in a scope: it needs plimsoll::Allocator, not the tracking-allocator adapter"),
        Err(error) => panic!("cannot count in a scope: {error}"),
    }
}

/// An event on a thread in a scope could not be counted.
#[cold]
fn unseen() {
    UNSEEN.fetch_add(1, Ordering::Relaxed);
}

/// What happened to a block, in a hook of a thread in a scope.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Change {
    /// It came to be.
    Allocated { size: usize },
    /// It is about to go.
    Freed,
    /// It is about to be reallocated.
    ReallocBegins,
    /// It is what a reallocation gave.
    Reallocated { size: usize },
    /// Its reallocation failed.
    ReallocFailed,
}

/// Brings the books up to date if the thread is in a scope.
#[inline(always)]
pub(crate) fn note(slot: &Slot, address: usize, change: Change) {
    if slot.is_in_scope() {
        note_in_books(slot, address, change);
    }
}

/// An event that came in between another one's: nobody can count it.
#[inline(always)]
pub(crate) fn note_nested(slot: &Slot) {
    if slot.is_in_scope() {
        unseen();
    }
}

#[cold]
#[inline(never)]
fn note_in_books(slot: &Slot, address: usize, change: Change) {
    let thread = slot.thread.load(Ordering::Relaxed);
    let mut buffer = [0; sites::FRAMES];
    let stack = match change {
        Change::Allocated { .. } | Change::Reallocated { .. } => {
            crate::unwind::portable_stack(slot.stack(), &mut buffer)
        }
        Change::Freed | Change::ReallocBegins | Change::ReallocFailed => &[],
    };
    match change {
        Change::Allocated { size } => for_each(|books| books.allocated(address, size, stack)),
        Change::Reallocated { size } => for_each(|books| books.reallocated(thread, address, size, stack)),
        Change::Freed => for_each(|books| books.freed(address)),
        Change::ReallocBegins => for_each(|books| books.realloc_begins(thread, address)),
        Change::ReallocFailed => for_each(|books| books.realloc_failed(thread)),
    }
}

/// Does it in the books of every scope that the thread is in.
fn for_each(mut change: impl FnMut(&mut Books)) {
    let each = || {
        ENTERED.try_with(|stack| {
            let Ok(stack) = stack.try_borrow() else { return unseen() };
            for (at, (_, shared)) in stack.0.iter().enumerate() {
                let is_repeated = stack.0.iter().take(at).any(|(_, outer)| outer.is(shared));
                if !is_repeated {
                    change(&mut shared.lock());
                }
            }
        })
    };
    if agent_side::run(each).is_err() {
        unseen();
    }
}
