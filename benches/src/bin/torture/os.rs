//! What is done to a process through the system's own calls, each behind a safe function.

use std::ffi::{c_int, c_void};

unsafe extern "C-unwind" {
    // As libc declares it these may not unwind; a thread that ends by them does.
    fn pthread_exit(value: *mut c_void) -> !;
    fn pause() -> c_int;
}

type Start = extern "C-unwind" fn(*mut c_void) -> *mut c_void;

/// A POSIX thread, which has nothing of the standard library's threads.
pub(crate) struct Thread(libc::pthread_t);

impl Thread {
    /// Starts `work` on a stack of this size.
    pub(crate) fn spawn(stack_bytes: usize, work: impl FnOnce() + Send + 'static) -> Thread {
        extern "C-unwind" fn begin(work: *mut c_void) -> *mut c_void {
            // SAFETY: the pointer is the box that `spawn` gave away.
            let work = unsafe { Box::from_raw(work.cast::<Box<dyn FnOnce() + Send>>()) };
            work();
            std::ptr::null_mut()
        }
        let work: Box<dyn FnOnce() + Send> = Box::new(work);
        Thread::start(stack_bytes, begin, Box::into_raw(Box::new(work)).cast())
    }

    fn start(stack_bytes: usize, begin: Start, argument: *mut c_void) -> Thread {
        let mut thread = std::mem::MaybeUninit::uninit();
        // SAFETY: the attributes are initialised before they are used and not used after they are destroyed. The two
        // function types differ in whether the function may unwind, which the C library allows.
        unsafe {
            let mut attributes = std::mem::MaybeUninit::uninit();
            libc::pthread_attr_init(attributes.as_mut_ptr());
            let set = libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), stack_bytes);
            assert_eq!(set, 0, "a stack of {stack_bytes} bytes is refused");
            let begin = std::mem::transmute::<Start, extern "C" fn(*mut c_void) -> *mut c_void>(begin);
            let error = libc::pthread_create(thread.as_mut_ptr(), attributes.as_ptr(), begin, argument);
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            assert_eq!(error, 0, "a thread is refused: {}", std::io::Error::from_raw_os_error(error));
            Thread(thread.assume_init())
        }
    }

    /// A thread that runs `work` and then ends by `pthread_exit`.
    pub(crate) fn spawn_exiting(work: fn()) -> Thread {
        extern "C-unwind" fn begin(work: *mut c_void) -> *mut c_void {
            // SAFETY: the pointer is the function that `spawn_exiting` passed.
            unsafe { std::mem::transmute::<*mut c_void, fn()>(work)() };
            // SAFETY: no frame of this thread has anything to drop.
            unsafe { pthread_exit(std::ptr::null_mut()) }
        }
        Thread::start(256 << 10, begin, work as *mut c_void)
    }

    /// A thread that runs `work` again and again until it is cancelled.
    pub(crate) fn spawn_to_cancel(work: fn()) -> Thread {
        extern "C-unwind" fn begin(work: *mut c_void) -> *mut c_void {
            // SAFETY: the pointer is the function that `spawn_to_cancel` passed.
            let work = unsafe { std::mem::transmute::<*mut c_void, fn()>(work) };
            (0..20).for_each(|_| work());
            // SAFETY: waits for the signal that cancels; no frame of this thread has anything to drop.
            while unsafe { pause() } < 0 {}
            std::ptr::null_mut()
        }
        Thread::start(256 << 10, begin, work as *mut c_void)
    }

    /// Asks the thread to end where it next can.
    pub(crate) fn cancel(&self) {
        // SAFETY: the thread has not been joined.
        unsafe { libc::pthread_cancel(self.0) };
    }

    /// Waits for the thread's end.
    pub(crate) fn join(self) {
        // SAFETY: joining consumes the thread.
        let error = unsafe { libc::pthread_join(self.0, std::ptr::null_mut()) };
        assert_eq!(error, 0, "a thread cannot be joined");
    }
}

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

/// How many mappings the process has, and of how many of them it is resident in bytes.
pub(crate) fn mappings() -> u64 {
    std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count() as u64)
}

/// A line of `/proc/self/status` in KiB.
pub(crate) fn status_kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

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
