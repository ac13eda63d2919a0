//! Divides the memory that allocators work in into live blocks, what is added to them, free memory, and blocks that
//! somebody else asked for.
//!
//! Allocators speak of address space, the kernel of resident pages. Of `bytes` that lie somewhere in `size` bytes of
//! address space of which `rss` are resident, at least `rss + bytes − size` are resident and at most the smaller of
//! `rss` and `bytes` ([`resident_of`]). As the best value blocks are taken to be touched: they mostly are.

use plimsoll_format::{AllocatorReading, MappingKind, Mappings};

use crate::model::Measure;

use super::{live_bytes, of_kind};

/// glibc puts 8 bytes before a block, rounds up to 16 and makes no chunk below 32: 8 to 23 bytes for blocks of 16 and
/// more, up to 32 for smaller ones; the middle is 16.
const CHUNK_MIN: u64 = 8;
const CHUNK_MEAN: u64 = 16;
const CHUNK_MAX: u64 = 32;
/// A block that has its own mapping is rounded up to pages of 4 KiB. It has 128 KiB at least: a 32nd.
const PAGES_OF_LARGE: u64 = 32;
/// Freed blocks that glibc keeps for each thread count as handed out: 7 of each size up to 1,032 bytes, 64 sizes with a mean of
/// 536 bytes, make 240 KiB.
const CACHE_OF_THREAD: u64 = 240 << 10;
/// Size classes of other allocators lie at least four to a doubling: rounding adds a quarter at most, and up to 16
/// bytes to each small block.
const CLASSES: u64 = 4;
/// Freed blocks that other allocators keep for each thread and count as handed out, generously.
const OTHER_CACHE_OF_THREAD: u64 = 8 << 20;

/// What is known before any allocator is asked.
pub(super) struct Given<'a> {
    mappings: &'a Mappings,
    /// Bytes of the program's live blocks, as it asked for them.
    pub(super) live: Measure,
    /// The same of the agent's.
    agent: u64,
    /// Live blocks of both.
    blocks: u64,
    /// What lies in mappings that look like glibc's arenas and is more than glibc has.
    not_arenas: u64,
}

impl Given<'_> {
    /// Heaps of arenas are told by their addresses, which mappings of others may have too: glibc, if it is among the
    /// allocators, knows how much it has.
    pub(super) fn new<'a>(mappings: &'a Mappings, allocators: &[AllocatorReading]) -> Given<'a> {
        let positive = |number: i64| u64::try_from(number).unwrap_or(0);
        let blocks = positive(mappings.program_upper.live_allocations())
            .saturating_add(positive(mappings.agent.live_allocations()));
        let arenas_of = |own: &AllocatorReading| {
            Some(own.mapped_bytes?.saturating_sub(own.large_bytes?)).filter(|_| own.resident_bytes.is_none())
        };
        let known = allocators.iter().find_map(arenas_of).unwrap_or(u64::MAX);
        let found = rss(mappings, MappingKind::Heap).saturating_add(rss(mappings, MappingKind::Arena));
        Given {
            mappings,
            live: live_bytes(mappings),
            agent: positive(mappings.agent.live_bytes()),
            blocks,
            not_arenas: found.saturating_sub(known),
        }
    }

    /// Resident bytes of a kind of mapping.
    pub(super) fn rss(&self, kind: MappingKind) -> u64 {
        rss(self.mappings, kind)
    }

    /// Anonymous memory that an allocator may have mapped for itself: resident and address space.
    fn anonymous(&self) -> (u64, u64) {
        let of = |kind| of_kind(&self.mappings.parts, kind).map_or((0, 0), |part| (part.rss_bytes, part.size_bytes));
        let (one, other) = (of(MappingKind::Anonymous), of(MappingKind::Named));
        let sum = |one: u64, other: u64| one.saturating_add(other).saturating_add(self.not_arenas);
        (sum(one.0, other.0), sum(one.1, other.1))
    }

    /// What glibc's arenas hold, resident.
    fn arenas(&self) -> u64 {
        self.rss(MappingKind::Heap).saturating_add(self.rss(MappingKind::Arena)).saturating_sub(self.not_arenas)
    }
}

fn rss(mappings: &Mappings, kind: MappingKind) -> u64 {
    of_kind(&mappings.parts, kind).map_or(0, |part| part.rss_bytes)
}

