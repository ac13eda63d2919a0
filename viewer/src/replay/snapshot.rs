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
    /// Takes the snapshot that was asked for, before an event after its moment.
    pub(super) fn take_snapshot(&mut self) {
        if let Some(ticks) = self.snapshot_at.take() {
            self.note_survivors();
            self.snapshot = Some(self.snapshot_of(ticks));
        }
    }

    /// The snapshot: taken on the way, or of the end; `None` at the peak.
    pub(super) fn final_snapshot(&mut self, end_ticks: u64) -> Option<Snapshot<F>> {
        self.note_survivors();
        if let Some(ticks) = self.snapshot_at.take() {
            self.snapshot = Some(self.snapshot_of(ticks.min(end_ticks)));
        }
        if self.options.range.is_none() {
            let blocks = self.blocks_in_order();
            blocks.iter().for_each(|block| self.censor(block, end_ticks));
        }
        let at_end = self.snapshot.is_none() && self.options.moment != Moment::Peak;
        if at_end { Some(self.snapshot_of(end_ticks)) } else { self.snapshot.take() }
    }

    /// The live blocks. Sums of estimates depend on their order in the last digit, so that has to be the same in each run;
    /// exact ones do not.
    fn blocks_in_order(&self) -> Vec<Block<F>> {
        let mut blocks: Vec<Block<F>> =
            self.live.iter().map(|(_, block)| *block).filter(|block| self.counts(block)).collect();
        if self.interval_bytes > 1 {
            blocks.sort_unstable_by_key(|block| (block.ticks, block.site, block.size_bytes));
        }
        blocks
    }

    fn snapshot_of(&mut self, ticks: u64) -> Snapshot<F> {
        let losses = Losses::of(self.profile);
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
            if self.options.range.is_some() {
                self.censor(block, ticks);
            }
        }
        snapshot
    }
}
