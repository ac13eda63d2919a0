//! What happens on an allocation, a free and a reallocation, in the right order.
//!
//! The common path counts in the thread's slot and returns; it is inlined into the allocator's methods. Whatever is
//! rare (a thread's first event, a sample, every event of exact mode, publishing the live total) is out of line.
//!
//! Order: an allocation is recorded after it exists, a free before the memory goes back; a reallocation retires the
//! old block before the inner call, adds the new one after it, and undoes the first on failure. Anything else lets
//! another thread be given an address whose free has not been recorded yet.
//!
//! Never: calls the global allocator, prints, panics, unwinds, or takes a lock.

use std::ffi::c_void;
use std::sync::atomic::{AtomicU32, Ordering};

use plimsoll_format::{EventKind, LossCause};

use crate::filter;
use crate::recorder::{self, Retired};
use crate::reserve;
use crate::scope::{self, Change};
use crate::slot::{self, Slot};
use crate::sys::Errno;
use crate::unwind::{self, Registers};

/// After the inner allocator returned `address`, which may be null; gives it back, so that callers need not keep it.
#[inline(always)]
pub(crate) fn allocated(address: *mut u8, size: usize) -> *mut u8 {
    // One way out of line for both: whatever is added here is inlined into the program.
    if address.is_null() || slot::of_this_thread().count_alloc(size) {
        return alloc_due(address, size);
    }
    address
}

/// After the inner allocator returned null. To the program that is the answer; the agent lives on its reserve.
#[cold]
#[inline(never)]
pub(crate) fn refused(size: usize, align: usize) -> *mut u8 {
    if !is_agents() {
        return std::ptr::null_mut();
    }
    let block = reserve::take(size, align);
    if !block.is_null() {
        slot::of_this_thread().count_alloc(size);
    }
    block
}

/// Whether what the calling thread does now is the agent's.
#[inline(always)]
pub(crate) fn is_agents() -> bool {
    slot::of_this_thread().is_agents()
}

/// Before a block goes back to the inner allocator; when true, [`free_due`] must be asked first.
#[inline(always)]
#[must_use]
pub(crate) fn freeing(address: *mut u8, size: usize) -> bool {
    slot::of_this_thread().count_free(size, || filter::may_be_sampled(address as usize))
}

/// Whether a free of the block must be looked at: if not, [`reallocating`] has nothing to do.
#[inline(always)]
pub(crate) fn sees_free(address: *mut u8) -> bool {
    slot::of_this_thread().sees_free(|| filter::may_be_sampled(address as usize))
}

/// Before a block is reallocated. The result goes to [`reallocated`], after [`realloc_failed`] if it is null.
#[inline]
pub(crate) fn reallocating(address: *mut u8, size: usize) -> Option<Retired> {
    let is_seen = slot::of_this_thread().sees_free(|| filter::is_likely_sampled(address as usize));
    if is_seen { retire(address as usize, size) } else { None }
}

/// After the inner allocator returned `address` for a block of `old_size`, or null; gives it back.
#[inline(always)]
pub(crate) fn reallocated(address: *mut u8, old_size: usize, size: usize) -> *mut u8 {
    if address.is_null() {
        return address;
    }
    let slot = slot::of_this_thread();
    slot.count_realloc();
    let free_due = slot.count_free(old_size, || false);
    if slot.count_alloc(size) || free_due {
        return realloc_due(address, old_size, size);
    }
    address
}

#[cold]
#[inline(never)]
fn alloc_due(address: *mut u8, size: usize) -> *mut u8 {
    if address.is_null() {
        return refused(size, reserve::GRANULE);
    }
    match slot::current() {
        Some(slot) if slot.is_agents() => {}
        Some(slot) => slow_alloc(slot, address as usize, size, EventKind::Alloc),
        None => first_alloc(address, size),
    }
    address
}

/// What [`freeing`] asked for. True when the block is none of the inner allocator's, and has gone back where it is from.
#[cold]
#[inline(never)]
#[must_use]
pub(crate) fn free_due(address: *mut u8, size: usize) -> bool {
    match slot::current() {
        // Only the filter asked, and was wrong.
        Some(slot) if !slot.sees_every_free() && !filter::is_likely_sampled(address as usize) => {}
        Some(slot) if slot.is_agents() => return reserve::give_back(address, size),
        Some(slot) => slow_free(slot, address as usize, size),
        None => first_free(address as usize, size),
    }
    false
}

