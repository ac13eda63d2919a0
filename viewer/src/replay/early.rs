//! Frees that are stamped before the allocation of their block, by a CPU whose clock is behind.
//!
//! When such a free is applied nothing lives at its address, as with blocks from before the session. It is remembered: a
//! second allocation in a row of that address tells that the first one's free came early.

use super::block::Block;
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

/// Early frees that are remembered; most are of blocks from before the session or the window and never asked for.
const MAX_EARLY: usize = 1 << 16;
/// Clocks of two CPUs differ by less than this. At the end nothing else tells an early free from one of a block from
/// before the session whose address was given to another thread at once.
const MAX_SKEW_NS: u64 = 2_000;

impl<F: Figure> Ledger<'_, F> {
    /// A free of an address where nothing is known to live.
    pub(super) fn free_unknown(&mut self, item: &Pending, source: Known) {
        self.repairs.unknown_frees += 1;
        if self.early.len() >= MAX_EARLY {
            self.forget_early(item.ticks);
        }
        self.early.insert(item.address, EarlyFree { ticks: item.ticks, thread: source.source.thread });
    }

    /// Makes room: of frees that are long over only those matter whose address was allocated since.
    #[cold]
    fn forget_early(&mut self, now: u64) {
        let mut early = std::mem::take(&mut self.early);
        early.retain(|address, early| self.is_near(early.ticks, now) || self.live.get(*address).is_some());
        if early.len() > MAX_EARLY / 2 {
            early.clear();
            self.doubts += u64::from(self.window.lacks_past());
        }
        self.early = early;
    }

    /// A block of the window, freed by another thread right after it came. When another block lived at its address before
    /// the window, the free may be that one's, stamped late: only the past tells.
    #[cold]
    pub(super) fn doubt_free(&mut self, block: &Block<F>, item: &Pending, source: Known) {
        let is_other = self.sites.thread(block.site) != Some(source.source.thread);
        self.doubts += u64::from(is_other && self.is_near(block.ticks, item.ticks));
    }

    /// Whether two moments are so near that clocks may have changed their order.
    fn is_near(&self, earlier: u64, later: u64) -> bool {
        let clock = &self.profile.clock;
        clock.ns(later).saturating_sub(clock.ns(earlier)) <= MAX_SKEW_NS
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
        let is_near = |address: &u64| {
            let gap = self.early_gap(*address)?;
            let block = self.live.get(*address)?;
            Some(self.is_near(block.ticks.saturating_sub(gap), block.ticks))
        };
        let mut freed: Vec<u64> = self.early.keys().filter(|address| is_near(address) == Some(true)).copied().collect();
        freed.sort_unstable();
        if self.window.lacks_past() {
            // Or one from before the window was freed there.
            self.doubts += freed.len() as u64;
        }
        freed.into_iter().for_each(|address| self.free_early(address));
    }
}
