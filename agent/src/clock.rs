//! Time stamps for events: the CPU's counter where it can be trusted, else the monotonic clock.
//!
//! A hook only ever reads one number; the writer pairs it with the other clocks in anchors, so that the viewer does
//! the arithmetic.

use std::sync::atomic::{AtomicBool, Ordering};

use plimsoll_format::{Anchor, Clock};

/// Set once by [`choose`], before the first session records.
static USE_COUNTER: AtomicBool = AtomicBool::new(false);

/// Decides which clock this process uses. The CPU's counter is taken when the kernel itself trusts it as its clock.
pub(crate) fn choose() -> Clock {
    let source = std::fs::read_to_string("/sys/devices/system/clocksource/clocksource0/current_clocksource");
    let trusted = cfg!(any(target_arch = "x86_64", target_arch = "aarch64"))
        && source.is_ok_and(|name| matches!(name.trim(), "tsc" | "arch_sys_counter"));
    USE_COUNTER.store(trusted, Ordering::Relaxed);
    if trusted { Clock::Tsc } else { Clock::Monotonic }
}

/// The current tick of the capture's clock, after everything that this thread has seen of others.
#[inline]
pub(crate) fn now() -> u64 {
    // The fence keeps the CPU from reading the counter before it has read what it waits for: without it, a free is
    // stamped before the hand-over of its block is seen (210 in 10⁶ hand-overs, none with it).
    #[cfg(target_arch = "x86_64")]
    // SAFETY: every x86_64 CPU has `lfence`.
    unsafe {
        core::arch::x86_64::_mm_lfence();
    }
    now_unfenced()
}

/// The current tick, for an event that needs no place among those of other threads. Fences take up to half of a time
/// stamp.
#[inline(always)]
pub(crate) fn now_unfenced() -> u64 {
    if USE_COUNTER.load(Ordering::Relaxed) { counter() } else { monotonic_ns() }
}

/// The time-stamp counter in steps of eight, 3 ns at 2.6 GHz: most differences between two events then fit a byte.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn counter() -> u64 {
    // SAFETY: every x86_64 CPU has `rdtsc`, and Linux lets user code execute it.
    unsafe { core::arch::x86_64::_rdtsc() >> 3 }
}

#[cfg(target_arch = "aarch64")]
#[inline]
fn counter() -> u64 {
    let ticks: u64;
    // SAFETY: Linux lets user code read the virtual counter.
    unsafe { core::arch::asm!("mrs {}, cntvct_el0", out(reg) ticks, options(nomem, nostack)) };
    ticks
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn counter() -> u64 {
    monotonic_ns()
}

/// Nanoseconds of the monotonic clock.
pub(crate) fn monotonic_ns() -> u64 {
    crate::sys::cpu_time(libc::CLOCK_MONOTONIC)
}

/// This moment in all three clocks. The capture's clock is read on both sides of the others and the middle is taken.
pub(crate) fn anchor() -> Anchor {
    let before = now();
    let monotonic_ns = monotonic_ns();
    let wall = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let after = now();
    let wall_ns = wall.map_or(0, |wall| wall.as_nanos() as i64);
    Anchor { ticks: before + after.saturating_sub(before) / 2, monotonic_ns, wall_ns }
}

/// The tick of a moment between `start` and now; `start`'s for what came before it.
pub(crate) fn ticks_since(start: &Anchor, monotonic_ns: u64) -> u64 {
    let now = anchor();
    let (ticks, ns) = (now.ticks.saturating_sub(start.ticks), now.monotonic_ns.saturating_sub(start.monotonic_ns));
    let since = monotonic_ns.saturating_sub(start.monotonic_ns).min(ns);
    start.ticks + (u128::from(ticks) * u128::from(since) / u128::from(ns.max(1))) as u64
}
