//! What the agent lives on when the program's allocator has nothing left: an allocation of the agent's own that fails
//! would end in `handle_alloc_error`, which aborts the program.
//!
//! The reserve is address space that is mapped when the first session starts; pages cost nothing until they are used.
//! A bitmap says which granules are taken. Blocks are told by their address, which only the agent's events are asked
//! for: they all take the slow path.
//!
//! When used up: a thread of the agent's detaches the session and parks for ever. Work of the agent's on a program's
//! thread cannot do that, so the last [`HELD_BACK`] bytes are its own: it is a marker of at most 4 KiB, a list of
//! waiting notes of bounded length, or a path and an error's text. See `docs/faults.md` for the argument.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use crate::arena::Arena;
use crate::{recorder, sys};

/// Address space of the reserve: eight times what the writer holds at most while it can write.
const BYTES: usize = 8 << 20;
/// Of it, for those who cannot park.
const HELD_BACK: usize = 2 << 20;
/// Unit of what is handed out, and the alignment that every block has.
pub(crate) const GRANULE: usize = 64;
const GRANULES: usize = BYTES / GRANULE;

/// Where the reserve is, null before the first session.
static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
/// One bit a granule.
static TAKEN: [AtomicU64; GRANULES / 64] = [const { AtomicU64::new(0) }; GRANULES / 64];
/// Granules in use.
static USED: AtomicU64 = AtomicU64::new(0);
/// Held while the bitmap changes; by the agent's work alone, never by a hook.
static LOCKED: AtomicBool = AtomicBool::new(false);
/// A thread of the agent's has parked.
static PARKED: AtomicBool = AtomicBool::new(false);

/// What is to be done when there is nothing left.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenEmpty {
    /// Detach and never come back: threads of the agent's.
    Park,
    /// Take what was held back: whoever holds a lock that the program may want, or is on a thread of the program's.
    TakeHeldBack,
    /// Not even ask the reserve: for what is large, and whose failure is expected.
    Refuse,
}

thread_local! {
    static WHEN_EMPTY: Cell<WhenEmpty> = const { Cell::new(WhenEmpty::TakeHeldBack) };
}

/// Makes room for bad times; false when the system refuses.
pub(crate) fn map() -> bool {
    if !START.load(Ordering::Acquire).is_null() {
        return true;
    }
    let Some(arena) = Arena::<AtomicU64>::map(BYTES / 8) else { return false };
    let start = arena.as_ptr().cast_mut().cast();
    if START.compare_exchange(std::ptr::null_mut(), start, Ordering::AcqRel, Ordering::Acquire).is_ok() {
        std::mem::forget(arena);
    }
    true
}

/// The calling thread is the agent's own, and may park.
pub(crate) fn this_thread_may_park() {
    WHEN_EMPTY.with(|now| now.set(WhenEmpty::Park));
}

/// Runs `work` with another answer to an empty reserve.
pub(crate) fn when_empty<R>(answer: WhenEmpty, work: impl FnOnce() -> R) -> R {
    let before = WHEN_EMPTY.with(|now| now.replace(answer));
    let result = work();
    WHEN_EMPTY.with(|now| now.set(before));
    result
}

/// Whether a thread of the agent's has parked: it will not answer any more.
pub(crate) fn has_parked() -> bool {
    PARKED.load(Ordering::Acquire)
}

/// In a forked child: whoever held the lock is not here.
pub(crate) fn forget_other_threads() {
    LOCKED.store(false, Ordering::Release);
}

/// A zeroed block of the reserve; null when there is none, unless the thread parks then.
pub(crate) fn take(size: usize, align: usize) -> *mut u8 {
    let answer = WHEN_EMPTY.with(Cell::get);
    if answer == WhenEmpty::Refuse {
        return std::ptr::null_mut();
    }
    let room = if answer == WhenEmpty::Park { GRANULES - HELD_BACK / GRANULE } else { GRANULES };
    let found = find(size, align, room);
    if let Some(block) = found {
        // SAFETY: the granules were just taken for this block, which `size` bytes fit into.
        unsafe { block.write_bytes(0, size) };
        return block;
    }
    if answer == WhenEmpty::Park {
        park();
    }
    std::ptr::null_mut()
}

