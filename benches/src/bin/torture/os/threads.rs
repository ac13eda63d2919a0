//! POSIX threads, started and ended in the ways that the standard library does not offer.

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

/// Calls `work` in the destructor of a POSIX key when the calling thread ends: so many times, as the destructor sets its
/// key again each time. POSIX gives up after four rounds.
pub(crate) fn in_key_destructor(rounds: usize, work: fn()) {
    static KEY: std::sync::OnceLock<(libc::pthread_key_t, fn())> = std::sync::OnceLock::new();
    extern "C" fn destroy(rounds: *mut c_void) {
        let Some((key, work)) = KEY.get() else { return };
        work();
        // SAFETY: the key exists; its values are small numbers, which nobody follows.
        unsafe { libc::pthread_setspecific(*key, rounds.wrapping_byte_sub(1)) };
    }
    let (key, _) = KEY.get_or_init(|| {
        let mut key = 0;
        // SAFETY: the key outlives the call.
        assert_eq!(unsafe { libc::pthread_key_create(&raw mut key, Some(destroy)) }, 0);
        (key, work)
    });
    // SAFETY: as above.
    unsafe { libc::pthread_setspecific(*key, rounds as *mut c_void) };
}
