//! Which module is where, and when. A program that loads and unloads libraries for days has thousands of modules at few
//! addresses, and a hostile capture as many as it likes at all of them: a look-up takes a few steps in either.

use std::collections::{BTreeMap, BTreeSet};

use super::modules::ModuleInfo;

/// Modules in all places together: one for each module and boundary of another one in it. What is beyond is in no place, so
/// that its addresses have no name: never a wrong one.
const MAX_HOLDERS: usize = 4 << 20;
/// Modules that were noticed before a moment and had gone by then, at most, before one that had not.
const MAX_STEPS: usize = 64;

/// A module at a place.
#[derive(Debug, Clone, Copy)]
struct Holder {
    id: u32,
    /// When it was noticed.
    ticks: u64,
    /// When its absence was.
    gone_ticks: Option<u64>,
}

/// A span of addresses between two boundaries.
#[derive(Debug, Clone, Default)]
struct Place {
    start: u64,
    /// In the order in which they were noticed.
    holders: Vec<Holder>,
}

/// All places, in order; each ends where the next begins.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(Vec<Place>);

impl Places {
    pub(super) fn of(modules: &BTreeMap<u32, ModuleInfo>) -> Places {
        let mut starts = BTreeSet::new();
        let ranges = modules.values().filter(|info| info.module.start < info.module.end);
        for info in ranges.clone() {
            starts.extend([info.module.start, info.module.end]);
        }
        let place = |start| Place { start, holders: Vec::new() };
        let mut places: Vec<Place> = starts.into_iter().map(place).collect();
        let mut room = MAX_HOLDERS;
        for info in ranges {
            let first = places.partition_point(|place| place.start < info.module.start);
            let end = places.partition_point(|place| place.start < info.module.end);
            let Some(left) = room.checked_sub(end - first) else { continue };
            room = left;
            let holder = Holder { id: info.module.id, ticks: info.module.ticks, gone_ticks: info.unloaded_ticks };
            let within = places.get_mut(first..end).unwrap_or_default();
            within.iter_mut().for_each(|place| place.holders.push(holder));
        }
        // Of those noticed at one moment the one with the largest id is the latest.
        places.iter_mut().for_each(|place| place.holders.sort_by_key(|holder| holder.ticks));
        Places(places)
    }

    /// The id of the module that [`Modules::find`](super::Modules::find) means.
    pub(super) fn find(&self, address: u64, ticks: u64) -> Option<u32> {
        let behind = self.0.partition_point(|place| place.start <= address);
        let holders = &self.0.get(behind.checked_sub(1)?)?.holders;
        let later = holders.partition_point(|holder| holder.ticks <= ticks);
        let noticed = holders.iter().take(later).rev().take(MAX_STEPS);
        let is_there = |holder: &&Holder| holder.gone_ticks.is_none_or(|gone| ticks < gone);
        let mut near = noticed.clone().filter(is_there);
        let next = || holders.get(later);
        let last = || noticed.max_by_key(|holder| holder.gone_ticks);
        near.next().or_else(next).or_else(last).map(|holder| holder.id)
    }
}