fn find(size: usize, align: usize, room: usize) -> Option<*mut u8> {
    let start = START.load(Ordering::Acquire);
    // The mapping is aligned to a page.
    if start.is_null() || align > 4096 || size > BYTES {
        return None;
    }
    let (granules, step) = (size.div_ceil(GRANULE).max(1), align.div_ceil(GRANULE).max(1));
    let _lock = Lock::take();
    if USED.load(Ordering::Relaxed) as usize + granules > room {
        return None;
    }
    let first = first_fit(granules, step)?;
    (first..first + granules).for_each(|at| {
        word(at).inspect(|word| _ = word.fetch_or(bit(at), Ordering::Relaxed));
    });
    USED.fetch_add(granules as u64, Ordering::Relaxed);
    // SAFETY: the granule lies within the mapping.
    Some(unsafe { start.add(first * GRANULE) })
}

/// The first of so many free granules in a row that begins at a multiple of `step`.
fn first_fit(granules: usize, step: usize) -> Option<usize> {
    let mut first = 0;
    while first + granules <= GRANULES {
        if word(first).is_some_and(|word| word.load(Ordering::Relaxed) == u64::MAX) {
            // A step is a power of two up to 64: the next word begins at a multiple of it.
            first = (first / 64 + 1) * 64;
            continue;
        }
        match (first..first + granules).rev().find(|at| is_taken(*at)) {
            None => return Some(first),
            Some(taken) => first = (taken + 1).next_multiple_of(step),
        }
    }
    None
}

fn word(granule: usize) -> Option<&'static AtomicU64> {
    TAKEN.get(granule / 64)
}

fn bit(granule: usize) -> u64 {
    1 << (granule % 64)
}

fn is_taken(granule: usize) -> bool {
    word(granule).is_none_or(|word| word.load(Ordering::Relaxed) & bit(granule) != 0)
}

/// Whether the reserve holds the block.
pub(crate) fn holds(block: *const u8) -> bool {
    let start = START.load(Ordering::Acquire);
    !start.is_null() && (block as usize).wrapping_sub(start as usize) < BYTES
}

/// Takes a block back if it is the reserve's; false when it is not.
pub(crate) fn give_back(block: *const u8, size: usize) -> bool {
    if !holds(block) {
        return false;
    }
    let first = (block as usize - START.load(Ordering::Acquire) as usize) / GRANULE;
    let granules = size.div_ceil(GRANULE).max(1);
    let _lock = Lock::take();
    (first..first + granules).for_each(|at| {
        word(at).inspect(|word| _ = word.fetch_and(!bit(at), Ordering::Relaxed));
    });
    USED.fetch_sub(granules as u64, Ordering::Relaxed);
    true
}

/// Ends recording, says so, and never comes back: what the caller asked for cannot be had, and its frames cannot be
/// left. What was written stays.
fn park() -> ! {
    recorder::give_up();
    if !PARKED.swap(true, Ordering::AcqRel) {
        sys::write_to_stderr(
            b"plimsoll: the agent found no memory any more; recording ends here, the program goes on\n",
        );
    }
    loop {
        sys::sleep(Duration::from_secs(3600));
    }
}

/// The bitmap's lock.
struct Lock;

impl Lock {
    fn take() -> Lock {
        while LOCKED.swap(true, Ordering::Acquire) {
            sys::sleep(Duration::from_micros(20));
        }
        Lock
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        LOCKED.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One test, as the reserve is the process's.
    #[test]
    fn blocks_do_not_overlap_are_zeroed_aligned_and_come_back() {
        assert!(map() && map());
        let large = take(3 << 20, 16);
        let page = take(100, 4096);
        assert_eq!(page as usize % 4096, 0);
        // SAFETY: blocks of these sizes, held by this test alone.
        unsafe { (page.write_bytes(7, 100), large.write_bytes(8, 3 << 20)) };
        assert!(holds(large) && holds(page) && !holds((&raw const START).cast()));
        assert!(take(6 << 20, 16).is_null() && take(1, 8192).is_null() && take(usize::MAX, 1).is_null());
        assert!(when_empty(WhenEmpty::Refuse, || take(1, 1)).is_null());
        assert!(give_back(page, 100) && !give_back((&raw const START).cast(), 8));
        // First fit: the same place again, zeroed.
        let again = take(100, 4096);
        assert_eq!(again, page);
        // SAFETY: as above.
        assert!(unsafe { std::slice::from_raw_parts(again, 100) }.iter().all(|byte| *byte == 0));
        assert!(give_back(again, 100) && give_back(large, 3 << 20));
        let all: Vec<*mut u8> = (0..GRANULES).map(|_| take(GRANULE, 1)).collect();
        assert!(all.iter().all(|block| holds(*block)) && take(0, 1).is_null());
        assert!(all.iter().all(|block| give_back(*block, GRANULE)));
        assert_eq!(USED.load(Ordering::Relaxed), 0);
    }
}
