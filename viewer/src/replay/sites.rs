//! Sites under way: their sums, and what they held at the peak of the process.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::{StackId, StackTable, TagId, ThreadId};

use super::evidence::Gathering;
use super::figure::Figure;
use super::heap::Site;

/// Keys looked up lately, a power of two: most allocations come from a few sites.
const RECENT: usize = 1 << 10;

/// What a site is known by in events: stack, thread, tag.
pub(super) type SiteKey = (u32, u32, u32);

/// A site, and until when its `at_peak` is right.
///
/// A new peak of the process would change `at_peak` of every site. So a peak is only counted, and a site notes what it held
/// at the latest peak when it first changes after it. A site whose count is behind at the end has not changed since.
#[derive(Debug, Clone)]
pub(super) struct SiteState<F> {
    pub(super) thread: u32,
    stack: u32,
    tag: u32,
    pub(super) total: F,
    pub(super) freed: F,
    pub(super) live: F,
    pub(super) temporary: F,
    /// Allocated by reallocations.
    pub(super) reallocated: F,
    at_peak: F,
    site_peak: F,
    pub(super) site_peak_ticks: u64,
    first_ticks: u64,
    pub(super) last_ticks: u64,
    /// Ticks that its blocks lived, added up: to their free, or as far as they were followed.
    pub(super) lived_ticks: u128,
    peak: u64,
    pub(super) gathering: Gathering,
}

impl<F: Figure> SiteState<F> {
    /// A block came to live: the site's own peak may be new.
    #[inline]
    pub(super) fn add_live(&mut self, weight: &F::Weight, ticks: u64) {
        self.live.add(weight);
        if self.live.estimated_bytes() > self.site_peak.estimated_bytes() {
            self.site_peak = self.live;
            self.site_peak_ticks = ticks;
        }
    }

    /// As the rest of the program knows it; live figures, times and bounds are filled in later.
    pub(super) fn site(&self) -> Site {
        Site {
            stack: StackId(self.stack),
            thread: ThreadId(self.thread),
            tag: TagId(self.tag),
            total: self.total.tally(),
            freed: self.freed.tally(),
            live: self.live.tally(),
            at_peak: self.at_peak.tally(),
            site_peak: self.site_peak.tally(),
            site_peak_ns: 0,
            temporary: F::EXACT.then(|| self.temporary.tally()),
            lived_ns: None,
            reallocated: self.reallocated.tally(),
            first_ticks: self.first_ticks,
            last_ticks: self.last_ticks,
            ages: None,
        }
    }
}

/// All sites.
pub(super) struct Sites<F> {
    states: Vec<SiteState<F>>,
    by_key: HashMap<SiteKey, u32, RandomState>,
    /// Of the keys looked up lately: the key and its site.
    recent: Vec<(SiteKey, u32)>,
    /// Sites told apart at most, and allocations that came after them.
    most: usize,
    pub(super) merged: u64,
    /// Number of peaks of the process so far.
    peak: u64,
    interval_bytes: u64,
    /// The bin of time under way.
    bin: u32,
}

impl<F: Figure> Sites<F> {
    pub(super) fn new(interval_bytes: u64, most: usize) -> Sites<F> {
        // No site has this number: a capture would have to name four thousand million of them.
        let nothing = ((0, 0, 0), u32::MAX);
        Sites {
            states: Vec::new(),
            by_key: HashMap::default(),
            recent: vec![nothing; RECENT],
            most,
            merged: 0,
            peak: 0,
            interval_bytes,
            bin: 0,
        }
    }

    /// The site with this key. Keys with equal stacks are one site; stacks that are defined nowhere are stack 0.
    #[inline]
    pub(super) fn index(&mut self, key: SiteKey, ticks: u64, stacks: &StackTable) -> u32 {
        let place = (key.0 ^ key.1.rotate_left(5) ^ key.2.rotate_left(7)) as usize % RECENT;
        match self.recent.get(place) {
            Some((known, index)) if *known == key && *index != u32::MAX => *index,
            _ => {
                let Some(index) = self.look_up(key, ticks, stacks) else { return self.rest(ticks) };
                if let Some(recent) = self.recent.get_mut(place) {
                    *recent = (key, index);
                }
                index
            }
        }
    }

    /// The site of a key; `None` when there are as many as are told apart, and this would be one more.
    fn look_up(&mut self, key: SiteKey, ticks: u64, stacks: &StackTable) -> Option<u32> {
        if let Some(index) = self.by_key.get(&key) {
            return Some(*index);
        }
        // An equal stack may have several keys, and the last place is that of what is put together.
        if self.states.len() + 1 >= self.most || self.by_key.len() >= self.most.saturating_mul(2) {
            return None;
        }
        let stack = stacks.same_as(StackId(key.0));
        let known = stacks.node(stack).map_or(0, |_| stack.0);
        let same = (known, key.1, key.2);
        let index = match self.by_key.get(&same) {
            Some(index) => *index,
            None => self.add(same, ticks),
        };
        self.by_key.insert(same, index);
        self.by_key.insert(key, index);
        Some(index)
    }

    /// The site of what comes after as many sites as are told apart.
    fn rest(&mut self, ticks: u64) -> u32 {
        let key = (0, 0, 0);
        self.merged += 1;
        match self.by_key.get(&key) {
            Some(index) => *index,
            None => {
                let index = self.add(key, ticks);
                self.by_key.insert(key, index);
                index
            }
        }
    }

    fn add(&mut self, key: SiteKey, ticks: u64) -> u32 {
        let none = F::none(self.interval_bytes);
        self.states.push(SiteState {
            stack: key.0,
            thread: key.1,
            tag: key.2,
            total: none,
            freed: none,
            live: none,
            temporary: none,
            reallocated: none,
            at_peak: none,
            site_peak: none,
            site_peak_ticks: ticks,
            first_ticks: ticks,
            last_ticks: ticks,
            lived_ticks: 0,
            peak: self.peak,
            gathering: Gathering::new(self.bin),
        });
        (self.states.len() - 1) as u32
    }

    /// The thread that allocates at a site.
    #[inline]
    pub(super) fn thread(&self, index: u32) -> Option<u32> {
        self.states.get(index as usize).map(|state| state.thread)
    }

    /// The site, about to change: what it held at the latest peak is noted first.
    #[inline]
    pub(super) fn change(&mut self, index: u32) -> Option<&mut SiteState<F>> {
        let peak = self.peak;
        let state = self.states.get_mut(index as usize)?;
        if state.peak < peak {
            state.at_peak = state.live;
            state.peak = peak;
        }
        state.gathering.enter(self.bin, state.live.estimated_bytes());
        Some(state)
    }

    /// The site as it is.
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut SiteState<F>> {
        self.states.get_mut(index as usize)
    }

    /// Another bin of time has begun.
    pub(super) fn enter_bin(&mut self, bin: u32) {
        self.bin = bin;
    }

    /// The process has reached a new peak.
    #[inline]
    pub(super) fn new_peak(&mut self) {
        self.peak += 1;
    }

    /// All sites, what they held at the peak brought up to date.
    pub(super) fn finish(self) -> Vec<SiteState<F>> {
        let peak = self.peak;
        let mut states = self.states;
        for state in states.iter_mut().filter(|state| state.peak < peak) {
            state.at_peak = state.live;
        }
        states
    }
}
