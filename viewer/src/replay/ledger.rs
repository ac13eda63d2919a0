//! The books: which blocks are live, and what each event changes.

use std::collections::HashMap;
use std::hint::black_box;

use foldhash::fast::RandomState;
use plimsoll_format::{Event, EventKind, LiveBlock, Thinning};

use crate::model::Profile;

use super::ages::Ages;
use super::block::{Block, Held, Origin};
use super::early::EarlyFree;
use super::evidence::Grid;
use super::figure::Figure;
use super::heap::{Repairs, ReplayOptions, Since};
use super::histogram::Buckets;
use super::live::{LiveBlocks, Place};
use super::pending::{Pending, Source};
use super::sites::Sites;
use super::snapshot::Snapshot;
use super::sources::{Known, Sources};
use super::trace::Tracing;
use super::window::Window;

/// Live blocks whose table stays in a processor's own cache: half a megabyte.
const FITS_CACHE: usize = 1 << 13;

/// What is known of a thread.
#[derive(Clone, Copy)]
struct ThreadState<F: Figure> {
    allocations: u32,
    held: Option<Held<F>>,
}

/// See the module's description.
pub(super) struct Ledger<'a, F: Figure> {
    pub(super) profile: &'a Profile,
    pub(super) options: ReplayOptions,
    pub(super) live: LiveBlocks<F>,
    /// Blocks followed at once.
    max_live: usize,
    /// Blocks that live on at an address that was not told yet: their own was given to others while they moved.
    pub(super) moving: Vec<Block<F>>,
    pub(super) sites: Sites<F>,
    pub(super) sources: Sources,
    /// By the position that `sources` give.
    threads: Vec<ThreadState<F>>,
    pub(super) early: HashMap<u64, EarlyFree, RandomState>,
    /// All live blocks together.
    pub(super) now: F,
    /// The largest `now` so far, and when.
    pub(super) peak: F,
    pub(super) peak_ticks: u64,
    pub(super) lifetimes: Buckets<F>,
    pub(super) censored: Buckets<F>,
    pub(super) sizes: Buckets<F>,
    pub(super) ages: Ages<'a>,
    pub(super) since_counters: Since,
    counters_ticks: u64,
    /// What was allocated in it counts.
    pub(super) window: Window,
    /// Live figures were taken at the window's end, before the first event after it: nothing changes any more.
    pub(super) snapshot: Option<Snapshot<F>>,
    /// Events after this come too late: the window's end, and 0 when the snapshot was taken.
    pub(super) over_after: u64,
    /// Pairs of events near each other that mean one thing or another, depending on what was live before the window.
    pub(super) doubts: u64,
    pub(super) events: u64,
    pub(super) reallocations: u64,
    pub(super) repairs: Repairs,
    pub(super) last_ticks: u64,
    pub(super) interval_bytes: u64,
    /// Bins of time for evidence, and when the one under way is over.
    pub(super) grid: Grid,
    bin_end: u64,
    pub(super) noted_survivors: bool,
    pub(super) trace: Option<Tracing>,
}

