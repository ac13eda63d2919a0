//! A pointer that a forked child finds null, in whatever way it was forked: a raw `clone` runs no handlers.

use std::sync::atomic::{AtomicPtr, Ordering};

/// See the module's description. For statics: it fills pages of its own, of the largest size there is.
#[repr(C, align(65536))]
pub(crate) struct OwnPages<T>(AtomicPtr<T>);

impl<T> OwnPages<T> {
    /// Null.
    pub(crate) const fn null() -> OwnPages<T> {
        OwnPages(AtomicPtr::new(std::ptr::null_mut()))
    }

    /// Makes it null in every child that is forked from now on. Where the kernel is too old for this (before 4.14) only
    /// handlers of `fork` can, and this is false.
    pub(crate) fn null_in_forked_children(&'static self) -> bool {
        // SAFETY: the pages are the process's own and hold nothing but the pointer, for which zeros are null. In this
        // process they stay as they are.
        unsafe {
            libc::madvise((&raw const *self).cast_mut().cast(), size_of::<OwnPages<T>>(), libc::MADV_WIPEONFORK) == 0
        }
    }

    #[inline(always)]
    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        self.0.load(order)
    }

    pub(crate) fn store(&self, pointer: *mut T, order: Ordering) {
        self.0.store(pointer, order);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_clone_finds_it_null() {
        static POINTER: OwnPages<u8> = OwnPages::null();
        let mut byte = 5u8;
        POINTER.store(&raw mut byte, Ordering::Relaxed);
        assert!(POINTER.null_in_forked_children());
        let none = std::ptr::null_mut::<u8>();
        // SAFETY: a fork; the child reads one word and ends.
        let child = unsafe {
            let child = libc::syscall(libc::SYS_clone, libc::SIGCHLD, none, none, none, none);
            if child == 0 {
                libc::_exit(i32::from(!POINTER.load(Ordering::Relaxed).is_null()));
            }
            child as libc::pid_t
        };
        let mut status = -1;
        // SAFETY: the status outlives the call.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(status, 0, "the child found the pointer null");
        assert_eq!(POINTER.load(Ordering::Relaxed), &raw mut byte, "and this process has it still");
    }
}
