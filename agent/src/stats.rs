//! The always-on counters, for the program itself.

use plimsoll_format::Totals;

use crate::slot;

/// What the process, or a thread, has allocated since it started.
///
/// What the numbers guarantee: each counter only grows and misses nothing. While other threads allocate, counters are
/// read one after the other, so a sum is no snapshot: it lies between the true sums at the beginning and the end of
/// the call. Once the other threads rest, it is exact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Allocations that succeeded; a successful reallocation counts as one.
    pub allocations: u64,
    /// Bytes asked for by these.
    pub bytes: u64,
    /// Frees; a successful reallocation counts as one.
    pub frees: u64,
    /// Bytes freed by these.
    pub freed_bytes: u64,
    /// Reallocations that succeeded.
    pub reallocations: u64,
    /// Bytes allocated and not freed. Of a thread: what it allocated less what it freed, 0 when that is negative.
    pub live_bytes: u64,
    /// Blocks allocated and not freed.
    pub live_allocations: u64,
    /// Allocations and frees by size: position `k` counts sizes from 2^k up to 2^(k+1) − 1 bytes, position 0 also
    /// size 0. All zero in [`thread_stats`].
    pub size_classes: [SizeClass; 64],
    /// The largest `live_bytes` so far lies between these two; they are at most 1 MiB per thread apart. Both 0 in
    /// [`thread_stats`].
    pub peak_live_bytes: (u64, u64),
    /// The agent's own use of the allocator, which is in none of the numbers above.
    pub agent_allocations: u64,
    /// Bytes that the agent holds on the allocator.
    pub agent_live_bytes: u64,
    /// Bytes asked for by the agent in total.
    pub agent_bytes: u64,
}

/// Allocations and frees of one size class.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SizeClass {
    /// Allocations.
    pub allocations: u64,
    /// Frees.
    pub frees: u64,
}

fn from_totals(totals: Totals, agent: Totals) -> Stats {
    Stats {
        allocations: totals.allocations,
        bytes: totals.bytes,
        frees: totals.frees,
        freed_bytes: totals.freed_bytes,
        reallocations: totals.reallocations,
        live_bytes: totals.live_bytes().max(0) as u64,
        live_allocations: totals.live_allocations().max(0) as u64,
        size_classes: [SizeClass::default(); 64],
        peak_live_bytes: (0, 0),
        agent_allocations: agent.allocations,
        agent_live_bytes: agent.live_bytes().max(0) as u64,
        agent_bytes: agent.bytes,
    }
}

/// What the process has allocated since it started. Reads some hundred counters a thread; allocates nothing.
///
/// All zero unless [`Allocator`](crate::Allocator) is the global allocator.
pub fn stats() -> Stats {
    let (sums, _) = slot::collect_twice();
    let mut stats = from_totals(sums.program, sums.agent);
    for (class, counted) in stats.size_classes.iter_mut().zip(slot::classes()) {
        *class = SizeClass { allocations: counted.allocations, frees: counted.frees };
    }
    let peak = slot::peak();
    stats.peak_live_bytes = (peak.low_bytes.max(stats.live_bytes), peak.high_bytes.max(stats.live_bytes));
    stats
}

/// What the calling thread has allocated and freed since it started. Exact.
pub fn thread_stats() -> Stats {
    let totals = slot::current().map(slot::Slot::thread_totals).unwrap_or_default();
    from_totals(totals, Totals::default())
}
