//! The n-th of the system calls that the agent makes fails, n = 1, 2, … until a whole run passes without a fault.
//!
//! glibc's functions are taken over for the whole process, the standard library included, and forward to the system;
//! calls of the agent's are counted, and refused as the variables say.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::SeqCst};

use libc::{off_t, size_t, ssize_t};

use crate::program::{self, end, judge, variable};

/// The call that fails, counted from 1; 0 for none.
static FAILING: AtomicU64 = AtomicU64::new(0);
static FOR_GOOD: AtomicBool = AtomicBool::new(false);
static ERROR: AtomicI32 = AtomicI32::new(0);
static CALLS: AtomicU64 = AtomicU64::new(0);
static FAILED: AtomicU64 = AtomicU64::new(0);
/// One in a hundred stands for this many faults in a row at most: "interrupted" for ever is no error of the system's.
const MOST_INTERRUPTIONS: u64 = 100;

/// Whether this call, if it is the agent's, is to fail; then the error is set.
fn fails(possible: &[c_int]) -> bool {
    let at = FAILING.load(SeqCst);
    if at == 0 || !plimsoll::is_agents_work() {
        return false;
    }
    let error = ERROR.load(SeqCst);
    if !possible.contains(&error) {
        return false;
    }
    let number = CALLS.fetch_add(1, SeqCst) + 1;
    let failed = FAILED.load(SeqCst);
    let goes_on = FOR_GOOD.load(SeqCst) && (error != libc::EINTR || failed < MOST_INTERRUPTIONS);
    if number != at && !(number > at && goes_on) {
        return false;
    }
    FAILED.fetch_add(1, SeqCst);
    // SAFETY: the calling thread's own errno.
    unsafe { *libc::__errno_location() = error };
    true
}

/// glibc's own function of that name; for a function that this file has taken over.
fn real(name: &CStr) -> *mut c_void {
    // SAFETY: the name is a C string; the next object in line is glibc.
    unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) }
}

const WRITING: [c_int; 5] = [libc::ENOSPC, libc::EIO, libc::EINTR, libc::EDQUOT, libc::EROFS];
const OPENING: [c_int; 6] = [libc::ENOSPC, libc::EIO, libc::EINTR, libc::EDQUOT, libc::EROFS, libc::ENOMEM];
const READING: [c_int; 2] = [libc::EIO, libc::EINTR];
const SOCKETS: [c_int; 3] = [libc::ENOMEM, libc::EINTR, libc::EIO];
const MEMORY: [c_int; 2] = [libc::ENOMEM, libc::EAGAIN];

/// Defines glibc's function `$name` anew: fails with -1 when it is its turn, and forwards otherwise.
macro_rules! taken_over {
    ($($name:ident($($argument:ident: $kind:ty),*) -> $result:ty, $failure:expr, $errors:expr;)*) => {$(
        // SAFETY: it has the signature of glibc's function, to which it forwards.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name($($argument: $kind),*) -> $result {
            if fails(&$errors) {
                return $failure;
            }
            static REAL: std::sync::atomic::AtomicPtr<c_void> = std::sync::atomic::AtomicPtr::new(std::ptr::null_mut());
            if REAL.load(SeqCst).is_null() {
                let name = concat!(stringify!($name), "\0");
                REAL.store(real(CStr::from_bytes_with_nul(name.as_bytes()).unwrap_or(c"")), SeqCst);
            }
            // SAFETY: glibc's function of that name has this signature; the caller's obligations are the same.
            unsafe {
                let real: unsafe extern "C" fn($($kind),*) -> $result = std::mem::transmute(REAL.load(SeqCst));
                real($($argument),*)
            }
        }
    )*};
}

