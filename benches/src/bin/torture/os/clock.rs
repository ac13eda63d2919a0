//! A wall clock that can be set without touching the machine's, and what runs before and after `main`.

use std::ffi::c_int;
use std::hint::black_box;
use std::sync::atomic::{AtomicI64, AtomicPtr, Ordering::Relaxed};

static SHIFT_SECONDS: AtomicI64 = AtomicI64::new(0);

/// The wall clock of this process jumps to so many seconds after the true time.
pub(crate) fn shift_wall_clock(seconds: i64) {
    SHIFT_SECONDS.store(seconds, Relaxed);
}

type ClockGettime = extern "C" fn(libc::clockid_t, *mut libc::timespec) -> c_int;

/// Stands before the C library's function of this name, for everything that is linked into this program.
///
/// # Safety
/// As for the C library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    static THEIRS: AtomicPtr<libc::c_void> = AtomicPtr::new(std::ptr::null_mut());
    let mut theirs = THEIRS.load(Relaxed);
    if theirs.is_null() {
        // SAFETY: looks the C library's own function up.
        theirs = unsafe { libc::dlsym(libc::RTLD_NEXT, c"clock_gettime".as_ptr()) };
        THEIRS.store(theirs, Relaxed);
    }
    // SAFETY: that function's type; the caller vouches for the pointer, which was written when it returns 0.
    unsafe {
        let result = std::mem::transmute::<*mut libc::c_void, ClockGettime>(theirs)(clock, time);
        if result == 0 && clock == libc::CLOCK_REALTIME {
            (*time).tv_sec += SHIFT_SECONDS.load(Relaxed);
        }
        result
    }
}

/// Runs before `main`: what it allocates is there before anything of the agent is.
extern "C" fn before_main() {
    (0..100usize).for_each(|size| drop(black_box(vec![1u8; size])));
    std::mem::forget(black_box(vec![1u8; 4321]));
}

#[used]
#[unsafe(link_section = ".init_array")]
static BEFORE_MAIN: extern "C" fn() = before_main;

/// Calls `function` when the process exits, before what was asked for earlier.
pub(crate) fn late_for_exit(function: extern "C" fn()) {
    // SAFETY: a function of this program stays for its life.
    assert_eq!(unsafe { libc::atexit(function) }, 0);
}
