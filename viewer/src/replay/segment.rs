//! The opening of a segment: blocks that are live there.
//!
//! When the segments before it were read they are known and only checked. When some are gone, the listed blocks are what is left of
//! that time: they come to live, and blocks from before the missing time that are not listed were freed in it.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use plimsoll_format::LiveBlock;

use super::block::Origin;
use super::figure::Figure;
use super::ledger::Ledger;
use super::order::Order;

/// Where the replay stands with respect to segments.
#[derive(Default)]
pub(super) struct Opening {
    segment: Option<u32>,
    /// Segments before this one are gone, so that its listed blocks are news.
    after_gap: bool,
    /// Addresses listed so far, while the list of a segment after a gap is read.
    listed: Option<HashSet<u64, RandomState>>,
    /// Some blocks came in this way.
    pub(super) seeded: bool,
    pub(super) unmatched_blocks: u64,
}

impl Opening {
    /// A file begins. True when files before it are missing: everything read so far comes before.
    pub(super) fn begins(&mut self, number: u32) -> bool {
        let expected = self.segment.map_or(0, |last| last.saturating_add(1));
        self.segment = Some(number);
        self.after_gap = number != expected;
        self.listed = self.after_gap.then(HashSet::default);
        self.after_gap
    }

    /// Takes a list of blocks. A keyframe's opening may have several.
    pub(super) fn list<F: Figure>(&mut self, blocks: &[LiveBlock], ledger: &mut Ledger<'_, F>, order: &Order) {
        for block in blocks {
            let known = ledger.live.get(block.address).is_some_and(|known| known.ticks == block.ticks);
            match &mut self.listed {
                Some(listed) => {
                    listed.insert(block.address);
                    if !known {
                        self.seeded = true;
                        ledger.give_up(block.address);
                        ledger.list(block);
                    }
                }
                // What has been applied must know it; the rest may still be waiting.
                None if order.has_released(block.ticks) && !known => {
                    self.unmatched_blocks += u64::from(ledger.counts_at(block.ticks));
                }
                None => {}
            }
        }
    }

    /// The first event after the opening: the list is complete.
    pub(super) fn close<F: Figure>(&mut self, ledger: &mut Ledger<'_, F>) {
        let Some(listed) = self.listed.take() else { return };
        let gone =
            ledger.live.iter().filter(|(address, block)| block.origin() != Origin::Listed && !listed.contains(address));
        let mut gone: Vec<u64> = gone.map(|(address, _)| address).collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|address| ledger.give_up(address));
    }
}
