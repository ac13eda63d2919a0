//! The one recorder that hooks use, and how it comes and goes while they run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Recorder;
use crate::own_pages::OwnPages;
use crate::{clock, slot, sys};

/// The recorder of the session under way, null otherwise. Forked children find it null, also those of a bare `clone`: they
/// would write into the parent's tables, which are shared memory.
static CURRENT: OwnPages<Recorder> = OwnPages::null();

/// Whether forked children find no recorder, from now on.
pub(crate) fn forgets_in_forks() -> bool {
    CURRENT.null_in_forked_children()
}

/// The session's recorder, if one records. Call it, and use what it gives, only while the calling thread's slot is
/// `busy` (or from the session itself).
pub(crate) fn current() -> Option<&'static Recorder> {
    // SAFETY: the pointer is null or a recorder that a session frees only after every slot was seen not busy.
    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }
}

/// Gives a recorder a life of its own, until [`free`].
pub(crate) fn leak(recorder: Recorder) -> &'static Recorder {
    Box::leak(Box::new(recorder))
}

/// Makes `recorder` the one that hooks use, and sends every thread through its slow path.
pub(crate) fn install(recorder: &'static Recorder) {
    CURRENT.null_in_forked_children();
    CURRENT.store(std::ptr::from_ref(recorder).cast_mut(), Ordering::Release);
    // From here on every slow path sees the recorder; whoever passed before stored its stops before ours.
    sys::barrier_on_all_threads();
    slot::stop_all(recorder.session);
}

/// Takes the recorder away from hooks and waits until none uses it any more; false when one still does after a second.
pub(crate) fn detach() -> bool {
    CURRENT.store(std::ptr::null_mut(), Ordering::Release);
    wait_for_hooks()
}

/// Waits until every hook that runs now has returned; false when one has not after a second.
pub(crate) fn wait_for_hooks() -> bool {
    sys::barrier_on_all_threads();
    let start = clock::monotonic_ns();
    slot::all().all(|slot| {
        while slot.busy.load(Ordering::Acquire) {
            if clock::monotonic_ns().saturating_sub(start) > 1_000_000_000 {
                return false;
            }
            sys::sleep(Duration::from_micros(20));
        }
        true
    })
}

/// Forgets the recorder without freeing it: in a forked child, whose copy may be in any state.
pub(crate) fn abandon() {
    CURRENT.store(std::ptr::null_mut(), Ordering::Release);
}

/// Takes the recorder away from hooks for good, and makes nobody wait for the writer: a thread of the agent's has given
/// up. The recorder stays.
pub(crate) fn give_up() {
    if let Some(recorder) = current() {
        recorder.writer_stuck.store(true, Ordering::Relaxed);
    }
    abandon();
}

/// Frees a recorder made by [`leak`].
///
/// # Safety
/// It was never installed or [`detach`] has returned true, and no reference to it is used any more.
pub(crate) unsafe fn free(recorder: &'static Recorder) {
    // SAFETY: it came from a box in `leak`; the caller vouches that nobody uses it.
    drop(unsafe { Box::from_raw(std::ptr::from_ref(recorder).cast_mut()) });
}
