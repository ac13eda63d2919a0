//! Whether there is room to walk below a stack pointer: on a thread's own stack by its bounds, on a signal stack by what the
//! system says of it, and elsewhere, on the stacks of coroutines, by whether the pages below can be read.
//!
//! A coroutine's stack without a page below that nobody may touch looks larger than it is; nothing tells.

use std::ops::Range;

/// Room that a walk needs below the stack pointer: with a cold cache 13.8 KiB were seen in use where framehop is optimised,
/// 17.2 KiB where it is not (`torture small-stacks`).
pub(super) const LEAST_ROOM: usize = 24 << 10;
/// Room that the portable unwinder needs.
const PORTABLE_ROOM: usize = 12 << 10;
const PAGE: usize = 4096;

/// Whether the thread's own stack has room.
#[inline(always)]
pub(super) fn is_on_own(stack: &Range<usize>, stack_pointer: usize) -> bool {
    stack.contains(&stack_pointer) && stack_pointer - stack.start >= LEAST_ROOM
}

/// Whether any stack but the thread's own has room for the portable unwinder.
#[cold]
pub(super) fn is_elsewhere(stack_pointer: usize) -> bool {
    match signal_stack() {
        Some(start) => stack_pointer.saturating_sub(start) >= PORTABLE_ROOM,
        None => (0..=PORTABLE_ROOM).step_by(PAGE).all(|below| is_readable(stack_pointer.saturating_sub(below))),
    }
}

/// Where the signal stack begins that a handler runs on now.
pub(crate) fn signal_stack() -> Option<usize> {
    let mut stack = std::mem::MaybeUninit::<libc::stack_t>::zeroed();
    // SAFETY: asks for the present state and changes nothing; zeros are a valid answer should it fail.
    let stack = unsafe {
        libc::sigaltstack(std::ptr::null(), stack.as_mut_ptr());
        stack.assume_init()
    };
    (stack.ss_flags & libc::SS_ONSTACK != 0).then_some(stack.ss_sp as usize)
}

/// Whether the aligned word at an address can be read: the kernel reads it before it finds that there is nothing to do.
/// Keeps no `errno`; callers do.
fn is_readable(address: usize) -> bool {
    const NO_SUCH_CHANGE: libc::c_int = -1;
    let word = address & !7;
    // SAFETY: the kernel reads eight bytes, or finds that it cannot; with this request it changes no signal mask.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigprocmask, NO_SUCH_CHANGE, word, 0usize, 8usize) };
    // SAFETY: the calling thread's own errno.
    result == 0 || unsafe { *libc::__errno_location() } != libc::EFAULT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_readable_words_from_others() {
        let word = 7u64;
        assert!(is_readable(&raw const word as usize));
        assert!(!is_readable(16));
        // SAFETY: a mapping of our own, which nobody may touch.
        let guard = unsafe {
            libc::mmap(std::ptr::null_mut(), PAGE, libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0)
        };
        assert!(guard != libc::MAP_FAILED && !is_readable(guard as usize));
    }

    #[test]
    fn a_test_runs_on_no_signal_stack_and_has_room() {
        assert_eq!(signal_stack(), None);
        let local = 0u8;
        let here = &raw const local as usize;
        assert!(is_elsewhere(here));
        assert!(!is_on_own(&(here..here + LEAST_ROOM), here + LEAST_ROOM - 1));
        assert!(is_on_own(&(here..here + LEAST_ROOM + 2), here + LEAST_ROOM));
    }
}
