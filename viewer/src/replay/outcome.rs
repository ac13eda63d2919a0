//! Turns the books of a replay into its [`Heap`].

use crate::model::{Measure, Profile, Tally};

use super::figure::Figure;
use super::heap::{Heap, Peak, Repairs, Since, Site};
use super::histogram::{Ages, Buckets, Lifetimes, Sizes};
use super::ledger::Ledger;
use super::losses::Losses;
use super::snapshot::Snapshot;

/// The heap of a replay that has seen all events, and how many of them can be understood in two ways. `is_partial` when
/// part of the session is missing.
pub(super) fn heap<F: Figure>(mut ledger: Ledger<'_, F>, is_partial: bool) -> (Heap, u64) {
    let snapshot = ledger.final_snapshot();
    let (profile, window) = (ledger.profile, ledger.window);
    let losses = Losses::of(profile, window);
    let peak = peak(&ledger, &losses);
    let moment_ticks = snapshot.as_ref().map_or(ledger.peak_ticks, |snapshot| snapshot.ticks);
    let peak_ticks = ledger.peak_ticks;
    let mut trace = ledger.trace.take();
    let states = ledger.sites.finish();
    let mut sites: Vec<Site> = Vec::with_capacity(states.len());
    let mut evidence = Vec::with_capacity(states.len());
    for (index, state) in states.into_iter().enumerate() {
        let mut site = state.site();
        place_live(&mut site, index, snapshot.as_ref());
        site.site_peak_ns = profile.ns(state.site_peak_ticks);
        site.lived_ns = lived_ns(profile, state.lived_ticks).filter(|_| F::EXACT);
        if !losses.is_none() {
            let unsure = snapshot.as_ref().and_then(|snapshot| snapshot.sites.get(index)).map(|at| at.unsure);
            bound(&mut site, &losses, unsure, peak_ticks);
        }
        // What was allocated before a range has left sites without anything in it.
        if window.start() == 0 || !site.total.is_empty() {
            if let Some(trace) = &mut trace {
                trace.place(index, sites.len());
            }
            evidence.push(state.gathering.finish(state.live.estimated_bytes()));
            sites.push(site);
        }
    }
    let heap = Heap {
        options: ledger.options,
        moment_ns: profile.ns(moment_ticks),
        moment_ticks,
        interval_bytes: ledger.interval_bytes,
        sites,
        peak,
        lifetimes: Lifetimes { completed: ledger.lifetimes.finish(), censored: ledger.censored.finish() },
        ages: Ages(snapshot.map_or_else(|| Buckets::new(ledger.interval_bytes), |snapshot| snapshot.ages).finish()),
        sizes: Sizes(ledger.sizes.finish()),
        events: ledger.events,
        reallocations: ledger.reallocations,
        since_counters: if window.is_whole() { ledger.since_counters } else { Since::default() },
        warnings: warnings(&ledger.repairs, profile),
        repairs: ledger.repairs,
        totals_are_partial: is_partial,
        grid: ledger.grid,
        evidence,
        trace: trace.map(|trace| trace.finish(profile)),
    };
    (heap, ledger.doubts)
}

/// Ticks as nanoseconds by the mean rate of the session; `None` when that is not known.
fn lived_ns(profile: &Profile, ticks: u128) -> Option<u64> {
    let session = profile.end.ticks.saturating_sub(profile.header.start.ticks);
    let rate = profile.ns(profile.end.ticks) as f64 / session as f64;
    (profile.clock.has_rate() && rate.is_finite()).then(|| (ticks as f64 * rate).round() as u64)
}

/// Puts the figures of the moment into a site.
fn place_live<F: Figure>(site: &mut Site, index: usize, snapshot: Option<&Snapshot<F>>) {
    let Some(snapshot) = snapshot else {
        site.live = site.at_peak;
        return;
    };
    let at = snapshot.sites.get(index);
    let mut none = site.live;
    none -= site.live;
    site.live = at.map_or(none, |at| at.live.tally());
    site.ages = at.and_then(|at| at.ages);
}