/// Resident bytes by what they are for.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) live: Measure,
    pub(super) c_heap: Measure,
    pub(super) overhead: Measure,
    pub(super) retained: Measure,
    pub(super) anonymous: Measure,
    /// The agent's blocks.
    pub(super) agent: u64,
}

impl Account {
    const NOTHING: Account = Account {
        live: Measure::exact(0),
        c_heap: Measure::exact(0),
        overhead: Measure::exact(0),
        retained: Measure::exact(0),
        anonymous: Measure::exact(0),
        agent: 0,
    };
}

fn resident_of(bytes: u64, rss: u64, size: u64) -> Measure {
    let value = bytes.min(rss);
    Measure { value, low: rss.saturating_sub(size.saturating_sub(bytes)).min(value), high: Some(value) }
}

/// A number less another one that lies in an interval.
fn minus(whole: u64, part: Measure) -> Measure {
    Measure {
        value: whole.saturating_sub(part.value),
        low: part.high.map_or(0, |high| whole.saturating_sub(high)),
        high: Some(whole.saturating_sub(part.low)),
    }
}

/// Orders the bounds around a value.
fn around(value: u64, low: u64, high: u64) -> Measure {
    Measure { value, low: low.min(value), high: Some(high.max(value)) }
}

/// What glibc's arenas and large blocks hold, by its statistics.
struct Arenas {
    retained: Measure,
    /// Blocks that were handed out, resident.
    in_use: Measure,
    /// Of the anonymous mappings, what is no large block.
    rest: Measure,
}

fn arenas(given: &Given<'_>, glibc: &AllocatorReading, anonymous: (u64, u64)) -> Arenas {
    let large = glibc.large_bytes.unwrap_or(0);
    let in_arenas = glibc.allocated_bytes.unwrap_or(0).saturating_sub(large);
    let rss = given.arenas();
    let (anonymous_rss, anonymous_size) = anonymous;
    let free = glibc.free_bytes.unwrap_or(u64::MAX).min(rss);
    let kept = rss.saturating_sub(in_arenas).min(free);
    let retained = around(kept, kept, free);
    let large = resident_of(large, anonymous_rss, anonymous_size);
    let blocks = minus(rss, retained);
    let sum = |one: u64, other: u64| one.saturating_add(other);
    let in_use = Measure {
        value: sum(blocks.value, large.value),
        low: sum(blocks.low, large.low),
        high: blocks.high.zip(large.high).map(|(one, other)| sum(one, other)),
    };
    Arenas { retained, in_use, rest: minus(anonymous_rss, large) }
}

/// Divides resident blocks: `foreign` says how many of the allocated bytes nobody counted.
fn divide(given: &Given<'_>, in_use: Measure, allocated: u64, foreign: Measure) -> Account {
    let high = in_use.high.unwrap_or(in_use.value);
    let untouched = |bytes: u64| bytes.saturating_add(in_use.low).saturating_sub(allocated);
    let c_heap = foreign.value.min(in_use.value);
    let agent = given.agent.min(in_use.value - c_heap);
    let live = given.live.value.min(in_use.value - c_heap - agent);
    let overhead = in_use.value - c_heap - agent - live;
    Account {
        live: around(live, untouched(given.live.low), given.live.high.unwrap_or(u64::MAX).min(high)),
        c_heap: around(c_heap, untouched(foreign.low), foreign.high.unwrap_or(u64::MAX).min(high)),
        overhead: around(overhead, 0, given.blocks.saturating_mul(CHUNK_MAX).max(overhead).min(high)),
        agent,
        ..Account::NOTHING
    }
}

/// The program's allocator is glibc's.
pub(super) fn by_arenas(given: &Given<'_>, glibc: &AllocatorReading) -> Account {
    let arenas = arenas(given, glibc, given.anonymous());
    let allocated = glibc.allocated_bytes.unwrap_or(0);
    let large = glibc.large_bytes.unwrap_or(0) / PAGES_OF_LARGE;
    let cached = u64::from(given.mappings.threads.max(1)).saturating_mul(CACHE_OF_THREAD);
    let added = |each: u64| given.blocks.saturating_mul(each);
    let rest = allocated.saturating_sub(given.agent);
    let foreign = around(
        rest.saturating_sub(given.live.value).saturating_sub(added(CHUNK_MEAN)),
        rest.saturating_sub(given.live.high.unwrap_or(u64::MAX))
            .saturating_sub(added(CHUNK_MAX))
            .saturating_sub(large)
            .saturating_sub(cached),
        rest.saturating_sub(given.live.low).saturating_sub(added(CHUNK_MIN)),
    );
    let account = divide(given, arenas.in_use, allocated, foreign);
    Account { retained: arenas.retained, anonymous: arenas.rest, ..account }
}

