//! The live blocks at one moment: ages, and what a range has left.

use super::block::Block;
use super::figure::Figure;
use super::heap::{AgeRange, Moment};
use super::histogram::Buckets;
use super::ledger::Ledger;
use super::losses::Losses;

/// Live blocks at a moment, by site.
#[derive(Debug)]
pub(super) struct Snapshot<F> {
    pub(super) ticks: u64,
    pub(super) sites: Vec<LiveAt<F>>,
    pub(super) ages: Buckets<F>,
}

/// A site's live blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct LiveAt<F> {
    pub(super) live: F,
    /// Blocks and bytes that may have been freed unseen.
    pub(super) unsure: (u64, u64),
    pub(super) ages: Option<AgeRange>,
}

impl<F: Figure> Ledger<'_, F> {
    /// The window is over, or the capture is: what is open is settled, and what lives is counted.
    pub(super) fn close(&mut self) {
        if self.snapshot.is_some() {
            return;
        }
        self.settle_open_reallocs();
        self.settle_early_frees();
        self.note_survivors();
        let end_ticks = self.profile.end.ticks.max(self.last_ticks);
        self.snapshot = Some(self.snapshot_of(self.window.end().min(end_ticks)));
        self.over_after = 0;
    }

    /// A segment begins behind missing ones: a window that was over before the missing time ends with what was read.
    pub(super) fn close_before(&mut self, segment: u32) {
        let end_ns = self.profile.ns(self.window.end());
        let mut missing = self.profile.missing.iter();
        if missing.any(|missing| missing.last_segment.checked_add(1) == Some(segment) && end_ns < missing.from_ns) {
            self.close();
        }
    }

    /// The live blocks when the replay closed; `None` at the peak, which is not known block by block.
    pub(super) fn final_snapshot(&mut self) -> Option<Snapshot<F>> {
        self.close();
        self.snapshot.take().filter(|_| self.options.range.is_some() || self.options.moment != Moment::Peak)
    }

    /// The live blocks. Sums of estimates depend on their order in the last digit, so that has to be the same in each run;
    /// exact ones do not.
    fn blocks_in_order(&self) -> Vec<Block<F>> {
        let mut blocks: Vec<Block<F>> = self
            .live
            .iter()
            .map(|(_, block)| block)
            .chain(&self.moving)
            .filter(|block| self.counts(block))
            .copied()
            .collect();
        if self.interval_bytes > 1 {
            blocks.sort_unstable_by_key(|block| (block.ticks, block.site, block.size_bytes));
        }
        blocks
    }

    fn snapshot_of(&mut self, ticks: u64) -> Snapshot<F> {
        let losses = Losses::of(self.profile, self.window);
        let none = LiveAt { live: F::none(self.interval_bytes), unsure: (0, 0), ages: None };
        let mut snapshot = Snapshot { ticks, sites: Vec::new(), ages: Buckets::new(self.interval_bytes) };
        let blocks = self.blocks_in_order();
        for block in &blocks {
            let index = block.site as usize;
            if snapshot.sites.len() <= index {
                snapshot.sites.resize(index + 1, none);
            }
            let Some(at) = snapshot.sites.get_mut(index) else { continue };
            let age_ns = self.ages.of(block.ticks, ticks);
            at.live.add(&block.weight());
            at.ages = Some(at.ages.map_or(AgeRange { oldest_ns: age_ns, youngest_ns: age_ns }, |ages| AgeRange {
                oldest_ns: ages.oldest_ns.max(age_ns),
                youngest_ns: ages.youngest_ns.min(age_ns),
            }));
            if losses.may_have_freed(block.ticks, ticks) {
                at.unsure = (at.unsure.0 + 1, at.unsure.1.saturating_add(block.size_bytes));
            }
            snapshot.ages.add(age_ns, &block.weight());
            self.censor(block, ticks);
        }
        snapshot
    }

    /// A block is lost from sight while it lives: its lifetime is longer than this.
    pub(super) fn censor(&mut self, block: &Block<F>, ticks: u64) {
        if self.counts(block) {
            let age_ns = self.ages.of(block.ticks, ticks);
            self.censored.add(age_ns, &block.weight());
            if let Some(site) = self.sites.get_mut(block.site) {
                site.lived_ticks += u128::from(ticks.saturating_sub(block.ticks));
            }
        }
    }
}
