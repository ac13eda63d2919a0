//! The few system calls that hooks and the writer need, with their errors swallowed or returned as values.
//!
//! Nothing here allocates, and whatever a hook calls keeps `errno` (see [`Errno`]).

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

/// Saves `errno` and puts it back when dropped, so that a program sees its own error after a free in between.
pub(crate) struct Errno(c_int);

impl Errno {
    pub(crate) fn save() -> Errno {
        // SAFETY: `__errno_location` returns the calling thread's own errno, valid while the thread lives.
        Errno(unsafe { *libc::__errno_location() })
    }
}

impl Drop for Errno {
    fn drop(&mut self) {
        // SAFETY: as in `save`; the guard never leaves its thread, since it lives on the stack of one hook.
        unsafe { *libc::__errno_location() = self.0 }
    }
}

/// Says why on standard error and ends the process. For debug modes only: nothing else of the agent's ends a program.
pub(crate) fn die(why: &str) -> ! {
    // SAFETY: the buffer is as long as it says; writing to a closed descriptor fails and does nothing.
    unsafe {
        libc::write(libc::STDERR_FILENO, why.as_ptr().cast(), why.len());
        libc::abort();
    }
}

/// The calling thread's id as the system knows it.
pub(crate) fn thread_id() -> u32 {
    // SAFETY: gettid takes no arguments and cannot fail.
    unsafe { libc::gettid() as u32 }
}

/// Name of the calling thread, padded with zeros.
pub(crate) fn thread_name() -> [u8; 16] {
    let mut name = [0u8; 16];
    // SAFETY: PR_GET_NAME writes at most 16 bytes to the buffer it is given.
    unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
    name
}

/// Sleeps while `word` holds `expected`, at most for `timeout`; wakes early for any reason.
pub(crate) fn futex_wait(word: &AtomicU32, expected: u32, timeout: Duration) {
    let timeout =
        libc::timespec { tv_sec: timeout.as_secs() as libc::time_t, tv_nsec: i64::from(timeout.subsec_nanos()) };
    // SAFETY: the word and the timeout outlive the call, which only reads them.
    unsafe {
        let op = libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG;
        libc::syscall(libc::SYS_futex, word.as_ptr(), op, expected, &raw const timeout);
    }
}

/// Wakes everybody who waits on `word`.
pub(crate) fn futex_wake(word: &AtomicU32) {
    // SAFETY: the kernel only uses the address of the word.
    unsafe {
        let op = libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG;
        libc::syscall(libc::SYS_futex, word.as_ptr(), op, i32::MAX);
    }
}

/// Sleeps without touching any lock of the standard library, and without being a point of cancellation, which would
/// unwind out of a hook.
pub(crate) fn sleep(duration: Duration) {
    let request =
        libc::timespec { tv_sec: duration.as_secs() as libc::time_t, tv_nsec: i64::from(duration.subsec_nanos()) };
    let no_remainder = std::ptr::null_mut::<libc::timespec>();
    // SAFETY: `request` outlives the call; the remaining time is not asked for.
    unsafe {
        libc::syscall(libc::SYS_clock_nanosleep, libc::CLOCK_MONOTONIC, 0, &raw const request, no_remainder);
    }
}

/// Makes every other thread of the process pass a full memory barrier before this returns, so that hooks need none.
///
/// Falls back to a pause that outlasts any store buffer where the kernel has no `membarrier`.
pub(crate) fn barrier_on_all_threads() {
    const REGISTER: c_int = 1 << 4;
    const EXPEDITED: c_int = 1 << 3;
    std::sync::atomic::fence(std::sync::atomic::Ordering::SeqCst);
    // SAFETY: membarrier takes a command and flags and touches no memory of ours.
    let done = unsafe {
        libc::syscall(libc::SYS_membarrier, REGISTER, 0, 0) == 0
            && libc::syscall(libc::SYS_membarrier, EXPEDITED, 0, 0) == 0
    };
    if !done {
        sleep(Duration::from_millis(10));
    }
}

/// Random bits from the system; falls back to the clock's low bits, which is enough for names and seeds.
pub(crate) fn random() -> u64 {
    let mut bytes = [0u8; 8];
    // SAFETY: the buffer is as long as stated.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), libc::GRND_NONBLOCK) };
    if got == bytes.len() as isize {
        u64::from_ne_bytes(bytes)
    } else {
        crate::clock::now().wrapping_mul(0x9E37_79B9_7F4A_7C15)
    }
}

