//! Where the agent itself runs: its threads, and its work on the program's threads. What it allocates there goes to a
//! slot of its own, is reported apart and is never recorded.

use std::ffi::{CString, c_void};

use crate::slot::{self, Slot};

/// Runs `work` with allocations counted as the agent's. What `work` returns must not be freed as the program's: copy
/// it outside and drop the original in another call.
pub(crate) fn run<R>(work: impl FnOnce() -> R) -> R {
    struct Restore {
        before: Option<&'static Slot>,
        mine: &'static Slot,
    }
    impl Drop for Restore {
        fn drop(&mut self) {
            slot::set_current(self.before);
            self.mine.release();
        }
    }
    let before = slot::current();
    if before.is_some_and(Slot::is_agents) {
        return work();
    }
    let mine = slot::acquire_agents();
    slot::set_current(Some(mine));
    let _restore = Restore { before, mine };
    work()
}

/// A thread of the agent's: takes no signals, and is the agent's from its first instruction on (which is why it is not
/// started through the standard library, whose own set-up on the new thread would count as the program's).
pub(crate) struct AgentThread(libc::pthread_t);

impl AgentThread {
    /// Starts `work` on a new thread, or gives the system's error number.
    pub(crate) fn spawn(name: &str, work: Box<dyn FnOnce() + Send>) -> Result<AgentThread, i32> {
        let _signals = crate::sys::SignalsBlocked::new();
        let name = CString::new(name).unwrap_or_default();
        let start = Box::into_raw(Box::new((name, work)));
        let mut thread = std::mem::MaybeUninit::uninit();
        // SAFETY: `begin` takes the box over when the thread starts; otherwise it is taken back here.
        unsafe {
            let error = libc::pthread_create(thread.as_mut_ptr(), std::ptr::null(), begin, start.cast());
            if error != 0 {
                drop(Box::from_raw(start));
                return Err(error);
            }
            Ok(AgentThread(thread.assume_init()))
        }
    }

    /// Waits for the thread's end.
    pub(crate) fn join(self) {
        // SAFETY: the thread was created joinable, and joining consumes it.
        unsafe { libc::pthread_join(self.0, std::ptr::null_mut()) };
    }
}

type Start = (CString, Box<dyn FnOnce() + Send>);

extern "C" fn begin(start: *mut c_void) -> *mut c_void {
    let slot = slot::acquire_agents();
    slot::set_current(Some(slot));
    crate::hook::release_at_thread_exit(slot);
    crate::reserve::this_thread_may_park();
    // SAFETY: `spawn` made the box for this thread alone.
    let (name, work) = *unsafe { Box::from_raw(start.cast::<Start>()) };
    // SAFETY: the name is a C string; longer ones are cut by the caller's choice of names.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
    drop(name);
    // A panic here must not unwind into C; the writer's `Drop`s say what became of the capture.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    std::ptr::null_mut()
}
