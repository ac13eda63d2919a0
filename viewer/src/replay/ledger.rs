//! The books: which blocks are live, and what each event changes.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;
use plimsoll_format::{EventKind, LiveBlock, Thinning};

use crate::model::{Profile, Tally, Weight};

use super::early::EarlyFree;
use super::heap::{Moment, Repairs, ReplayOptions, Since};
use super::histogram::Histogram;
use super::order::Pending;
use super::sites::Sites;
use super::snapshot::Snapshot;

/// How a block came to be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Allocated,
    /// By a reallocation, so that it is never temporary.
    Reallocated,
    /// Listed at the opening of a segment; its own event may still come, and so may those of the address's former blocks.
    Listed,
}

/// A live block.
#[derive(Debug, Clone, Copy)]
pub(super) struct Block {
    pub(super) ticks: u64,
    pub(super) size_bytes: u64,
    pub(super) interval_bytes: u64,
    pub(super) site: u32,
    /// Allocations of its thread up to and including this one, modulo 2^32.
    number: u32,
    pub(super) origin: Origin,
}

impl Block {
    pub(super) fn weight(&self) -> Weight {
        Weight::new(self.size_bytes, self.interval_bytes)
    }
}

/// An old block between the begin of its reallocation and its outcome.
#[derive(Debug, Clone, Copy)]
struct Held {
    address: u64,
    /// `None` when the block was not known.
    block: Option<Block>,
    ticks: u64,
}

/// What is known of a thread.
#[derive(Debug, Clone, Copy, Default)]
struct ThreadState {
    allocations: u32,
    held: Option<Held>,
}

/// See the module's description.
pub(super) struct Ledger<'a> {
    pub(super) profile: &'a Profile,
    pub(super) options: ReplayOptions,
    pub(super) live: HashMap<u64, Block, RandomState>,
    pub(super) sites: Sites,
    threads: HashMap<u32, ThreadState, RandomState>,
    pub(super) early: HashMap<u64, EarlyFree, RandomState>,
    /// All live blocks together.
    pub(super) now: Tally,
    /// The largest `now` so far, and when.
    pub(super) peak: Tally,
    pub(super) peak_ticks: u64,
    pub(super) lifetimes: Histogram,
    pub(super) censored: Histogram,
    pub(super) sizes: Histogram,
    pub(super) since_counters: Since,
    counters_ticks: u64,
    /// What was allocated in this span counts: all of it without a range.
    span: (u64, u64),
    /// Live figures are taken before the first event after this moment; `None` when they are for the end or the peak.
    pub(super) snapshot_at: Option<u64>,
    pub(super) snapshot: Option<Snapshot>,
    pub(super) events: u64,
    pub(super) reallocations: u64,
    pub(super) repairs: Repairs,
    pub(super) last_ticks: u64,
    is_exact: bool,
    pub(super) interval_bytes: u64,
}