fn bound(site: &mut Site, losses: &Losses, unsure: Option<(u64, u64)>, peak_ticks: u64) {
    let all = |tally: &Tally| (tally.blocks, tally.bytes);
    // What was live at a peak is not known block by block any more: all of it may have been freed unseen.
    let at_peak = if losses.may_have_freed(0, peak_ticks) { all(&site.at_peak) } else { (0, 0) };
    let live = unsure.unwrap_or(at_peak);
    site.live.loss = Some(losses.bound_of_live(live));
    site.at_peak.loss = Some(losses.bound_of_live(at_peak));
    site.site_peak.loss = Some(losses.bound_of_live(all(&site.site_peak)));
    site.total.loss = Some(losses.bound_of_total());
    site.freed.loss = Some(losses.bound_of_freed());
    site.reallocated.loss = Some(losses.bound_of_total());
    if let Some(temporary) = &mut site.temporary {
        temporary.loss = Some(losses.bound_of_freed());
    }
}

/// The peak of the process. Exact captures know it from their events, when nothing is missing: to the byte, or but for
/// what was there before the session and was freed in it. Otherwise the counters' interval holds it; so it does when
/// only a part of the capture was replayed.
fn peak<F: Figure>(ledger: &Ledger<'_, F>, losses: &Losses) -> Peak {
    let profile = ledger.profile;
    let before = u64::try_from(profile.header.before.live_bytes()).unwrap_or(0);
    let recorded = ledger.peak.estimated_bytes();
    let replayed = before.saturating_add(recorded);
    let counted = profile.counters.last().map(|counters| counters.peak);
    let is_whole = ledger.window.is_whole()
        && profile.is_exact()
        && losses.is_none()
        && ledger.repairs.is_quiet()
        && profile.phases.is_empty()
        && profile.missing.is_empty();
    let counted_low = counted.map_or(0, |counted| counted.low_bytes);
    let (live_bytes, ticks) = match counted {
        _ if is_whole && replayed >= counted_low => {
            // Of the blocks from before, those that were freed in the session have no size.
            let low = if ledger.repairs.unknown_frees == 0 { replayed } else { recorded.max(counted_low) };
            (Measure { value: replayed, low, high: Some(replayed) }, ledger.peak_ticks)
        }
        None => (Measure { value: replayed, low: 0, high: None }, ledger.peak_ticks),
        Some(counted) => {
            let (low, high) = (counted.low_bytes, counted.high_bytes.max(counted.low_bytes));
            let is_replayed = profile.is_exact() && ledger.window.is_whole();
            let value = if is_replayed { replayed.clamp(low, high) } else { low + (high - low) / 2 };
            (Measure { value, low, high: Some(high) }, counted.ticks)
        }
    };
    Peak {
        live_bytes,
        ticks,
        at_ns: profile.ns(ticks),
        recorded: ledger.peak.tally(),
        recorded_at_ns: profile.ns(ledger.peak_ticks),
    }
}

impl Repairs {
    /// Nothing happened that leaves the live total of recorded blocks in doubt.
    fn is_quiet(&self) -> bool {
        let doubts =
            [self.unseen_frees, self.open_reallocs, self.late_events, self.unmatched_blocks, self.unread_events];
        self.unfollowed_blocks == 0 && doubts.iter().all(|count| *count == 0)
    }
}

fn warnings(repairs: &Repairs, profile: &Profile) -> Vec<String> {
    let mut warnings = Vec::new();
    let mut say = |number: u64, sentence: &str| {
        if number > 0 {
            warnings.push(format!("{number} {sentence}"));
        }
    };
    say(repairs.unread_events, "events could not be unpacked: live figures may be wrong by them");
    say(repairs.unseen_frees, "blocks were taken to be freed, since their address was allocated again");
    say(repairs.open_reallocs, "reallocations were under way at the end: their blocks are shown with the old size");
    say(repairs.late_events, "events came later than their order allows: live figures near them may be wrong");
    say(
        repairs.unfollowed_blocks,
        "blocks are in the totals alone and not in live figures: more live at once than a capture of this size may bring",
    );
    say(
        repairs.merged_allocations,
        "allocations are put together as of unknown stack: more sites than a capture of this size may bring",
    );
    say(repairs.unmatched_blocks, "blocks listed at a segment's start are not known from the segments before it");
    if profile.is_exact() && !profile.missing.is_empty() {
        warnings.push("totals of sites are lower bounds: part of the session is missing".to_owned());
    }
    warnings
}