impl<'a, F: Figure> Ledger<'a, F> {
    pub(super) fn new(profile: &'a Profile, options: &ReplayOptions, window: Window) -> Ledger<'a, F> {
        let interval_bytes = profile.widest_interval_bytes();
        let (none, limits) = (Buckets::new(interval_bytes), profile.limits());
        let grid = Grid::new(profile, window.start(), window.end().min(profile.end.ticks));
        Ledger {
            profile,
            options: *options,
            live: LiveBlocks::new(),
            max_live: limits.live_blocks,
            moving: Vec::new(),
            sites: Sites::new(interval_bytes, limits.sites),
            sources: Sources::new(limits.sources),
            threads: Vec::new(),
            early: HashMap::default(),
            now: F::none(interval_bytes),
            peak: F::none(interval_bytes),
            peak_ticks: profile.header.start.ticks,
            lifetimes: none.clone(),
            censored: none.clone(),
            sizes: none,
            ages: Ages::new(&profile.clock),
            since_counters: Since::default(),
            counters_ticks: profile.counters.last().map_or(0, |counters| counters.ticks),
            over_after: window.end(),
            window,
            snapshot: None,
            doubts: 0,
            events: 0,
            reallocations: 0,
            repairs: Repairs::default(),
            last_ticks: 0,
            interval_bytes,
            bin_end: grid.end_of(0),
            grid,
            noted_survivors: false,
            trace: options.trace.map(Tracing::new),
        }
    }

    /// Whether a block that was allocated then counts.
    pub(super) fn counts(&self, block: &Block<F>) -> bool {
        self.window.counts(block.ticks)
    }

    /// Whether a block that was allocated then counts.
    pub(super) fn counts_at(&self, ticks: u64) -> bool {
        self.window.counts(ticks)
    }

    /// Looks up the blocks of events whose turn is next. Of a heap that outgrows the processor's caches each look-up waits
    /// for memory; asked for in a row they wait together.
    #[inline]
    pub(super) fn approach(&self, items: &[Pending]) {
        if self.live.len() > FITS_CACHE && items.len() > 1 {
            let sizes = items.iter().map(|item| self.live.get(item.address).map_or(0, |block| block.size_bytes));
            black_box(sizes.fold(0, u64::wrapping_add));
        }
    }

    /// Applies an event whose turn it is. False, and nothing has happened, when it allocates an address where another
    /// block is live.
    #[inline]
    pub(super) fn apply(&mut self, item: &Pending, source: u32, kind: EventKind) -> bool {
        let source = self.sources.get(source);
        let is_over = item.ticks > self.over_after;
        if is_over || !F::EXACT {
            if self.snapshot.is_some() {
                return true;
            }
            let block = self.live.get(item.address).filter(|_| kind.is_alloc());
            if block.is_some_and(|block| !is_listed_already(block, item)) {
                return false;
            }
            if is_over {
                self.close();
                return true;
            }
            self.settle_held(source, kind);
        }
        if item.ticks >= self.bin_end {
            self.enter_bin(item.ticks);
        }
        match kind {
            EventKind::Alloc if !self.allocate(item, source, Origin::Allocated) => return false,
            EventKind::ReallocAlloc if !self.complete_realloc(item, source) => return false,
            EventKind::Alloc | EventKind::ReallocAlloc => {}
            EventKind::Free => self.free(item, source),
            EventKind::ReallocFree => self.begin_realloc(item, source),
            EventKind::ReallocUndo => self.undo_realloc(item, source),
        }
        self.events += 1;
        self.last_ticks = self.last_ticks.max(item.ticks);
        true
    }

    /// Another bin of time has begun.
    #[cold]
    fn enter_bin(&mut self, ticks: u64) {
        let bin = self.grid.bin(ticks);
        self.bin_end = self.grid.end_of(bin);
        self.sites.enter_bin(bin);
    }

    /// Applies an event; the block at its address goes, when it has to.
    pub(super) fn apply_anyhow(&mut self, item: &Pending, source: u32, kind: EventKind) {
        if !self.apply(item, source, kind) {
            // Only damage leads here: a free that was pulled forward could not free the block.
            self.free_unseen(item.address);
            self.apply(item, source, kind);
        }
    }

    /// In a sampled capture the new block of a reallocation need not be a sample: another event of the thread then
    /// shows that the old one went.
    fn settle_held(&mut self, source: Known, kind: EventKind) {
        if matches!(kind, EventKind::ReallocAlloc | EventKind::ReallocUndo) {
            return;
        }
        if let Some(held) = state(&mut self.threads, source).held.take() {
            self.retire_held(&held);
        }
    }

    /// A block came to be. False, and nothing has happened, when another one is live at its address.
    #[inline]
    fn allocate(&mut self, item: &Pending, source: Known, origin: Origin) -> bool {
        let place = self.live.find(item.address);
        if let Place::Taken(place) = place
            && self.live.at(place).is_some_and(|block| !is_listed_already(block, item))
        {
            return false;
        }
        let thread = state(&mut self.threads, source);
        thread.allocations = thread.allocations.wrapping_add(1);
        let number = thread.allocations;
        let Place::Free(place) = place else { return true };
        let Source { thread, tag, interval_bytes } = source.source;
        let site = self.sites.index((item.stack, thread, tag), item.ticks, &self.profile.stacks);
        let (ticks, size_bytes) = (item.ticks, item.size_bytes);
        let block = Block::new(ticks, size_bytes, F::interval(interval_bytes), site, number, origin);
        let weight = block.weight();
        let counts = self.counts(&block);
        let is_followed = self.live.len() < self.max_live;
        if is_followed {
            self.live.put(place, item.address, block);
        } else {
            self.repairs.unfollowed_blocks += 1;
        }
        if let Some(site) = self.sites.change(site) {
            site.last_ticks = site.last_ticks.max(ticks);
            if counts {
                site.total.add(&weight);
                if origin == Origin::Reallocated {
                    site.reallocated.add(&weight);
                }
                if is_followed {
                    site.add_live(&weight, ticks);
                }
                site.gathering.birth(F::blocks(&weight));
            }
        }
        if ticks > self.counters_ticks {
            self.since_counters.allocations += 1;
            self.since_counters.bytes = self.since_counters.bytes.saturating_add(size_bytes);
        }
        if counts {
            self.sizes.add(size_bytes, &weight);
            self.trace_birth(&block, ticks);
            if is_followed {
                self.now.add(&weight);
                self.peak_if_new(ticks);
            }
        }
        true
    }

    /// An old block is live after all.
    fn revive(&mut self, address: u64, block: Block<F>, ticks: u64) {
        self.come_live(&block, ticks);
        if let Some(old) = self.live.insert(address, block) {
            // Only damage leads here: every way in has made sure that the address is free.
            self.drop_live(&old);
            self.repairs.unseen_frees += 1;
        }
    }

    /// Adds a block's weight to the live figures.
    fn come_live(&mut self, block: &Block<F>, ticks: u64) {
        if !self.counts(block) {
            return;
        }
        let weight = block.weight();
        if let Some(site) = self.sites.change(block.site) {
            site.add_live(&weight, ticks);
        }
        self.now.add(&weight);
    }

    fn peak_if_new(&mut self, ticks: u64) {
        if self.now.estimated_bytes() > self.peak.estimated_bytes() {
            self.peak = self.now;
            self.peak_ticks = ticks;
            self.sites.new_peak();
        }
    }

    /// Takes a block's weight out of the live figures.
    #[inline]
    pub(super) fn drop_live(&mut self, block: &Block<F>) {
        if !self.counts(block) {
            return;
        }
        let weight = block.weight();
        if let Some(site) = self.sites.change(block.site) {
            site.live.remove(&weight);
        }
        self.now.remove(&weight);
    }

    #[inline]
    fn take_out(&mut self, address: u64, ticks: u64) -> Option<Block<F>> {
        let Place::Taken(place) = self.live.find(address) else { return None };
        // A listed block stands for the last life of its address: an earlier free belongs to a life before.
        if self.live.at(place).is_some_and(|block| block.origin() == Origin::Listed && ticks < block.ticks) {
            return None;
        }
        let block = self.live.take(place)?;
        self.drop_live(&block);
        if !self.early.is_empty() {
            self.early.remove(&address);
        }
        Some(block)
    }

    #[inline]
    fn free(&mut self, item: &Pending, source: Known) {
        let Some(block) = self.take_out(item.address, item.ticks) else { return self.free_unknown(item, source) };
        if self.window.lacks_past() {
            self.doubt_free(&block, item, source);
        }
        let is_temporary = block.origin() == Origin::Allocated && F::EXACT && {
            let same_thread = self.sites.thread(block.site) == Some(source.source.thread);
            let now = self.threads.get(source.thread_at).map_or(0, |state| state.allocations);
            same_thread && block.allocations_since(now) <= 1
        };
        self.retire(&block, item.ticks, is_temporary);
    }

    /// Counts a block as freed; it is out of the live figures already.
    #[inline]
    pub(super) fn retire(&mut self, block: &Block<F>, ticks: u64, is_temporary: bool) {
        let weight = block.weight();
        if ticks > self.counters_ticks {
            self.since_counters.frees += 1;
            self.since_counters.freed_bytes = self.since_counters.freed_bytes.saturating_add(block.size_bytes);
        }
        if !self.counts(block) || ticks > self.window.end() {
            return;
        }
        self.trace_death(block, ticks);
        let born = self.grid.bin(block.ticks);
        if let Some(site) = self.sites.change(block.site) {
            site.gathering.death(born, site.live.estimated_bytes());
            site.freed.add(&weight);
            site.lived_ticks += u128::from(ticks.saturating_sub(block.ticks));
            if is_temporary {
                site.temporary.add(&weight);
            }
        }
        let bucket = self.ages.bucket(block.ticks, ticks);
        self.lifetimes.add_to(bucket, &weight);
    }

    /// The old block of an address that was allocated again was freed unseen.
    pub(super) fn free_unseen(&mut self, address: u64) {
        self.give_up(address);
        self.repairs.unseen_frees += 1;
    }

    /// Counts a block as freed at an unknown time.
    pub(super) fn give_up(&mut self, address: u64) {
        if self.snapshot.is_some() {
            return;
        }
        let Some(block) = self.live.remove(address) else { return };
        self.drop_live(&block);
        self.censor(&block, self.last_ticks);
        let (counts, born) = (self.counts(&block), self.grid.bin(block.ticks));
        self.trace_death(&block, self.last_ticks);
        if let Some(site) = self.sites.change(block.site) {
            site.gathering.death(born, site.live.estimated_bytes());
            if counts {
                site.freed.add(&block.weight());
            }
        }
    }

    fn begin_realloc(&mut self, item: &Pending, source: Known) {
        let block = self.take_out(item.address, item.ticks);
        if block.is_none() {
            self.free_unknown(item, source);
        }
        let held = Held { address: item.address, block, ticks: item.ticks };
        if let Some(before) = state(&mut self.threads, source).held.replace(held) {
            self.retire_held(&before);
        }
    }

    /// The new block of a reallocation. False, and nothing has happened, when another one is live at its address.
    fn complete_realloc(&mut self, item: &Pending, source: Known) -> bool {
        if !self.allocate(item, source, Origin::Reallocated) {
            return false;
        }
        if let Some(held) = state(&mut self.threads, source).held.take() {
            self.bridge(&held, item.ticks);
            self.retire_held(&held);
        }
        self.reallocations += u64::from(self.window.counts(item.ticks));
        if item.ticks > self.counters_ticks {
            self.since_counters.reallocations += 1;
        }
        true
    }

    fn undo_realloc(&mut self, item: &Pending, source: Known) {
        let Some(held) = state(&mut self.threads, source).held.take() else { return };
        self.bridge(&held, item.ticks);
        match held.block {
            Some(block) => self.revive(held.address, block, item.ticks),
            // The free that was none is taken back.
            None => {
                self.early.remove(&held.address);
                self.repairs.unknown_frees = self.repairs.unknown_frees.saturating_sub(1);
            }
        }
    }

    fn retire_held(&mut self, held: &Held<F>) {
        if let Some(block) = &held.block {
            self.retire(block, held.ticks, false);
        }
    }

    /// Reallocations without an outcome. In an exact capture the old block is kept: it lives, or its contents do in a
    /// block that was not told yet. That is odd only where the capture ends.
    pub(super) fn settle_open_reallocs(&mut self) {
        let held: Vec<Held<F>> = self.threads.iter_mut().filter_map(|state| state.held.take()).collect();
        for held in held {
            match held.block {
                Some(block) if F::EXACT => {
                    self.repairs.open_reallocs += u64::from(self.window.is_whole());
                    if self.live.get(held.address).is_some() {
                        self.come_live(&block, held.ticks);
                        self.moving.push(block);
                    } else {
                        self.revive(held.address, block, held.ticks);
                    }
                }
                _ => self.retire_held(&held),
            }
        }
    }

    /// Raises the interval: some live samples are forgotten, though their blocks may live on; the others stand for more.
    pub(super) fn thin(&mut self, thinning: &Thinning) {
        if thinning.ticks > self.window.end() {
            return self.close();
        }
        for address in &thinning.dropped {
            if let Some(block) = self.live.remove(*address) {
                self.drop_live(&block);
                self.censor(&block, thinning.ticks);
                self.trace_death(&block, thinning.ticks);
            }
        }
        for address in &thinning.kept {
            let Some(block) = self.live.get(*address).copied() else { continue };
            let mut kept = block;
            kept.interval = F::interval(thinning.to_interval_bytes);
            self.live.insert(*address, kept);
            self.drop_live(&block);
            self.come_live(&kept, thinning.ticks);
            self.trace_thinned(&block, &kept, thinning.ticks);
        }
    }

    /// A block that is live at a segment's opening, whose allocation was not read.
    pub(super) fn list(&mut self, listed: &LiveBlock) {
        if listed.ticks > self.window.end() || self.snapshot.is_some() {
            return;
        }
        let LiveBlock { ticks, address, size_bytes, interval_bytes, stack, thread, tag, .. } = *listed;
        let kind = EventKind::Alloc;
        let event = Event { kind, ticks, address, size_bytes, stack, thread, tag, interval_bytes };
        let source = self.sources.number(Source { thread, tag, interval_bytes });
        let (item, source) = (Pending::new(&event, source), self.sources.get(source));
        self.allocate(&item, source, Origin::Listed);
    }
}

/// The state of a source's thread.
#[inline]
fn state<F: Figure>(threads: &mut Vec<ThreadState<F>>, source: Known) -> &mut ThreadState<F> {
    if threads.len() <= source.thread_at {
        threads.resize(source.thread_at + 1, ThreadState { allocations: 0, held: None });
    }
    &mut threads[source.thread_at]
}

/// Whether the event tells of a block that a segment's opening listed, or of a former life of its address.
fn is_listed_already<F: Figure>(block: &Block<F>, item: &Pending) -> bool {
    block.origin() == Origin::Listed && item.ticks <= block.ticks
}
