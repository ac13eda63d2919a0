//! What a replay gives: sites, peak, lifetimes, ages.

use crate::model::{Measure, StackId, TagId, Tally, ThreadId};

use super::evidence::{Grid, SiteEvidence};
use super::histogram::{Ages, Lifetimes, Sizes};
use super::trace::Trace;

/// The moment that live figures are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Moment {
    /// The end of the capture.
    #[default]
    End,
    /// When the most bytes were live. Ages of blocks are not known for this moment.
    Peak,
    /// Nanoseconds after the session's start.
    Time(u64),
}

/// What to replay.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplayOptions {
    /// The moment that live figures are for. With a time all figures are those of a capture that ended then. With a
    /// range it is the range's end, whatever stands here.
    pub moment: Moment,
    /// Only what was allocated in this range: all figures are of it, as it stood at the range's end. What sites hold at
    /// the peak is for the moment in the range when most bytes of it were live.
    pub range: Option<Range>,
    /// Keep each allocation and free, up to so many; see [`Heap::trace`].
    pub trace: Option<usize>,
}

impl ReplayOptions {
    /// Whether all of the capture is replayed, rather than a range, or what was before a moment.
    pub fn is_whole(&self) -> bool {
        self.range.is_none() && !matches!(self.moment, Moment::Time(_))
    }
}

/// A span of time, nanoseconds after the session's start, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First moment.
    pub from_ns: u64,
    /// Last moment.
    pub to_ns: u64,
}

/// All blocks of one call stack, allocating thread and tag.
#[derive(Debug, Clone, PartialEq)]
pub struct Site {
    /// Stack of the allocations; 0 when unknown.
    pub stack: StackId,
    /// Thread that allocated.
    pub thread: ThreadId,
    /// Tag in force then, 0 for none.
    pub tag: TagId,
    /// Everything allocated.
    pub total: Tally,
    /// Of these, blocks that were freed.
    pub freed: Tally,
    /// Blocks live at the moment chosen.
    pub live: Tally,
    /// Blocks live at the peak of the process.
    pub at_peak: Tally,
    /// Blocks live when most bytes of this site were live: its own peak, whenever that was.
    pub site_peak: Tally,
    /// When that was, nanoseconds after the session's start.
    pub site_peak_ns: u64,
    /// Freed by the same thread with at most one other allocation of that thread in between; `None` in sampled
    /// captures, which cannot tell.
    pub temporary: Option<Tally>,
    /// Of everything allocated, what reallocations gave.
    pub reallocated: Tally,
    /// Nanoseconds that all its blocks lived, added up: each to its free, or to the moment when it was last known to be live.
    /// `None` in sampled captures.
    pub lived_ns: Option<u64>,
    /// When the site's first recorded allocation was, in ticks: the moment to look up modules for.
    pub first_ticks: u64,
    /// When its last recorded allocation was.
    pub last_ticks: u64,
    /// Ages of the blocks in `live`; `None` when there are none, or at the peak.
    pub ages: Option<AgeRange>,
}

/// Oldest and youngest of some live blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AgeRange {
    /// Age of the oldest block, nanoseconds.
    pub oldest_ns: u64,
    /// Age of the youngest one.
    pub youngest_ns: u64,
}

/// The largest live total of the process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Peak {
    /// Bytes live then, those from before the session included: of the whole capture, also when a part of it was
    /// replayed. Only the counters know it in that case.
    pub live_bytes: Measure,
    /// When, in ticks.
    pub ticks: u64,
    /// When, nanoseconds after the session's start; 0 when it was before.
    pub at_ns: u64,
    /// Bytes of it that were recorded in the session and so belong to sites.
    pub recorded: Tally,
    /// When that recorded part was largest: the moment that sites' `at_peak` is for.
    pub recorded_at_ns: u64,
}

/// Where the order of events had to be mended, and what was odd. All zero in a quiet capture.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repairs {
    /// Allocations of a live address whose free was found further on and pulled forward.
    pub pulled_frees: u64,
    /// Allocations of a live address whose free was never seen.
    pub unseen_frees: u64,
    /// Frees that came before their allocation and were put after it.
    pub early_frees: u64,
    /// Frees of addresses that were not known to be live: from before the session, from a pause, or lost.
    pub unknown_frees: u64,
    /// Reallocations that had begun when the capture ended: the old block may live.
    pub open_reallocs: u64,
    /// Events that came after later ones had been applied.
    pub late_events: u64,
    /// Blocks that a segment's opening lists and the segments before do not know, or the other way round.
    pub unmatched_blocks: u64,
    /// Events that a block claims to hold and that could not be unpacked.
    pub unread_events: u64,
    /// Allocations beyond the blocks that are followed at once: they are in the totals alone.
    pub unfollowed_blocks: u64,
    /// Allocations whose sites came after as many as are told apart: they are put together as one of unknown stack.
    pub merged_allocations: u64,
    /// Times that more events were waiting for order than fit.
    pub overflows: u64,
}

/// The heap as the capture's events tell it.
#[derive(Debug, Clone)]
pub struct Heap {
    /// What was asked for.
    pub options: ReplayOptions,
    /// The moment that `live` figures are for, nanoseconds after the session's start.
    pub moment_ns: u64,
    /// The same in ticks.
    pub moment_ticks: u64,
    /// Mean bytes between samples; 1 in exact mode.
    pub interval_bytes: u64,
    /// Sites, in the order of their first allocation.
    pub sites: Vec<Site>,
    /// Largest live total.
    pub peak: Peak,
    /// Lifetimes of blocks that were freed, and of those that were not.
    pub lifetimes: Lifetimes,
    /// Ages of the blocks live at the moment; empty at the peak.
    pub ages: Ages,
    /// Sizes of everything allocated, from events.
    pub sizes: Sizes,
    /// Events replayed.
    pub events: u64,
    /// Successful reallocations among them.
    pub reallocations: u64,
    /// Recorded allocations and frees after the last reading of the counters; none when a part was replayed.
    pub since_counters: Since,
    /// What had to be mended.
    pub repairs: Repairs,
    /// Totals of sites are lower bounds: part of the session is missing, or came in as blocks live at a segment's start.
    pub totals_are_partial: bool,
    /// Bins of time of the evidence: the whole capture up to the moment; up to its end for the peak.
    pub grid: Grid,
    /// What verdicts are made from, for each of `sites`.
    pub evidence: Vec<SiteEvidence>,
    /// What came and went, when that was asked for.
    pub trace: Option<Trace>,
    /// Sentences for the reader, beside the profile's.
    pub warnings: Vec<String>,
}

/// What was recorded after the last reading of the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Since {
    /// Allocations.
    pub allocations: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frees of blocks that were known.
    pub frees: u64,
    /// Bytes of these.
    pub freed_bytes: u64,
    /// Successful reallocations.
    pub reallocations: u64,
}

impl Heap {
    /// The sum of one figure over all sites.
    pub fn sum(&self, figure: impl Fn(&Site) -> Tally) -> Tally {
        let mut sum = Tally::new(self.interval_bytes);
        self.sites.iter().for_each(|site| sum += figure(site));
        sum
    }
}
