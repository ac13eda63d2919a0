//! Time on the wall, CPU time, and the largest resident set.

use std::fs;
use std::time::Instant;

use nix::time::{ClockId, clock_gettime};

fn nanoseconds(clock: ClockId) -> u64 {
    // Linux has these clocks since 2.6; one that is missing would show as no time at all.
    clock_gettime(clock).map_or(0, |time| time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64)
}

/// CPU time of the calling thread, in nanoseconds.
pub fn thread_cpu_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// CPU time of all threads of this process, in nanoseconds.
pub fn process_cpu_ns() -> u64 {
    nanoseconds(ClockId::CLOCK_PROCESS_CPUTIME_ID)
}

/// The largest resident set of this process so far, in bytes; 0 where `/proc` does not tell.
pub fn peak_rss_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()).and_then(|number| number.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// What passed between two moments.
#[derive(Debug, Clone, Copy)]
pub struct Elapsed {
    /// On the wall.
    pub wall_ns: u64,
    /// CPU time of all threads, those of a profiler included.
    pub cpu_ns: u64,
    /// CPU time of the calling thread.
    pub thread_cpu_ns: u64,
}

/// A running measurement.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch {
    wall: Instant,
    cpu_ns: u64,
    thread_cpu_ns: u64,
}

impl Stopwatch {
    /// Starts now.
    pub fn start() -> Stopwatch {
        let cpu_ns = process_cpu_ns();
        Stopwatch { wall: Instant::now(), cpu_ns, thread_cpu_ns: thread_cpu_ns() }
    }

    /// What has passed since the start.
    pub fn elapsed(&self) -> Elapsed {
        let thread_cpu_ns = thread_cpu_ns() - self.thread_cpu_ns;
        let wall_ns = self.wall.elapsed().as_nanos() as u64;
        Elapsed { wall_ns, cpu_ns: process_cpu_ns() - self.cpu_ns, thread_cpu_ns }
    }
}
