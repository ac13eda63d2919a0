//! Sites under way: their tallies, and what they held at the peak of the process.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::model::{StackId, StackTable, TagId, Tally, ThreadId, Weight};

use super::heap::Site;

/// What a site is known by in events: stack, thread, tag.
pub(super) type SiteKey = (u32, u32, u32);

/// A site, and until when its `at_peak` is right.
///
/// A new peak of the process would change `at_peak` of every site. So a peak is only counted, and a site notes what it held
/// at the latest peak when it first changes after it. A site whose count is behind at the end has not changed since.
#[derive(Debug, Clone)]
pub(super) struct SiteState {
    pub(super) site: Site,
    pub(super) site_peak_ticks: u64,
    peak: u64,
}

/// All sites.
pub(super) struct Sites {
    states: Vec<SiteState>,
    by_key: HashMap<SiteKey, u32, RandomState>,
    /// Number of peaks of the process so far.
    peak: u64,
    interval_bytes: u64,
    is_exact: bool,
}

impl Sites {
    pub(super) fn new(interval_bytes: u64) -> Sites {
        let is_exact = interval_bytes <= 1;
        Sites { states: Vec::new(), by_key: HashMap::default(), peak: 0, interval_bytes, is_exact }
    }

    /// The site with this key. Keys with equal stacks are one site; stacks that are defined nowhere are stack 0.
    #[inline]
    pub(super) fn index(&mut self, key: SiteKey, ticks: u64, stacks: &StackTable) -> u32 {
        if let Some(index) = self.by_key.get(&key) {
            return *index;
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
        index
    }

    fn add(&mut self, key: SiteKey, ticks: u64) -> u32 {
        let none = Tally::new(self.interval_bytes);
        let site = Site {
            stack: StackId(key.0),
            thread: ThreadId(key.1),
            tag: TagId(key.2),
            total: none,
            freed: none,
            live: none,
            at_peak: none,
            site_peak: none,
            site_peak_ns: 0,
            temporary: self.is_exact.then_some(none),
            first_ticks: ticks,
            last_ticks: ticks,
            ages: None,
        };
        self.states.push(SiteState { site, site_peak_ticks: ticks, peak: self.peak });
        (self.states.len() - 1) as u32
    }

    pub(super) fn get(&self, index: u32) -> Option<&SiteState> {
        self.states.get(index as usize)
    }

    /// The site, about to change: what it held at the latest peak is noted first.
    #[inline]
    pub(super) fn change(&mut self, index: u32) -> Option<&mut Site> {
        let peak = self.peak;
        let state = self.states.get_mut(index as usize)?;
        if state.peak < peak {
            state.site.at_peak = state.site.live;
            state.peak = peak;
        }
        Some(&mut state.site)
    }

    /// A block came to live: the site's own peak may be new.
    #[inline]
    pub(super) fn add_live(&mut self, index: u32, weight: &Weight, ticks: u64) {
        let Some(site) = self.change(index) else { return };
        site.live.add(weight);
        if site.live.estimated_bytes() > site.site_peak.estimated_bytes() {
            site.site_peak = site.live;
            if let Some(state) = self.states.get_mut(index as usize) {
                state.site_peak_ticks = ticks;
            }
        }
    }

    /// The process has reached a new peak.
    #[inline]
    pub(super) fn new_peak(&mut self) {
        self.peak += 1;
    }

    /// All sites, what they held at the peak brought up to date.
    pub(super) fn finish(self) -> Vec<SiteState> {
        let peak = self.peak;
        let mut states = self.states;
        for state in states.iter_mut().filter(|state| state.peak < peak) {
            state.site.at_peak = state.site.live;
        }
        states
    }
}
