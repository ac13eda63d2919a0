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
mod trace;
mod window;
#[cfg(test)]
mod window_test;

use plimsoll_format::{Hook, LiveBlock, Record, RecordIter, Thinning};

use crate::capture::{ARENA_SEGMENT, BlockFate, Capture, Coming, Events, Found, LoadError, Position};
use crate::model::{Profile, Tally};

pub use evidence::{BINS, Bin, Grid, SiteEvidence, Survivors};
pub use heap::{AgeRange, Heap, Moment, Peak, Range, Repairs, ReplayOptions, Since, Site};
pub use histogram::{Ages, BUCKETS, Histogram, Lifetimes, Sizes, bucket_end, bucket_of, bucket_start};
pub use trace::{Moved, Trace};

use figure::{Figure, Plain};
use ledger::Ledger;
use order::Order;
use pending::Batch;
use segment::Opening;
use window::Window;

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
        let window = Window::of(&self.profile, options);
        let (heap, doubts) = self.replay_window::<F>(options, window)?;
        // Rare: what was live before the window decides what some of its events mean.
        if doubts > 0 { Ok(self.replay_window::<F>(options, window.with_past())?.0) } else { Ok(heap) }
    }

    /// Replays the events that a window looks at; the heap, and how many of them can be understood in two ways.
    fn replay_window<F: Figure>(&self, options: &ReplayOptions, window: Window) -> Result<(Heap, u64), LoadError> {
        self.replay_blocks::<F>(options, window, &|first, last| window.reads_any(first, last))
    }

    /// The same, of blocks with events that are `wanted`.
    fn replay_blocks<F: Figure>(
        &self,
        options: &ReplayOptions,
        window: Window,
        wanted: &(dyn Fn(u64, u64) -> bool + Sync),
    ) -> Result<(Heap, u64), LoadError> {
        let mut replay = Replay::<F>::new(&self.profile, &self.coming, options, window);
        self.scan_as(
            wanted,
            &|records, take| steps::<F>(records, window).into_iter().for_each(|step| take(Ok(step))),
            &mut |found| replay.take(found),
        )?;
        Ok(replay.finish())
    }
}

impl ReplayOptions {
    /// The events that a replay of this capture with these options looks at.
    pub fn events(&self, profile: &Profile) -> Events {
        let window = Window::of(profile, self);
        if window.is_whole() { Events::All } else { window.events() }
    }
}

/// A record that a replay follows, decoded as far as that can be done away from it. Small: a block may hold a million.
enum Step {
    Events(Box<Batch>),
    LiveBlocks(Vec<LiveBlock>),
    Watermark(u64),
    Thinning(Box<Thinning>),
}

/// What of a block is followed, each record of events with the earliest stamp of those behind it in the block.
fn steps<F: Figure>(records: RecordIter<'_>, window: Window) -> Vec<Step> {
    let step = |record| match record {
        Record::Events(events) => Some(Step::Events(Box::new(Batch::of(&events, F::EXACT, window)))),
        Record::LiveBlocks(blocks) => Some(Step::LiveBlocks(blocks)),
        Record::Watermark { ticks } => Some(Step::Watermark(ticks)),
        Record::Thinning(thinning) => Some(Step::Thinning(Box::new(thinning))),
        _ => None,
    };
    let mut steps: Vec<Step> = records.flatten().filter_map(step).collect();
    let mut earliest_after = u64::MAX;
    for step in steps.iter_mut().rev() {
        if let Step::Events(batch) = step {
            batch.earliest_after = earliest_after;
            earliest_after = earliest_after.min(batch.earliest());
        }
    }
    steps
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
    coming: &'a Coming,
    /// The block under way came after later ones.
    late_block: bool,
    /// Where the block under way stands.
    position: Position,
    /// Ticks in [`SKEW_NS`]; `None` when events have to wait for watermarks.
    skew_ticks: Option<u64>,
}

impl<'a, F: Figure> Replay<'a, F> {
    fn new(profile: &'a Profile, coming: &'a Coming, options: &ReplayOptions, window: Window) -> Replay<'a, F> {
        Replay {
            profile,
            order: Order::default(),
            ledger: Ledger::new(profile, options, window),
            opening: Opening::default(),
            coming,
            late_block: false,
            position: Position::default(),
            // Through the tracking-allocator crate frees are stamped after the memory went back, at any later time.
            skew_ticks: (F::EXACT && profile.clock.has_rate() && profile.header.hook == Hook::Allocator)
                .then(|| profile.clock.ticks(SKEW_NS).saturating_sub(profile.clock.ticks(0))),
        }
    }

    fn take(&mut self, found: Found<'_, Step>) {
        match found {
            Found::Segment { number, .. } => {
                self.position = Position { file: self.position.file + 1, offset: 0 };
                // An arena goes on where the last file ends.
                if number != ARENA_SEGMENT && self.opening.begins(number) {
                    self.order.release_all(&mut self.ledger);
                    self.ledger.close_before(number);
                }
            }
            Found::Block { offset, fate, .. } => {
                self.position.offset = offset;
                self.late_block = fate == BlockFate::Late;
            }
            Found::Record(step) => self.step(step),
            Found::Unknown(_) | Found::Damage(_) | Found::Gap(_) => {}
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Events(batch) => self.events(*batch),
            Step::LiveBlocks(blocks) => self.opening.list(&blocks, &mut self.ledger, &self.order),
            Step::Watermark(ticks) => {
                self.opening.close(&mut self.ledger);
                self.order.watermark(ticks, &mut self.ledger);
            }
            Step::Thinning(thinning) => self.order.thin(*thinning, &mut self.ledger),
        }
    }

    fn events(&mut self, batch: Batch) {
        self.opening.close(&mut self.ledger);
        let earliest_after = batch.earliest_after.min(self.coming.after(self.position));
        self.ledger.repairs.unread_events += batch.unread;
        self.order.push(batch, self.late_block, &mut self.ledger);
        if let Some(skew) = self.skew_ticks {
            let horizon = earliest_after.saturating_sub(skew);
            self.order.release_before(horizon, &mut self.ledger);
        }
    }

    /// The heap, and how many events can be understood in two ways.
    fn finish(mut self) -> (Heap, u64) {
        self.opening.close(&mut self.ledger);
        self.order.release_all(&mut self.ledger);
        let mut repairs = self.ledger.repairs;
        repairs.late_events += self.order.late_events;
        repairs.overflows += self.order.overflows;
        repairs.unmatched_blocks += self.opening.unmatched_blocks;
        repairs.merged_allocations += self.ledger.sites.merged;
        self.ledger.repairs = repairs;
        let seeded = self.opening.seeded || !self.profile.missing.is_empty();
        outcome::heap(self.ledger, seeded)
    }
}