/// Bounds of the calling thread's stack, lowest address and one past the highest; `None` when the system won't tell.
///
/// glibc answers from the thread's descriptor, and for the main thread from `/proc/self/maps`; both take only the
/// thread's own lock and libc's memory, never the global allocator.
pub(crate) fn stack_bounds() -> Option<(usize, usize)> {
    let mut attributes = std::mem::MaybeUninit::<libc::pthread_attr_t>::uninit();
    let mut base = std::ptr::null_mut();
    let mut size = 0usize;
    // SAFETY: pthread_getattr_np initialises the attributes on success, and only then they are read and destroyed.
    unsafe {
        if libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) != 0 {
            return None;
        }
        let found = libc::pthread_attr_getstack(attributes.as_ptr(), &raw mut base, &raw mut size) == 0;
        libc::pthread_attr_destroy(attributes.as_mut_ptr());
        found.then(|| (base as usize, base as usize + size))
    }
}

/// CPU time of a clock in nanoseconds, 0 when the clock cannot be read.
pub(crate) fn cpu_time(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel writes one timespec.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// How much of the pages from `start` on, `bytes` long, is resident; 0 when the system won't tell. Of pages that are not
/// mapped any more, nothing is.
pub(crate) fn resident_bytes(start: usize, bytes: usize) -> u64 {
    const PAGES: usize = 4096;
    // SAFETY: sysconf takes a number and gives one.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) }.max(4096) as usize;
    let mut present = [0u8; PAGES];
    let mut resident = 0;
    for from in (start..start.saturating_add(bytes)).step_by(PAGES * page) {
        let len = (start + bytes - from).min(PAGES * page);
        // SAFETY: mincore reads no memory of ours; it writes one byte a page, for which there is room.
        if unsafe { libc::mincore(from as *mut libc::c_void, len, present.as_mut_ptr()) } != 0 {
            continue;
        }
        resident += present.iter().take(len.div_ceil(page)).filter(|page| **page & 1 == 1).count() * page;
    }
    resident as u64
}

/// Gives a new file so many bytes for good, zeros: touching them in a mapping cannot fail for want of room any more.
pub(crate) fn reserve(file: &File, bytes: u64) -> std::io::Result<()> {
    // SAFETY: the descriptor is open as long as `file` lives; no memory is touched.
    match unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, bytes as libc::off_t) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}

/// Whether a directory is on a file system that lives in memory.
pub(crate) fn is_in_memory(path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = CString::new(path.as_os_str().as_bytes()) else { return false };
    let mut found = std::mem::MaybeUninit::<libc::statfs>::uninit();
    // SAFETY: the path is a C string; the structure is read only when the system says that it filled it.
    let kind = unsafe {
        if libc::statfs(path.as_ptr(), found.as_mut_ptr()) != 0 {
            return false;
        }
        found.assume_init().f_type
    };
    kind == libc::TMPFS_MAGIC || kind == RAMFS_MAGIC
}

const RAMFS_MAGIC: libc::__fsword_t = 0x8584_58f6;

/// The user that the process runs as.
pub(crate) fn user() -> u32 {
    // SAFETY: geteuid takes no arguments and cannot fail.
    unsafe { libc::geteuid() }
}

/// Ends the process at once, as if the system had: for tests of what is left then.
#[cfg(debug_assertions)]
pub(crate) fn kill_this_process() {
    // SAFETY: signalling oneself touches no memory.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}

/// Whether the process runs with more rights than its user has: then the environment is not to be trusted.
pub(crate) fn is_privileged() -> bool {
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Blocks all signals on the calling thread until dropped, so that threads started meanwhile never take one that
/// belongs to the program.
pub(crate) struct SignalsBlocked(libc::sigset_t);

impl SignalsBlocked {
    pub(crate) fn new() -> SignalsBlocked {
        let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        let mut old = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        // SAFETY: sigfillset and sigemptyset initialise the sets; pthread_sigmask reads one and writes the other.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::sigemptyset(old.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), old.as_mut_ptr());
            SignalsBlocked(old.assume_init())
        }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        // SAFETY: the set was initialised by `new`.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut()) };
    }
}

/// Calls `function` when the process exits in an orderly way.
pub(crate) fn at_exit(function: extern "C" fn()) {
    // SAFETY: a function of the process's own image stays for its life (as long as the agent is not in a library that
    // is unloaded, which Rust does not support for global allocators).
    unsafe { libc::atexit(function) };
}

/// Calls `function` in every child that is forked from now on.
pub(crate) fn in_forked_children(function: unsafe extern "C" fn()) {
    // SAFETY: as in `at_exit`.
    unsafe { libc::pthread_atfork(None, None, Some(function)) };
}

/// The wall clock's time in UTC, in calendar fields.
pub(crate) fn utc_now() -> libc::tm {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let seconds = now as libc::time_t;
    let mut time = std::mem::MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: gmtime_r fills the whole structure and keeps no pointer; zeros are a valid one should it fail.
    unsafe {
        libc::gmtime_r(&raw const seconds, time.as_mut_ptr());
        time.assume_init()
    }
}

/// Writes to standard error if that takes anything now. Past the standard library, whose lock a thread that is stuck
/// in a full pipe may hold.
pub(crate) fn write_to_stderr(text: &[u8]) {
    let mut ready = libc::pollfd { fd: libc::STDERR_FILENO, events: libc::POLLOUT, revents: 0 };
    // SAFETY: both calls only use what they are given for as long as they run.
    unsafe {
        if libc::poll(&raw mut ready, 1, 0) == 1 && ready.revents & libc::POLLOUT != 0 {
            libc::write(libc::STDERR_FILENO, text.as_ptr().cast(), text.len());
        }
    }
}

/// What a descriptor is waited for, and whether it came.
pub(crate) use libc::pollfd;

/// Waits until something can be read from one of `waited` (or accepted, or it has ended), for `timeout` at most.
pub(crate) fn poll(waited: &mut [pollfd], timeout: Duration) {
    let timeout = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
    // SAFETY: the entries are as many as stated. An error leaves what they said before, which is nothing.
    unsafe { libc::poll(waited.as_mut_ptr(), waited.len() as libc::nfds_t, timeout) };
}

/// Takes the next connection, which does not block and is not inherited by other programs.
///
/// # Errors
/// There is none, or the system refuses.
pub(crate) fn accept(listener: &File) -> io::Result<File> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    // SAFETY: the peer's address is not asked for; a new descriptor is nobody's yet.
    unsafe {
        match libc::accept4(listener.as_raw_fd(), std::ptr::null_mut(), std::ptr::null_mut(), flags) {
            -1 => Err(io::Error::last_os_error()),
            new => Ok(File::from_raw_fd(new)),
        }
    }
}

