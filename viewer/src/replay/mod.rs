//! Follows a capture's events through time: what was live when, for how long, and where it came from.
//!
//! Blocks and sites are kept, events are not: memory is bounded by the live set, the number of sites and the events
//! that wait for their order.

mod address;
mod ages;
mod early;
mod figure;
mod heap;
mod histogram;
mod ledger;
mod losses;
#[cfg(test)]
mod model_test;
mod order;
mod outcome;
mod pending;
mod segment;
mod sites;
mod snapshot;
mod sources;
#[cfg(test)]
mod tests;

use plimsoll_format::{Events, Record};

use crate::capture::{BlockFate, Capture, Found, LoadError};
use crate::model::{Profile, Tally};

pub use heap::{AgeRange, Heap, Moment, Peak, Range, Repairs, ReplayOptions, Since, Site};
pub use histogram::{Ages, BUCKETS, Histogram, Lifetimes, Sizes, bucket_end, bucket_of, bucket_start};

use figure::{Figure, Plain};
use ledger::Ledger;
use order::Order;
use pending::Batch;
use segment::Opening;

impl Capture {
    /// Replays the events of the capture.
    ///
    /// # Errors
    ///
    /// When a file can no longer be read.
    pub fn replay(&self, options: &ReplayOptions) -> Result<Heap, LoadError> {
        if self.profile.is_exact() { self.replay_as::<Plain>(options) } else { self.replay_as::<Tally>(options) }
    }

    fn replay_as<F: Figure>(&self, options: &ReplayOptions) -> Result<Heap, LoadError> {
        let mut replay = Replay::<F>::new(&self.profile, options);
        self.scan(&mut |found| replay.take(found))?;
        Ok(replay.finish())
    }
}

/// A replay under way: events are put in order, then applied to the ledger.
struct Replay<'a, F> {
    profile: &'a Profile,
    order: Order,
    ledger: Ledger<'a, F>,
    opening: Opening,
    /// The block under way came after later ones.
    late_block: bool,
}

impl<'a, F: Figure> Replay<'a, F> {
    fn new(profile: &'a Profile, options: &ReplayOptions) -> Replay<'a, F> {
        Replay {
            profile,
            order: Order::default(),
            ledger: Ledger::new(profile, options),
            opening: Opening::default(),
            late_block: false,
        }
    }

    fn take(&mut self, found: Found<'_>) {
        match found {
            Found::Segment { number, .. } => {
                if self.opening.begins(number) {
                    self.order.release_all(&mut self.ledger);
                }
            }
            Found::Block { fate, .. } => self.late_block = fate == BlockFate::Late,
            Found::Record(record) => self.record(record),
            Found::Unknown(_) | Found::Damage(_) | Found::Gap(_) => {}
        }
    }

    fn record(&mut self, record: Record) {
        match record {
            Record::LiveBlocks(blocks) => self.opening.list(&blocks, &mut self.ledger, &self.order),
            Record::Events(events) => {
                self.opening.close(&mut self.ledger);
                self.events(&events);
            }
            Record::Watermark { ticks } => {
                self.opening.close(&mut self.ledger);
                self.order.watermark(ticks, &mut self.ledger);
            }
            Record::Thinning(thinning) => self.order.thin(thinning),
            _ => {}
        }
    }

    fn events(&mut self, events: &Events) {
        let batch = Batch::of(events, F::EXACT);
        self.ledger.repairs.unread_events += batch.unread;
        self.order.push(batch, self.late_block, &mut self.ledger);
    }

    fn finish(mut self) -> Heap {
        self.opening.close(&mut self.ledger);
        self.order.release_all(&mut self.ledger);
        let mut repairs = self.ledger.repairs;
        repairs.late_events += self.order.late_events;
        repairs.overflows += self.order.overflows;
        repairs.unmatched_blocks += self.opening.unmatched_blocks;
        self.ledger.repairs = repairs;
        let seeded = self.opening.seeded || !self.profile.missing.is_empty();
        outcome::heap(self.ledger, seeded)
    }
}
