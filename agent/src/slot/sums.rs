//! What all slots counted together. Reads; never writes.

use std::sync::atomic::Ordering;

use plimsoll_format::{SizeClass, Totals};

use super::{CLASSES, MOST_USED, PEAK, PEAK_NS, PUBLISH_STEP, all};

/// The largest live total so far: from `low_bytes` to `high_bytes`, seen at `monotonic_ns`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peak {
    pub(crate) low_bytes: u64,
    pub(crate) high_bytes: u64,
    pub(crate) monotonic_ns: u64,
}

/// The process's peak since it started, as an interval that holds the truth: every thread publishes its live total at
/// least every [`PUBLISH_STEP`] allocated and freed, so the true live total is never further than that times the
/// threads from the published one.
pub(crate) fn peak() -> Peak {
    let published = PEAK.load(Ordering::Relaxed).max(0) as u64;
    let slack = u64::from(MOST_USED.load(Ordering::Relaxed)) * PUBLISH_STEP;
    Peak {
        low_bytes: published.saturating_sub(slack),
        high_bytes: published.saturating_add(slack),
        monotonic_ns: PEAK_NS.load(Ordering::Relaxed),
    }
}

/// Sums over all slots, the program's and the agent's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) program: Totals,
    pub(crate) agent: Totals,
}

fn add_totals(sum: &mut Totals, other: Totals) {
    sum.allocations = sum.allocations.wrapping_add(other.allocations);
    sum.bytes = sum.bytes.wrapping_add(other.bytes);
    sum.frees = sum.frees.wrapping_add(other.frees);
    sum.freed_bytes = sum.freed_bytes.wrapping_add(other.freed_bytes);
    sum.reallocations = sum.reallocations.wrapping_add(other.reallocations);
}

/// Reads all counters once. While other threads run this is no snapshot; see [`collect_twice`].
pub(crate) fn sums() -> Sums {
    let mut sums = Sums::default();
    for slot in all() {
        let sum = if slot.is_agents() { &mut sums.agent } else { &mut sums.program };
        add_totals(sum, slot.totals());
    }
    sums
}

/// Reads all counters twice. As each only grows, two equal readings are a true snapshot; otherwise each true total at
/// the moment between them lies between the two. Tries a few times for an equal pair.
pub(crate) fn collect_twice() -> (Sums, Sums) {
    let mut first = sums();
    for _ in 0..4 {
        let second = sums();
        if first.program == second.program {
            return (first, second);
        }
        first = second;
    }
    (first, sums())
}

/// Counts per size class over the program's slots.
pub(crate) fn classes() -> [SizeClass; CLASSES] {
    let mut classes = [SizeClass::default(); CLASSES];
    for slot in all().filter(|slot| !slot.is_agents()) {
        slot.add_classes(&mut classes);
    }
    classes
}
