//! Frees that are stamped before the allocation of their block, by a CPU whose clock is behind.
//!
//! When such a free is applied nothing lives at its address, as with blocks from before the session. It is remembered: a
//! second allocation in a row of that address tells that the first one's free came early.

use super::figure::Figure;
use super::ledger::Ledger;
use super::pending::Pending;
use super::sources::Known;

/// A free of an address where nothing was known to live: of a block from before the session, or one whose allocation
/// is stamped later by another CPU's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct EarlyFree {
    ticks: u64,
    thread: u32,
}

/// Early frees that are remembered; most are of blocks from before the session and never asked for.
const MAX_EARLY: usize = 1 << 16;
/// Clocks of two CPUs differ by less than this. At the end nothing else tells an early free from one of a block from
/// before the session whose address was given to another thread at once.
const MAX_SKEW_NS: u64 = 2_000;

impl<F: Figure> Ledger<'_, F> {
    /// A free of an address where nothing is known to live.
    pub(super) fn free_unknown(&mut self, item: &Pending, source: Known) {
        self.repairs.unknown_frees += 1;
        if self.early.len() >= MAX_EARLY {
            self.early.clear();
        }
        self.early.insert(item.address, EarlyFree { ticks: item.ticks, thread: source.source.thread });
    }

    /// How many ticks before the allocation of the block at `address` another thread freed that address; `None` when
    /// none did.
    pub(super) fn early_gap(&self, address: u64) -> Option<u64> {
        let (early, block) = (self.early.get(&address)?, self.live.get(address)?);
        let thread = self.sites.thread(block.site)?;
        (early.thread != thread).then(|| block.ticks.saturating_sub(early.ticks))
    }

    /// The block at `address` was freed by a free that came before its allocation.
    pub(super) fn free_early(&mut self, address: u64) {
        let Some(block) = self.live.remove(address) else { return };
        self.drop_live(&block);
        self.early.remove(&address);
        self.repairs.unknown_frees = self.repairs.unknown_frees.saturating_sub(1);
        self.repairs.early_frees += 1;
        self.retire(&block, block.ticks, false);
    }

    /// Blocks that live at the end though another thread freed their address just before they came.
    pub(super) fn settle_early_frees(&mut self) {
        let clock = &self.profile.clock;
        let is_near = |address: &u64| {
            let gap = self.early_gap(*address)?;
            let block = self.live.get(*address)?;
            Some(clock.ns(block.ticks).saturating_sub(clock.ns(block.ticks.saturating_sub(gap))) <= MAX_SKEW_NS)
        };
        let mut freed: Vec<u64> = self.early.keys().filter(|address| is_near(address) == Some(true)).copied().collect();
        freed.sort_unstable();
        freed.into_iter().for_each(|address| self.free_early(address));
    }
}