#[cold]
#[inline(never)]
fn realloc_due(address: *mut u8, old_size: usize, size: usize) -> *mut u8 {
    match slot::current() {
        Some(slot) if slot.is_agents() => {}
        Some(slot) => slow_alloc(slot, address as usize, size, EventKind::ReallocAlloc),
        None => first_realloc(address, old_size, size),
    }
    address
}

/// After a reallocation failed: the old block lives on.
#[cold]
#[inline(never)]
pub(crate) fn realloc_failed(address: *mut u8, retired: Option<&Retired>) {
    if let Some(slot) = slot::current() {
        enter(slot, |slot| {
            if let Some((recorder, retired)) = recorder::current().zip(retired) {
                recorder.undo(slot, address as usize, retired);
            }
            scope::note(slot, address as usize, Change::ReallocFailed);
        });
    }
}

/// Part of its two callers, so that a walk has no frame more to cross.
#[inline(always)]
fn slow_alloc(slot: &Slot, address: usize, size: usize, kind: EventKind) {
    let registers = Registers::here();
    let entered = enter(slot, |slot| {
        // Part of a reallocation, it may be due for the bytes that were freed.
        if slot.allocated_enough_to_publish() || slot.freed_enough_to_publish() {
            slot.publish();
        }
        if let Some(recorder) = recorder::current() {
            recorder.alloc(slot, address, size, kind, registers);
        }
        let change = match kind {
            EventKind::ReallocAlloc => Change::Reallocated { size },
            _ => Change::Allocated { size },
        };
        scope::note(slot, address, change);
    });
    if !entered {
        scope::note_nested(slot);
        nested(false, |recorder| recorder.losses.alloc(LossCause::Reentered, size as u64));
    }
}

#[inline(always)]
fn slow_free(slot: &Slot, address: usize, size: usize) {
    let free = |slot: &Slot| {
        if slot.freed_enough_to_publish() {
            slot.publish();
        }
        if let Some(recorder) = recorder::current() {
            recorder.free(slot, address, size, EventKind::Free);
        }
        scope::note(slot, address, Change::Freed);
    };
    // The free of a sample, or of what only looks like one, changes nothing about what is due next.
    let entered = enter_if(slot.sees_every_free(), slot, free);
    if !entered {
        scope::note_nested(slot);
        let sampled = filter::may_be_sampled(address);
        nested(sampled, |recorder| recorder.losses.free(LossCause::Reentered, size as u64));
    }
}

#[cold]
#[inline(never)]
fn retire(address: usize, size: usize) -> Option<Retired> {
    let slot = own_slot()?;
    let mut retired = None;
    let entered = enter(slot, |slot| {
        retired = recorder::current().and_then(|recorder| recorder.free(slot, address, size, EventKind::ReallocFree));
        scope::note(slot, address, Change::ReallocBegins);
    });
    if !entered {
        let sampled = filter::may_be_sampled(address);
        nested(sampled, |recorder| recorder.losses.free(LossCause::Reentered, size as u64));
    }
    retired
}

/// Runs `work` with the slot marked busy, then sets when the slow path is due next. False, without running it, when the
/// slot is busy already: a signal handler has come in between.
///
/// What may change `errno` on the way keeps it itself: it is rare, and asking for it twice in every event is not cheap.
#[inline(always)]
fn enter(slot: &Slot, work: impl FnOnce(&Slot)) -> bool {
    enter_if(true, slot, work)
}

/// As [`enter`], but sets when the slow path is due next only if it was due now.
#[inline(always)]
fn enter_if(due: bool, slot: &Slot, work: impl FnOnce(&Slot)) -> bool {
    if slot.busy.load(Ordering::Relaxed) && !give_up_what_was_left(slot) {
        return false;
    }
    slot.entered_at.store(unwind::stack_pointer(), Ordering::Relaxed);
    slot.busy.store(true, Ordering::Relaxed);
    // The session's barrier orders this store before the load of the recorder; here the compiler must keep it so.
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    work(slot);
    let recorder = recorder::current();
    if due && !slot.stays_stopped(recorder) {
        slot.set_stops(recorder);
    }
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    slot.busy.store(false, Ordering::Release);
    true
}

/// What the kernel puts between an interrupted frame and its handler's at least: registers, and on x86_64 the 512 bytes of
/// the floating point unit's oldest form.
const LEAST_OF_A_HANDLER: usize = 512;

