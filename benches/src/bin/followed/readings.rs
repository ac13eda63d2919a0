//! What the kernel says of this process: CPU time by kind of thread, memory of its own.

use std::fs;

use nix::time::{ClockId, clock_gettime};
use plimsoll_benches::workload::steady::LOAD_THREADS;

/// Threads of the agent are named like this.
const AGENT_THREADS: &str = "plimsoll-";

/// CPU time so far, in nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CpuNs {
    /// Of the agent's own threads.
    pub(crate) agent: u64,
    /// Of all others but the load's and the one that measures.
    pub(crate) service: u64,
}

/// CPU time of all threads that live.
pub(crate) fn cpu_ns() -> CpuNs {
    let mut cpu = CpuNs::default();
    for task in fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let name = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        let thread = task.file_name().to_str().and_then(|number| number.parse().ok()).unwrap_or(0);
        if name.starts_with(AGENT_THREADS) {
            cpu.agent += thread_cpu_ns(thread);
        } else if !name.starts_with(LOAD_THREADS) && i64::from(thread) != i64::from(std::process::id()) {
            cpu.service += thread_cpu_ns(thread);
        }
    }
    cpu
}

/// CPU time of any thread of this process. A thread that runs is up to date, which it is not in `/proc`.
fn thread_cpu_ns(thread: i32) -> u64 {
    // The kernel's number for the CPU clock of a thread: its complement, above the bits that say "a thread's" and
    // "as the scheduler counts".
    const OF_A_THREAD: i32 = 0b110;
    let clock = ClockId::from_raw((!thread << 3) | OF_A_THREAD);
    clock_gettime(clock).map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// Resident memory that is no file's: anonymous and shared, in bytes.
pub(crate) fn own_memory_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    ["RssAnon:", "RssShmem:"].iter().filter_map(|name| kilobytes(name)).sum::<u64>() * 1024
}
