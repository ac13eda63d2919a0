//! Tags: a name that the program puts on what it allocates for a while.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};

use crate::{agent_side, slot};

/// Most tags a process may name; later ones count as untagged. (A live sample has 16 bits for its tag.)
const MAX_TAGS: usize = u16::MAX as usize;

/// All names so far; a tag's id is its position plus one. Never touched by a hook.
static NAMES: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The process that named the first tag, 0 before it did.
static OWNER: AtomicU32 = AtomicU32::new(0);

/// The names; `None` in a forked child, when a thread that is not here may hold them for ever.
fn names() -> Option<MutexGuard<'static, Vec<String>>> {
    if OWNER.load(Ordering::Relaxed) == 0 {
        OWNER.store(std::process::id(), Ordering::Relaxed);
    }
    match NAMES.try_lock() {
        Ok(names) => Some(names),
        Err(TryLockError::Poisoned(names)) => Some(names.into_inner()),
        Err(TryLockError::WouldBlock) if OWNER.load(Ordering::Relaxed) != std::process::id() => None,
        Err(TryLockError::WouldBlock) => Some(NAMES.lock().unwrap_or_else(PoisonError::into_inner)),
    }
}

/// Puts `name` on what this thread allocates until the guard is dropped. Tags nest: the innermost counts.
///
/// The tag is stored with each recorded allocation and credited back on free, from whatever thread that comes. It
/// stays with the thread: a task that moves to another thread at an `.await` leaves it behind.
///
/// ```
/// let _tag = plimsoll::tag("import");
/// // what is allocated here shows up under "import"
/// ```
pub fn tag(name: &str) -> Tag {
    let before = set(id(name));
    Tag { before, stays_here: PhantomData }
}

/// Guard of [`tag`]; dropping it puts the tag before it back in force.
#[must_use = "the tag is in force only until this guard is dropped"]
#[derive(Debug)]
pub struct Tag {
    before: u32,
    /// A tag belongs to the thread it was set on.
    stays_here: PhantomData<*const ()>,
}

impl Drop for Tag {
    fn drop(&mut self) {
        set(self.before);
    }
}

/// The id of `name`, 0 when there are too many.
pub(crate) fn id(name: &str) -> u32 {
    let Some(mut names) = names() else { return 0 };
    // Looking up allocates nothing; only a new name is the agent's work.
    let known = names.iter().position(|known| known == name);
    let position = known.or_else(|| {
        (names.len() < MAX_TAGS).then(|| {
            agent_side::run(|| names.push(name.to_owned()));
            names.len() - 1
        })
    });
    position.map_or(0, |position| position as u32 + 1)
}

/// Names with ids above `after`, in order.
pub(crate) fn names_after(after: usize) -> Vec<String> {
    names().map_or_else(Vec::new, |names| names.get(after..).unwrap_or_default().to_vec())
}

/// Sets the calling thread's tag and returns the one before.
fn set(tag: u32) -> u32 {
    if slot::current().is_none() {
        // No event on this thread yet: make one, which gives it a slot.
        drop(std::hint::black_box(Box::new(0u8)));
    }
    swap_if_known(tag)
}

/// Sets the calling thread's tag if the thread has a slot already. Safe in a hook.
pub(crate) fn swap_if_known(tag: u32) -> u32 {
    slot::current().map_or(0, |slot| slot.tag.swap(tag, Ordering::Relaxed))
}