impl<'a> Ledger<'a> {
    pub(super) fn new(profile: &'a Profile, options: &ReplayOptions) -> Ledger<'a> {
        let interval_bytes = profile.interval_bytes();
        let none = Histogram::new(interval_bytes);
        let span = match options.range {
            Some(range) => (profile.clock.ticks(range.from_ns), end_of(profile, range.to_ns)),
            None => (0, u64::MAX),
        };
        let snapshot_at = match (options.range, options.moment) {
            (Some(_), _) => Some(span.1),
            (None, Moment::Time(ns)) => Some(end_of(profile, ns)),
            (None, Moment::End | Moment::Peak) => None,
        };
        Ledger {
            profile,
            options: *options,
            live: HashMap::default(),
            sites: Sites::new(interval_bytes),
            threads: HashMap::default(),
            early: HashMap::default(),
            now: Tally::new(interval_bytes),
            peak: Tally::new(interval_bytes),
            peak_ticks: profile.header.start.ticks,
            lifetimes: none.clone(),
            censored: none.clone(),
            sizes: none,
            since_counters: Since::default(),
            counters_ticks: profile.counters.last().map_or(0, |counters| counters.ticks),
            span,
            snapshot_at,
            snapshot: None,
            events: 0,
            reallocations: 0,
            repairs: Repairs::default(),
            last_ticks: 0,
            is_exact: profile.is_exact(),
            interval_bytes,
        }
    }

    /// Whether a block that was allocated then counts.
    pub(super) fn counts(&self, block: &Block) -> bool {
        (self.span.0..=self.span.1).contains(&block.ticks)
    }

    /// Whether this allocation names an address where another block is live.
    #[inline]
    pub(super) fn is_live_otherwise(&self, item: &Pending) -> bool {
        self.live.get(&item.address).is_some_and(|block| !is_listed_already(block, item))
    }

    /// Applies an event whose turn it is.
    #[inline]
    pub(super) fn apply(&mut self, item: &Pending, kind: EventKind) {
        if self.snapshot_at.is_some_and(|at| item.ticks > at) {
            self.take_snapshot();
        }
        self.events += 1;
        self.last_ticks = self.last_ticks.max(item.ticks);
        if !self.is_exact {
            self.settle_held(item, kind);
        }
        match kind {
            EventKind::Alloc => self.allocate(item, Origin::Allocated),
            EventKind::Free => self.free(item),
            EventKind::ReallocFree => self.begin_realloc(item),
            EventKind::ReallocAlloc => self.complete_realloc(item),
            EventKind::ReallocUndo => self.undo_realloc(item),
        }
    }

    /// In a sampled capture the new block of a reallocation need not be a sample: another event of the thread then
    /// shows that the old one went.
    fn settle_held(&mut self, item: &Pending, kind: EventKind) {
        if matches!(kind, EventKind::ReallocAlloc | EventKind::ReallocUndo) {
            return;
        }
        let held = self.threads.get_mut(&item.thread).and_then(|state| state.held.take());
        if let Some(held) = held {
            self.retire_held(&held);
        }
    }

    fn allocate(&mut self, item: &Pending, origin: Origin) {
        let thread = self.threads.entry(item.thread).or_default();
        thread.allocations = thread.allocations.wrapping_add(1);
        let number = thread.allocations;
        if self.live.get(&item.address).is_some_and(|block| is_listed_already(block, item)) {
            return;
        }
        let site = self.sites.index((item.stack, item.thread, item.tag), item.ticks, &self.profile.stacks);
        let interval_bytes = if self.is_exact { 1 } else { item.interval_bytes };
        let (ticks, size_bytes) = (item.ticks, item.size_bytes);
        let block = Block { ticks, size_bytes, interval_bytes, site, number, origin };
        let weight = block.weight();
        let counts = self.counts(&block);
        if let Some(site) = self.sites.change(site) {
            site.last_ticks = site.last_ticks.max(ticks);
            if counts {
                site.total.add(&weight);
            }
        }
        if counts {
            self.sizes.add(size_bytes, &weight);
        }
        if ticks > self.counters_ticks {
            self.since_counters.allocations += 1;
            self.since_counters.bytes = self.since_counters.bytes.saturating_add(size_bytes);
        }
        self.insert(item.address, block, &weight, ticks);
        self.peak_if_new(ticks);
    }

    /// Puts a block among the living.
    fn insert(&mut self, address: u64, block: Block, weight: &Weight, ticks: u64) {
        self.sites.add_live(block.site, weight, ticks);
        self.now.add(weight);
        if let Some(old) = self.live.insert(address, block) {
            // Only damage leads here: every way in has made sure that the address is free.
            self.drop_live(&old);
            self.repairs.unseen_frees += 1;
        }
    }

    fn peak_if_new(&mut self, ticks: u64) {
        if self.now.estimated_bytes() > self.peak.estimated_bytes() {
            self.peak = self.now;
            self.peak_ticks = ticks;
            self.sites.new_peak();
        }
    }

    /// Takes a block's weight out of the live figures.
    pub(super) fn drop_live(&mut self, block: &Block) {
        let weight = block.weight();
        if let Some(site) = self.sites.change(block.site) {
            site.live.remove(&weight);
        }
        self.now.remove(&weight);
    }

    fn take_out(&mut self, address: u64, ticks: u64) -> Option<Block> {
        let Entry::Occupied(entry) = self.live.entry(address) else { return None };
        // A listed block stands for the last life of its address: an earlier free belongs to a life before.
        if entry.get().origin == Origin::Listed && ticks < entry.get().ticks {
            return None;
        }
        let block = entry.remove();
        self.drop_live(&block);
        if !self.early.is_empty() {
            self.early.remove(&address);
        }
        Some(block)
    }

    fn free(&mut self, item: &Pending) {
        let Some(block) = self.take_out(item.address, item.ticks) else { return self.free_unknown(item) };
        let is_temporary = block.origin == Origin::Allocated && self.is_exact && {
            let same_thread = self.sites.get(block.site).is_some_and(|state| state.site.thread.0 == item.thread);
            let now = self.threads.get(&item.thread).map_or(0, |state| state.allocations);
            same_thread && now.wrapping_sub(block.number) <= 1
        };
        self.retire(&block, item.ticks, is_temporary);
    }

    /// Counts a block as freed; it is out of the live figures already.
    pub(super) fn retire(&mut self, block: &Block, ticks: u64, is_temporary: bool) {
        let weight = block.weight();
        if ticks > self.counters_ticks {
            self.since_counters.frees += 1;
            self.since_counters.freed_bytes = self.since_counters.freed_bytes.saturating_add(block.size_bytes);
        }
        if !self.counts(block) || ticks > self.span.1 {
            return;
        }
        if let Some(site) = self.sites.change(block.site) {
            site.freed.add(&weight);
            if let Some(temporary) = site.temporary.as_mut().filter(|_| is_temporary) {
                temporary.add(&weight);
            }
        }
        self.lifetimes.add(self.age_ns(block, ticks), &weight);
    }

    /// The old block of an address that was allocated again was freed unseen.
    pub(super) fn free_unseen(&mut self, address: u64) {
        self.give_up(address);
        self.repairs.unseen_frees += 1;
    }

    /// Counts a block as freed at an unknown time.
    pub(super) fn give_up(&mut self, address: u64) {
        let Some(block) = self.live.remove(&address) else { return };
        self.drop_live(&block);
        self.censor(&block, self.last_ticks);
        if self.counts(&block)
            && let Some(site) = self.sites.change(block.site)
        {
            site.freed.add(&block.weight());
        }
    }

    fn begin_realloc(&mut self, item: &Pending) {
        let block = self.take_out(item.address, item.ticks);
        if block.is_none() {
            self.free_unknown(item);
        }
        let held = Held { address: item.address, block, ticks: item.ticks };
        let before = self.threads.entry(item.thread).or_default().held.replace(held);
        if let Some(before) = before {
            self.retire_held(&before);
        }
    }

    fn complete_realloc(&mut self, item: &Pending) {
        if let Some(held) = self.threads.entry(item.thread).or_default().held.take() {
            self.retire_held(&held);
        }
        self.reallocations += 1;
        if item.ticks > self.counters_ticks {
            self.since_counters.reallocations += 1;
        }
        self.allocate(item, Origin::Reallocated);
    }

    fn undo_realloc(&mut self, item: &Pending) {
        match self.threads.entry(item.thread).or_default().held.take() {
            Some(Held { address, block: Some(block), .. }) => {
                self.insert(address, block, &block.weight(), item.ticks);
            }
            // The free that was none is taken back.
            Some(Held { address, block: None, .. }) => {
                self.early.remove(&address);
                self.repairs.unknown_frees = self.repairs.unknown_frees.saturating_sub(1);
            }
            None => {}
        }
    }

    fn retire_held(&mut self, held: &Held) {
        if let Some(block) = &held.block {
            self.retire(block, held.ticks, false);
        }
    }

    /// Reallocations without an outcome. In an exact capture that was cut off the old block is kept: it lives, or
    /// its contents do in a block that was never told.
    pub(super) fn settle_open_reallocs(&mut self) {
        let held: Vec<Held> = self.threads.values_mut().filter_map(|state| state.held.take()).collect();
        for held in held {
            match held.block {
                Some(block) if self.is_exact => {
                    self.repairs.open_reallocs += 1;
                    self.insert(held.address, block, &block.weight(), held.ticks);
                }
                _ => self.retire_held(&held),
            }
        }
    }

    /// Raises the interval: some live samples are forgotten, though their blocks may live on; the others stand for more.
    pub(super) fn thin(&mut self, thinning: &Thinning) {
        for address in &thinning.dropped {
            if let Some(block) = self.live.remove(address) {
                self.drop_live(&block);
                self.censor(&block, thinning.ticks);
            }
        }
        for address in &thinning.kept {
            let Some(block) = self.live.get(address).copied() else { continue };
            let kept = Block { interval_bytes: thinning.to_interval_bytes, ..block };
            self.live.insert(*address, kept);
            self.drop_live(&block);
            self.sites.add_live(kept.site, &kept.weight(), thinning.ticks);
            self.now.add(&kept.weight());
        }
    }

    /// A block that is live at a segment's opening, whose allocation was not read.
    pub(super) fn list(&mut self, listed: &LiveBlock) {
        let item = Pending::listed(listed);
        self.allocate(&item, Origin::Listed);
    }

    /// A block is lost from sight while it lives: its lifetime is longer than this.
    pub(super) fn censor(&mut self, block: &Block, ticks: u64) {
        if self.counts(block) {
            self.censored.add(self.age_ns(block, ticks), &block.weight());
        }
    }

    pub(super) fn age_ns(&self, block: &Block, ticks: u64) -> u64 {
        let clock = &self.profile.clock;
        clock.ns(ticks).saturating_sub(clock.ns(block.ticks))
    }
}

/// Whether the event tells of a block that a segment's opening listed, or of a former life of its address.
fn is_listed_already(block: &Block, item: &Pending) -> bool {
    block.origin == Origin::Listed && item.ticks <= block.ticks
}

/// The last tick of a nanosecond.
fn end_of(profile: &Profile, ns: u64) -> u64 {
    profile.clock.ticks(ns.saturating_add(1)).saturating_sub(1).max(profile.clock.ticks(ns))
}
