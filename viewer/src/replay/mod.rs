//! Follows a capture's events through time: what was live when, for how long, and where it came from.
//!
//! Blocks and sites are kept, events are not: memory is bounded by the live set, the number of sites and the events
//! that wait for their order. `docs/speed.md` says how fast it is, and why.

mod ages;
mod block;
mod early;
mod evidence;
mod figure;
mod heap;
mod histogram;
mod ledger;
mod live;
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

use plimsoll_format::{Hook, Record};

use crate::capture::{BlockFate, Capture, Found, LoadError};
use crate::model::{Profile, Tally};

pub use evidence::{BINS, Bin, Grid, SiteEvidence, Survivors};
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
        let after = |records| self.coming.after(records);
        self.scan_as(&Step::of::<F>, &mut |found| replay.take(found, &after))?;
        Ok(replay.finish())
    }
}

/// A record, decoded as far as that can be done away from the replay.
enum Step {
    Events(Batch),
    Other(Record),
}

impl Step {
    fn of<F: Figure>(record: Record) -> Step {
        match record {
            Record::Events(events) => Step::Events(Batch::of(&events, F::EXACT)),
            record => Step::Other(record),
        }
    }
}

/// Events are held back for at least this long: the free that an allocation waits for comes with a later stamp when two
/// CPUs' clocks differ, by far less than this. Short in tests, which are.
const SKEW_NS: u64 = if cfg!(test) { 200 } else { 100_000 };

/// A replay under way: events are put in order, then applied to the ledger.
struct Replay<'a, F: Figure> {
    profile: &'a Profile,
    order: Order,
    ledger: Ledger<'a, F>,
    opening: Opening,
    /// The block under way came after later ones.
    late_block: bool,
    /// Records of events read so far.
    records: u64,
    /// Ticks in [`SKEW_NS`]; `None` when events have to wait for watermarks.
    skew_ticks: Option<u64>,
}

impl<'a, F: Figure> Replay<'a, F> {
    fn new(profile: &'a Profile, options: &ReplayOptions) -> Replay<'a, F> {
        Replay {
            profile,
            order: Order::default(),
            ledger: Ledger::new(profile, options),
            opening: Opening::default(),
            late_block: false,
            records: 0,
            // Through the tracking-allocator crate frees are stamped after the memory went back, at any later time.
            skew_ticks: (F::EXACT && profile.clock.has_rate() && profile.header.hook == Hook::Allocator)
                .then(|| profile.clock.ticks(SKEW_NS).saturating_sub(profile.clock.ticks(0))),
        }
    }

    /// `earliest_after` tells the earliest stamp after so many records of events.
    fn take(&mut self, found: Found<'_, Step>, earliest_after: &dyn Fn(u64) -> u64) {
        match found {
            Found::Segment { number, .. } => {
                if self.opening.begins(number) {
                    self.order.release_all(&mut self.ledger);
                }
            }
            Found::Block { fate, .. } => self.late_block = fate == BlockFate::Late,
            Found::Record(Step::Events(batch)) => self.events(batch, earliest_after),
            Found::Record(Step::Other(record)) => self.record(record),
            Found::Unknown(_) | Found::Damage(_) | Found::Gap(_) => {}
        }
    }

    fn record(&mut self, record: Record) {
        match record {
            Record::LiveBlocks(blocks) => self.opening.list(&blocks, &mut self.ledger, &self.order),
            Record::Watermark { ticks } => {
                self.opening.close(&mut self.ledger);
                self.order.watermark(ticks, &mut self.ledger);
            }
            Record::Thinning(thinning) => self.order.thin(thinning),
            _ => {}
        }
    }

    fn events(&mut self, batch: Batch, earliest_after: &dyn Fn(u64) -> u64) {
        self.opening.close(&mut self.ledger);
        self.ledger.repairs.unread_events += batch.unread;
        self.order.push(batch, self.late_block, &mut self.ledger);
        self.records += 1;
        if let Some(skew) = self.skew_ticks {
            let horizon = earliest_after(self.records).saturating_sub(skew);
            self.order.release_before(horizon, &mut self.ledger);
        }
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