/// Whether somebody listens on the Unix socket at `path`. Never waits, as a connection to one whose queue is full would.
///
/// # Errors
/// Nobody does, for this reason.
pub(crate) fn is_listened_to(path: &Path) -> io::Result<()> {
    use std::os::unix::ffi::OsStrExt;
    let mut address = libc::sockaddr_un { sun_family: libc::AF_UNIX as libc::sa_family_t, sun_path: [0; 108] };
    let bytes = path.as_os_str().as_bytes();
    // The last one stays zero.
    if bytes.len() >= address.sun_path.len() {
        return Err(io::ErrorKind::InvalidFilename.into());
    }
    for (to, from) in address.sun_path.iter_mut().zip(bytes) {
        *to = *from as libc::c_char;
    }
    // SAFETY: the new descriptor is nobody's and closed with its file; the address is read for the length stated.
    unsafe {
        let flags = libc::SOCK_STREAM | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        let socket = libc::socket(libc::AF_UNIX, flags, 0);
        if socket == -1 {
            return Err(io::Error::last_os_error());
        }
        let socket = File::from_raw_fd(socket);
        let length = size_of::<libc::sockaddr_un>() as libc::socklen_t;
        match libc::connect(socket.as_raw_fd(), (&raw const address).cast(), length) {
            0 => Ok(()),
            _ => match io::Error::last_os_error() {
                full if full.kind() == io::ErrorKind::WouldBlock => Ok(()),
                error => Err(error),
            },
        }
    }
}

/// The user at the other end of a Unix socket, as of when it was connected.
pub(crate) fn peer_user(socket: &File) -> Option<u32> {
    let mut peer = libc::ucred { pid: 0, uid: u32::MAX, gid: u32::MAX };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the option's value is written to `peer`, at most `length` bytes.
    let failed = unsafe {
        let value = (&raw mut peer).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, value, &raw mut length)
    };
    (failed == 0).then_some(peer.uid)
}

/// Ends the connection, whoever else has a copy of the descriptor. What was sent still arrives.
pub(crate) fn shut_down(socket: &File) {
    // SAFETY: shutdown takes a descriptor and touches no memory.
    unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_RDWR) };
}

/// Ends whatever waits on a socket, in this thread or another, if `number` is still the socket of that device and number.
pub(crate) fn shut_down_if_still(number: c_int, identity: (u64, u64)) {
    if is_still(number, identity) {
        // SAFETY: shutdown takes a descriptor and touches no memory.
        unsafe { libc::shutdown(number, libc::SHUT_RDWR) };
    }
}

/// Closes descriptor `number` if the file on it is still the one of that device and number. For forked children: nothing
/// but system calls.
pub(crate) fn close_if_still(number: c_int, identity: (u64, u64)) {
    if is_still(number, identity) {
        // SAFETY: the descriptor is the agent's.
        unsafe { libc::close(number) };
    }
}

fn is_still(number: c_int, identity: (u64, u64)) -> bool {
    let mut found = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the structure is read only when the system says that it filled it.
    unsafe {
        libc::fstat(number, found.as_mut_ptr()) == 0 && {
            let found = found.assume_init();
            (found.st_dev, found.st_ino) == identity
        }
    }
}

/// Whether a process of this number exists, as far as this one can see.
pub(crate) fn process_exists(pid: u32) -> bool {
    let Ok(pid) = libc::pid_t::try_from(pid) else { return false };
    // SAFETY: signal 0 is none; nothing is sent.
    unsafe { libc::kill(pid, 0) == 0 || io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH) }
}
