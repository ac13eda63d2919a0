//! Processes that fork, clone, become others and lose their descriptors.

use std::ffi::{c_int, c_void};

/// Runs `child` in a forked process, which ends with 0 after it without any handler; gives its id.
pub(crate) fn fork(child: impl FnOnce()) -> libc::pid_t {
    // SAFETY: the C library makes its allocator usable in the child, and the tests ask for no other lock there.
    match unsafe { libc::fork() } {
        0 => {
            child();
            exit_at_once(0)
        }
        pid if pid < 0 => panic!("cannot fork: {}", std::io::Error::last_os_error()),
        pid => pid,
    }
}

/// As [`fork`], past the C library and its handlers.
pub(crate) fn clone_process(child: impl FnOnce()) -> libc::pid_t {
    let none = std::ptr::null_mut::<c_void>();
    // SAFETY: without a stack and CLONE_VM this is a fork; the child uses nothing of the C library that has a lock.
    match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, none, none, none, none) } {
        0 => {
            child();
            exit_at_once(0)
        }
        pid if pid < 0 => panic!("cannot clone: {}", std::io::Error::last_os_error()),
        pid => pid as libc::pid_t,
    }
}

/// Ends the process without any handler.
pub(crate) fn exit_at_once(code: c_int) -> ! {
    // SAFETY: takes a number and does not return.
    unsafe { libc::_exit(code) }
}

/// Waits for the end of a child and gives its status.
pub(crate) fn wait_for(child: libc::pid_t) -> c_int {
    let mut status = 0;
    // SAFETY: the status outlives the call.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 {
        let error = std::io::Error::last_os_error();
        assert_eq!(error.kind(), std::io::ErrorKind::Interrupted, "cannot wait: {error}");
    }
    status
}

/// Runs a program as `posix_spawn` does: in a child that shares the parent's memory until then. The program's path must
/// be absolute.
pub(crate) fn vfork_and_exec(program: &std::ffi::CStr) -> libc::pid_t {
    let arguments = [program.as_ptr(), std::ptr::null()];
    let environment = [std::ptr::null::<libc::c_char>()];
    let mut pid = 0;
    // SAFETY: all pointers outlive the call, and the lists end in null.
    let error = unsafe {
        let (none, no_attributes) = (std::ptr::null(), std::ptr::null());
        libc::posix_spawn(
            &raw mut pid,
            program.as_ptr(),
            none,
            no_attributes,
            arguments.as_ptr().cast::<*mut libc::c_char>(),
            environment.as_ptr().cast::<*mut libc::c_char>(),
        )
    };
    assert_eq!(error, 0, "cannot spawn");
    pid
}

/// Replaces the process by another program.
pub(crate) fn exec(program: &std::ffi::CStr) -> ! {
    let (arguments, environment) = ([program.as_ptr(), std::ptr::null()], [std::ptr::null()]);
    // SAFETY: the lists end in null and outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    panic!("cannot exec: {}", std::io::Error::last_os_error());
}

/// Closes all descriptors from 3 to 1024, as daemons do.
pub(crate) fn close_descriptors() {
    // SAFETY: nothing of this program uses descriptors of its own above 2 at that time; the agent's are the point.
    (3..=1024).for_each(|descriptor| unsafe { _ = libc::close(descriptor) });
}

/// Starts a new session of processes, without a terminal.
pub(crate) fn set_session() {
    // SAFETY: takes nothing and changes no memory.
    unsafe { libc::setsid() };
}