taken_over! {
    pwrite64(file: c_int, data: *const c_void, bytes: size_t, at: off_t) -> ssize_t, -1, WRITING;
    pwrite(file: c_int, data: *const c_void, bytes: size_t, at: off_t) -> ssize_t, -1, WRITING;
    ftruncate64(file: c_int, bytes: off_t) -> c_int, -1, WRITING;
    ftruncate(file: c_int, bytes: off_t) -> c_int, -1, WRITING;
    fallocate64(file: c_int, mode: c_int, at: off_t, bytes: off_t) -> c_int, -1, WRITING;
    fallocate(file: c_int, mode: c_int, at: off_t, bytes: off_t) -> c_int, -1, WRITING;
    open64(path: *const c_char, flags: c_int, mode: c_int) -> c_int, -1, OPENING;
    open(path: *const c_char, flags: c_int, mode: c_int) -> c_int, -1, OPENING;
    fstat64(file: c_int, out: *mut c_void) -> c_int, -1, READING;
    fstat(file: c_int, out: *mut c_void) -> c_int, -1, READING;
    stat64(path: *const c_char, out: *mut c_void) -> c_int, -1, READING;
    unlink(path: *const c_char) -> c_int, -1, WRITING;
    read(file: c_int, data: *mut c_void, bytes: size_t) -> ssize_t, -1, READING;
    pread64(file: c_int, data: *mut c_void, bytes: size_t, at: off_t) -> ssize_t, -1, READING;
    readlink(path: *const c_char, data: *mut c_char, bytes: size_t) -> ssize_t, -1, READING;
    opendir(path: *const c_char) -> *mut c_void, std::ptr::null_mut(), OPENING;
    mmap(at: *mut c_void, bytes: size_t, how: c_int, flags: c_int, file: c_int, from: off_t) -> *mut c_void, libc::MAP_FAILED, MEMORY;
    mmap64(at: *mut c_void, bytes: size_t, how: c_int, flags: c_int, file: c_int, from: off_t) -> *mut c_void, libc::MAP_FAILED, MEMORY;
    pthread_create(thread: *mut c_void, attributes: *const c_void, begin: *const c_void, with: *mut c_void) -> c_int, libc::EAGAIN, MEMORY;
    pthread_getattr_np(thread: libc::pthread_t, out: *mut c_void) -> c_int, libc::ENOMEM, MEMORY;
    getrandom(data: *mut c_void, bytes: size_t, flags: u32) -> ssize_t, -1, [libc::EINTR, libc::EAGAIN];
    mincore(at: *mut c_void, bytes: size_t, out: *mut u8) -> c_int, -1, MEMORY;
    madvise(at: *mut c_void, bytes: size_t, advice: c_int) -> c_int, -1, MEMORY;
    poll(files: *mut c_void, count: u64, wait: c_int) -> c_int, -1, [libc::EINTR, libc::ENOMEM];
    socket(family: c_int, kind: c_int, protocol: c_int) -> c_int, -1, SOCKETS;
    bind(file: c_int, address: *const c_void, bytes: u32) -> c_int, -1, SOCKETS;
    listen(file: c_int, queue: c_int) -> c_int, -1, SOCKETS;
    accept4(file: c_int, address: *mut c_void, bytes: *mut u32, flags: c_int) -> c_int, -1, SOCKETS;
    connect(file: c_int, address: *const c_void, bytes: u32) -> c_int, -1, SOCKETS;
    getsockopt(file: c_int, level: c_int, name: c_int, value: *mut c_void, bytes: *mut u32) -> c_int, -1, SOCKETS;
    write(file: c_int, data: *const c_void, bytes: size_t) -> ssize_t, -1, WRITING;
    chmod(path: *const c_char, mode: u32) -> c_int, -1, OPENING;
    mkdir(path: *const c_char, mode: u32) -> c_int, -1, OPENING;
}

#[test]
#[ignore = "run by the other"]
fn with_a_failing_system() {
    let error: c_int = variable("ERROR").parse().expect("a number");
    ERROR.store(error, SeqCst);
    FOR_GOOD.store(variable("FOR_GOOD") == "1", SeqCst);
    FAILING.store(variable("N").parse().expect("a number"), SeqCst);
    let session = program::session();
    program::run(session.as_ref());
    if let Some(session) = session {
        let _ = session.finish().inspect_err(|error| eprintln!("finish: {error}"));
    }
    end(FAILED.load(SeqCst));
}

/// Steps through the n; gives the first at which nothing failed any more.
fn all((mode, control): (&str, &str), for_good: &str, (name, error): (&str, c_int), step: u64) -> u64 {
    let directory = tempfile::tempdir().expect("a directory");
    let error = error.to_string();
    let mut n = 1;
    loop {
        let capture = directory.path().join(format!("{n}.plim"));
        let number = n.to_string();
        let error = ("ERROR", &*error);
        let variables = [("MODE", mode), ("CONTROL", control), ("FOR_GOOD", for_good), error, ("N", &number)];
        let run = judge("system_calls::with_a_failing_system", &capture, &variables);
        if run.faults == 0 {
            println!("{mode}, control {control}, {name}, for good {for_good}: no more than {n} calls");
            return n;
        }
        n += if n < 8 || step == 1 { 1 } else { step };
    }
}

const ERRORS: [(&str, c_int); 7] = [
    ("ENOSPC", libc::ENOSPC),
    ("EIO", libc::EIO),
    ("EINTR", libc::EINTR),
    ("ENOMEM", libc::ENOMEM),
    ("EAGAIN", libc::EAGAIN),
    ("EDQUOT", libc::EDQUOT),
    ("EROFS", libc::EROFS),
];

fn check(for_good: &str) {
    let all_of_them = std::env::var_os("PLIMSOLL_ALL_FAULTS").is_some();
    for mode in ["exact", "sampled"] {
        // EDQUOT and EROFS take the same ways as ENOSPC, and the modes differ in their tables only.
        let errors = if all_of_them || mode == "exact" { &ERRORS[..] } else { &ERRORS[3..4] };
        for error in errors {
            let calls = all((mode, "0"), for_good, *error, if all_of_them { 1 } else { 11 });
            assert!(calls > 3, "the agent's calls are seen: {calls}");
        }
    }
}

#[test]
fn any_one_of_the_agents_system_calls_may_fail() {
    check("0");
}

#[test]
fn all_of_the_agents_system_calls_may_fail_from_any_one_on() {
    check("1");
}

/// While it listens, and is asked for everything that there is.
#[test]
fn a_system_call_may_fail_while_control_is_asked() {
    let step = if std::env::var_os("PLIMSOLL_ALL_FAULTS").is_some() { 1 } else { 17 };
    for for_good in ["0", "1"] {
        for error in &ERRORS[1..4] {
            let [without, calls] = ["0", "1"].map(|control| all(("sampled", control), for_good, *error, step));
            assert!(calls > without, "control's own are among them: {calls}, {without}");
        }
    }
}
