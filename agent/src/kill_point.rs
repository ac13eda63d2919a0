//! Numbered steps at which tests kill the process. Builds without debug assertions have none.

#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicI64, Ordering};

/// Steps until the kill; negative for none.
#[cfg(debug_assertions)]
static LEFT: AtomicI64 = AtomicI64::new(-1);
#[cfg(debug_assertions)]
static STEP: std::sync::OnceLock<String> = std::sync::OnceLock::new();

/// Reads `PLIMSOLL_KILL_AT=STEP:N`: the process kills itself the N-th time that it comes to the step. When a session
/// starts, from which on hooks find everything in place.
#[cfg(debug_assertions)]
pub(crate) fn set_up() {
    let Some((step, number)) = std::env::var("PLIMSOLL_KILL_AT").ok().and_then(|value| {
        let (step, number) = value.rsplit_once(':')?;
        Some((step.to_owned(), number.parse().ok()?))
    }) else {
        return;
    };
    if STEP.set(step).is_ok() {
        LEFT.store(number, Ordering::Release);
    }
}

/// The process comes to a step.
#[cfg(debug_assertions)]
pub(crate) fn reached(step: &str) {
    if LEFT.load(Ordering::Acquire) > 0
        && STEP.get().is_some_and(|wanted| wanted == step)
        && LEFT.fetch_sub(1, Ordering::AcqRel) == 1
    {
        crate::sys::kill_this_process();
    }
}

/// A step at which tests kill the process.
macro_rules! kill_point {
    ($step:literal) => {
        #[cfg(debug_assertions)]
        crate::kill_point::reached($step);
    };
}