/// The program's allocator says how much of its memory is resident; the C library's is another one.
pub(super) fn by_resident(given: &Given<'_>, own: &AllocatorReading, others: Option<&AllocatorReading>) -> Account {
    let (rss, size) = given.anonymous();
    let resident = own.resident_bytes.or(own.mapped_bytes).unwrap_or(0);
    let held = match own.mapped_bytes {
        Some(mapped) => resident_of(resident.min(mapped), rss, size),
        None => around(resident.min(rss), 0, resident.min(rss)),
    };
    let counted = given.live.value.saturating_add(given.agent);
    let metadata = own.metadata_bytes.unwrap_or(0);
    let cached = u64::from(given.mappings.threads.max(1)).saturating_mul(OTHER_CACHE_OF_THREAD);
    let rounding = (counted / CLASSES).saturating_add(given.blocks.saturating_mul(CHUNK_MEAN)).saturating_add(cached);
    // Where the allocator counts its blocks, what it added to them is known, and what is more than rounding is foreign.
    let (added, foreign) = match own.allocated_bytes {
        Some(allocated) => {
            let more = allocated.saturating_sub(counted);
            (more.min(rounding), more.saturating_sub(rounding))
        }
        None => (0, 0),
    };
    let in_use = held.value.min(counted.saturating_add(added).saturating_add(foreign).saturating_add(metadata));
    let allocated = counted.saturating_add(added).saturating_add(foreign).saturating_add(metadata);
    let foreign = around(foreign, foreign.saturating_sub(rounding), foreign.saturating_add(added));
    let account = divide(given, around(in_use, held.low.min(in_use), in_use), allocated, foreign);
    let kept = held.value - in_use;
    let retained = around(kept, held.low.saturating_sub(allocated), held.high.unwrap_or(kept));
    let mut account = Account { retained, ..account };
    // Bookkeeping lies apart from the blocks, and is no more than it says.
    account.overhead.high = account.overhead.high.map(|high| high.max(added.saturating_add(metadata)).min(held.value));
    account.anonymous = minus(rss, held);
    add_others(given, account, others, size)
}

/// The program's allocator says nothing: what it holds beyond live blocks is not told from other anonymous memory.
pub(super) fn without(given: &Given<'_>, others: Option<&AllocatorReading>) -> Account {
    let (rss, size) = given.anonymous();
    let (live, agent) = (given.live.value.min(rss), given.agent);
    let agent = agent.min(rss - live);
    let bounds = resident_of(given.live.low, rss, size);
    let account = Account {
        live: around(live, bounds.low, given.live.high.unwrap_or(rss).min(rss)),
        agent,
        anonymous: minus(rss, around(live.saturating_add(agent), bounds.low, live.saturating_add(agent))),
        ..Account::NOTHING
    };
    add_others(given, account, others, size)
}

/// Adds what C code holds on the C library's allocator. Without its statistics, the arenas are C code's as a whole.
fn add_others(given: &Given<'_>, account: Account, others: Option<&AllocatorReading>, size: u64) -> Account {
    let sum = |one: Measure, other: Measure| Measure {
        value: one.value.saturating_add(other.value),
        low: one.low.saturating_add(other.low),
        high: one.high.zip(other.high).map(|(one, other)| one.saturating_add(other)),
    };
    let Some(others) = others else {
        return Account { c_heap: sum(account.c_heap, Measure::exact(given.arenas())), ..account };
    };
    let left = account.anonymous;
    let arenas = arenas(given, others, (left.value, size));
    Account {
        c_heap: sum(account.c_heap, arenas.in_use),
        retained: sum(account.retained, arenas.retained),
        anonymous: around(arenas.rest.value, arenas.rest.low.min(left.low), left.high.unwrap_or(left.value)),
        ..account
    }
}
