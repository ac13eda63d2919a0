//! What is done to a process through the system's own calls, each behind a safe function.

mod clock;
mod limits;
mod modules;
mod processes;
mod signals;
mod threads;

pub(crate) use clock::{late_for_exit, shift_wall_clock};
pub(crate) use limits::{freeze, limit_file_size, private_mounts, starve_threads};
pub(crate) use modules::Library;
pub(crate) use processes::*;
pub(crate) use signals::*;
pub(crate) use threads::{Thread, in_key_destructor};

/// Bounds of the calling thread's stack: lowest address, and one past the highest.
pub(crate) fn stack_bounds() -> (usize, usize) {
    let mut attributes = std::mem::MaybeUninit::uninit();
    let (mut start, mut bytes) = (std::ptr::null_mut(), 0);
    // SAFETY: the attributes are initialised by the first call and not used after they are destroyed.
    unsafe {
        assert_eq!(libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()), 0);
        libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut start, &raw mut bytes);
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
    }
    (start as usize, start as usize + bytes)
}

/// How many mappings the process has.
pub(crate) fn mappings() -> u64 {
    std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count() as u64)
}