/// Whether the hook that marked the slot busy is gone: a signal handler came in between and jumped out (`siglongjmp`). What
/// that hook held is given up then, and its event counts as lost, as it may or may not have been recorded.
///
/// A handler's frames lie below those of the hook that it has interrupted, and below what the kernel saves for it, or on a
/// stack of their own. So when this frame lies higher, on the same stack, the hook's has been left. From further down nothing can be
/// told, nor without the bounds of the stack: the next hook higher up will. (A signal stack may lie on the thread's own.)
#[cold]
#[inline(never)]
fn give_up_what_was_left(slot: &Slot) -> bool {
    let (here, entered, stack) = (unwind::stack_pointer(), slot.entered_at.load(Ordering::Relaxed), slot.known_stack());
    if here + LEAST_OF_A_HANDLER < entered
        || !stack.contains(&here)
        || !stack.contains(&entered)
        || unwind::signal_stack().is_some()
    {
        return false;
    }
    // The slot is still marked busy, which keeps the recorder alive.
    if let Some(recorder) = recorder::current() {
        recorder.give_up(slot);
    }
    true
}

/// Counts an event that a busy slot could not take: every one in exact mode, and frees that may be a sample's.
fn nested(may_be_sampled: bool, count: impl FnOnce(&recorder::Recorder)) {
    // The interrupted hook below on this very thread keeps the recorder alive.
    if let Some(recorder) = recorder::current().filter(|it| may_be_sampled || it.mode == plimsoll_format::Mode::Exact) {
        count(recorder);
    }
}

// ---- a thread's first event, and its end ----

/// The calling thread's slot, a new one if it has none; `None` when there are too many threads.
fn own_slot() -> Option<&'static Slot> {
    if let Some(slot) = slot::current() {
        return Some(slot);
    }
    let _errno = Errno::save();
    let slot = slot::acquire(false)?;
    slot::set_current(Some(slot));
    release_at_thread_exit(slot);
    Some(slot)
}

#[cold]
#[inline(never)]
fn first_alloc(address: *mut u8, size: usize) {
    match own_slot() {
        Some(_) => _ = allocated(address, size),
        None => slot::overflow().count_shared(size, 0),
    }
}

#[cold]
#[inline(never)]
fn first_free(address: usize, size: usize) {
    match own_slot() {
        Some(slot) => {
            slot.count_free(size, || false);
            // Not of the reserve, as the thread is none of the agent's.
            let _ = free_due(address as *mut u8, size);
        }
        None => slot::overflow().count_shared(0, size),
    }
}

#[cold]
#[inline(never)]
fn first_realloc(address: *mut u8, old_size: usize, size: usize) {
    match own_slot() {
        Some(_) => _ = reallocated(address, old_size, size),
        None => slot::overflow().count_shared(size, old_size),
    }
}

/// Key whose destructor gives slots up; 0 before it exists (keys are stored plus one).
static EXIT_KEY: AtomicU32 = AtomicU32::new(0);

/// Arranges for `slot` to be given up when the calling thread ends.
///
/// A POSIX key, since destructors of Rust's thread-locals run before those of keys, and code in either may allocate:
/// such late events find a new slot, and POSIX calls the destructor again for it.
pub(crate) fn release_at_thread_exit(slot: &'static Slot) {
    let Some(key) = exit_key() else { return };
    // SAFETY: the key exists; the value is a pointer that stays valid for ever.
    unsafe { libc::pthread_setspecific(key, std::ptr::from_ref(slot).cast()) };
}

fn exit_key() -> Option<libc::pthread_key_t> {
    if let Some(key) = EXIT_KEY.load(Ordering::Acquire).checked_sub(1) {
        return Some(key);
    }
    let mut key: libc::pthread_key_t = 0;
    // SAFETY: the key is written on success only.
    if unsafe { libc::pthread_key_create(&raw mut key, Some(thread_ends)) } != 0 {
        return None;
    }
    match EXIT_KEY.compare_exchange(0, key + 1, Ordering::AcqRel, Ordering::Acquire) {
        Ok(_) => Some(key),
        Err(other) => {
            // SAFETY: our key was never used.
            unsafe { libc::pthread_key_delete(key) };
            Some(other - 1)
        }
    }
}

unsafe extern "C" fn thread_ends(slot: *mut c_void) {
    // SAFETY: the key's values are pointers to slots, which are never freed.
    let Some(slot) = (unsafe { slot.cast::<Slot>().cast_const().as_ref() }) else { return };
    enter(slot, |slot| {
        if !slot.is_agents() {
            slot.publish();
            if let Some(recorder) = recorder::current() {
                recorder.leave(slot);
            }
        }
        slot::set_current(None);
    });
    slot.release();
}
