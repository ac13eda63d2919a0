//! The books of one scope: totals, live blocks, sites.

use std::collections::HashMap;

/// Sites that are told apart; what comes from others is put together.
const MAX_SITES: usize = 10_000;

/// What was counted in a [`Scope`](crate::Scope), exactly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScopeStats {
    /// Allocations that succeeded; a successful reallocation counts as one.
    pub allocations: u64,
    /// Bytes asked for by these.
    pub bytes: u64,
    /// Blocks of the scope that were freed in the scope; a successful reallocation counts as one. Frees of blocks that were
    /// allocated elsewhere do not count.
    pub frees: u64,
    /// Bytes freed by these.
    pub freed_bytes: u64,
    /// Reallocations that succeeded, whether their old block was of the scope or not.
    pub reallocations: u64,
    /// Bytes allocated in the scope and not freed in it.
    pub live_bytes: u64,
    /// Blocks allocated in the scope and not freed in it.
    pub live_allocations: u64,
    /// The largest `live_bytes` so far.
    pub peak_live_bytes: u64,
}

/// What came from one call stack.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct SiteCount {
    pub(super) allocations: u64,
    pub(super) bytes: u64,
    pub(super) live_allocations: u64,
    pub(super) live_bytes: u64,
}

/// A live block.
#[derive(Debug, Clone, Copy)]
struct Block {
    size: u64,
    site: usize,
}

/// See the module's description. Only touched with allocations counted as the agent's.
#[derive(Debug)]
pub(super) struct Books {
    stats: ScopeStats,
    live: HashMap<usize, Block>,
    /// By their return addresses, innermost first.
    by_stack: HashMap<Box<[u64]>, usize>,
    counts: Vec<SiteCount>,
    /// Blocks whose reallocation has begun, by thread.
    moving: HashMap<u32, (usize, Block)>,
    unseen_before: u64,
}

impl Books {
    pub(super) fn new(unseen_before: u64) -> Books {
        Books {
            stats: ScopeStats::default(),
            live: HashMap::new(),
            by_stack: HashMap::new(),
            counts: Vec::new(),
            moving: HashMap::new(),
            unseen_before,
        }
    }

    pub(super) fn stats(&self) -> ScopeStats {
        self.stats
    }

    /// Events that could not be counted in any scope when this one was made.
    pub(super) fn unseen_before(&self) -> u64 {
        self.unseen_before
    }

    /// Stacks with what came from them; an empty stack is unknown.
    pub(super) fn sites(&self) -> impl Iterator<Item = (&[u64], SiteCount)> {
        self.by_stack.iter().filter_map(|(stack, site)| Some((&**stack, *self.counts.get(*site)?)))
    }

    pub(super) fn allocated(&mut self, address: usize, size: usize, stack: &[u64]) {
        let size = size as u64;
        // The free of a block of the scope outside of it is not seen, and its address may come again.
        self.forget(address);
        let site = self.site(stack);
        if let Some(count) = self.counts.get_mut(site) {
            count.allocations += 1;
            count.bytes += size;
        }
        self.come_live(address, Block { size, site });
        self.stats.allocations += 1;
        self.stats.bytes += size;
        self.stats.peak_live_bytes = self.stats.peak_live_bytes.max(self.stats.live_bytes);
    }

    pub(super) fn freed(&mut self, address: usize) {
        if let Some(block) = self.forget(address) {
            self.stats.frees += 1;
            self.stats.freed_bytes += block.size;
        }
    }

    /// A thread begins to reallocate a block.
    pub(super) fn realloc_begins(&mut self, thread: u32, address: usize) {
        let block = self.live.get(&address).copied();
        self.freed(address);
        match block {
            Some(block) => self.moving.insert(thread, (address, block)),
            None => self.moving.remove(&thread),
        };
    }

    /// It has another address now, or the same with another size.
    pub(super) fn reallocated(&mut self, thread: u32, address: usize, size: usize, stack: &[u64]) {
        self.moving.remove(&thread);
        self.allocated(address, size, stack);
        self.stats.reallocations += 1;
    }

    /// It lives on.
    pub(super) fn realloc_failed(&mut self, thread: u32) {
        if let Some((address, block)) = self.moving.remove(&thread) {
            self.stats.frees -= 1;
            self.stats.freed_bytes -= block.size;
            self.come_live(address, block);
        }
    }

    fn come_live(&mut self, address: usize, block: Block) {
        if let Some(count) = self.counts.get_mut(block.site) {
            count.live_allocations += 1;
            count.live_bytes += block.size;
        }
        self.live.insert(address, block);
        self.stats.live_allocations += 1;
        self.stats.live_bytes += block.size;
    }

    /// Takes a block out of what is live.
    fn forget(&mut self, address: usize) -> Option<Block> {
        let block = self.live.remove(&address)?;
        if let Some(count) = self.counts.get_mut(block.site) {
            count.live_allocations -= 1;
            count.live_bytes -= block.size;
        }
        self.stats.live_allocations -= 1;
        self.stats.live_bytes -= block.size;
        Some(block)
    }

    fn site(&mut self, stack: &[u64]) -> usize {
        let stack = if self.counts.len() < MAX_SITES { stack } else { &[] };
        if let Some(site) = self.by_stack.get(stack) {
            return *site;
        }
        self.counts.push(SiteCount::default());
        self.by_stack.insert(stack.into(), self.counts.len() - 1);
        self.counts.len() - 1
    }
}
