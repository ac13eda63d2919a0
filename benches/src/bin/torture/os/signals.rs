//! Handlers, timers, and jumps out of handlers.

use std::ffi::c_int;

/// Runs `handler` on every SIGALRM; on a stack of its own of so many bytes where that is not 0. For the whole process, but
/// a stack of its own has the calling thread alone. One that `leaves` by a jump never returns, and so must not be kept
/// from coming again.
pub(crate) fn on_alarm(handler: extern "C" fn(c_int), own_stack_bytes: usize, leaves: bool) {
    // SAFETY: the handler is a function of this program. The stack is never freed.
    unsafe {
        if own_stack_bytes > 0 {
            let stack = libc::mmap(
                std::ptr::null_mut(),
                own_stack_bytes + 4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            );
            assert!(stack != libc::MAP_FAILED, "no memory for a stack");
            // Below it lies a page that nobody may touch.
            libc::mprotect(stack, 4096, libc::PROT_NONE);
            let stack = libc::stack_t { ss_sp: stack.byte_add(4096), ss_flags: 0, ss_size: own_stack_bytes };
            assert_eq!(libc::sigaltstack(&raw const stack, std::ptr::null_mut()), 0);
        }
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        let own_stack = if own_stack_bytes > 0 { libc::SA_ONSTACK } else { 0 };
        action.sa_flags = libc::SA_RESTART | own_stack | if leaves { libc::SA_NODEFER } else { 0 };
        assert_eq!(libc::sigaction(libc::SIGALRM, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// Sends SIGALRM to the thread that made it, so often a second, until it is dropped.
pub(crate) struct Alarms(libc::timer_t);

impl Alarms {
    pub(crate) fn start(per_second: u64) -> Alarms {
        let nanos = 1_000_000_000u64.checked_div(per_second).unwrap_or(0) as libc::c_long;
        let interval = libc::timespec { tv_sec: 0, tv_nsec: nanos };
        let times = libc::itimerspec { it_interval: interval, it_value: interval };
        let mut timer = std::mem::MaybeUninit::uninit();
        // SAFETY: the event and the times outlive the calls, which only read them; the timer is written by the first.
        unsafe {
            let mut event: libc::sigevent = std::mem::zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = libc::SIGALRM;
            event.sigev_notify_thread_id = libc::gettid();
            assert_eq!(libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr()), 0);
            let timer = timer.assume_init();
            assert_eq!(libc::timer_settime(timer, 0, &raw const times, std::ptr::null_mut()), 0);
            Alarms(timer)
        }
    }
}

impl Drop for Alarms {
    fn drop(&mut self) {
        // SAFETY: the timer is ours.
        unsafe { libc::timer_delete(self.0) };
    }
}

/// Lets the calling thread take SIGALRM, or not.
pub(crate) fn take_alarms(takes: bool) {
    let how = if takes { libc::SIG_UNBLOCK } else { libc::SIG_BLOCK };
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: the set is initialised by the first call.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGALRM);
        libc::pthread_sigmask(how, set.as_ptr(), std::ptr::null_mut());
    }
}

/// A line of hexadecimal bits of `/proc/self/status`, or that of a thread.
pub(crate) fn signal_set(status: &str, name: &str) -> u64 {
    let status = std::fs::read_to_string(status).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok()).unwrap_or(0)
}

/// Where to jump back to: the stack pointer of a [`guarded`] call.
#[repr(C)]
pub(crate) struct Place(usize);

impl Place {
    pub(crate) const fn new() -> Place {
        Place(0)
    }
}

#[cfg(target_arch = "x86_64")]
std::arch::global_asm!(
    ".globl torture_guarded",
    "torture_guarded:",
    "push rbp",
    "push rbx",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "mov [rdi], rsp",
    "call rsi",
    "xor eax, eax",
    "2:",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbx",
    "pop rbp",
    "ret",
    ".globl torture_jump",
    "torture_jump:",
    "mov rsp, [rdi]",
    "mov eax, 1",
    "jmp 2b",
);

#[cfg(target_arch = "x86_64")]
unsafe extern "C" {
    fn torture_guarded(place: *mut Place, work: extern "C" fn()) -> c_int;
    fn torture_jump(place: *mut Place) -> !;
}

/// Calls `work`, which may be left by [`jump`]; true when it was. What `sigsetjmp` is in C, as a call that returns once.
#[cfg(target_arch = "x86_64")]
pub(crate) fn guarded(place: *mut Place, work: extern "C" fn()) -> bool {
    // SAFETY: the place is the calling thread's own. Frames that are jumped over have nothing to drop.
    unsafe { torture_guarded(place, work) != 0 }
}

/// Jumps out of a handler, back to where [`guarded`] was called.
#[cfg(target_arch = "x86_64")]
pub(crate) fn jump(place: *mut Place) -> ! {
    // SAFETY: the thread is in a guarded call with this place.
    unsafe { torture_jump(place) }
}
