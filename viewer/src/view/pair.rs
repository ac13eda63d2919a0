//! Puts the groups of two captures, or of two moments of one, side by side.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::model::Tally;
use crate::symbolize::Frame;

use super::group::{Group, GroupBy, Grouping};

/// What is one to the reader in both.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// As the group's; of the later capture where both have it.
    pub name: String,
    /// Likewise.
    pub frames: Vec<Frame>,
    /// The figure before.
    pub before: Tally,
    /// The figure after.
    pub after: Tally,
    /// Of `before`, what is not in `after`: all of it when these are two captures; of two moments of one capture what was
    /// freed in between.
    pub gone: Tally,
    /// Of `after`, what is not in `before`.
    pub come: Tally,
}

/// What two equal groups have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    /// Functions, innermost first. Lines move from build to build, and addresses always do.
    Functions(Vec<String>),
    /// Functions and places, within one capture.
    Frames(Vec<(String, Option<String>)>),
}

/// Pairs the groups of two captures by the names of their functions. Those of a capture that differ by lines alone are
/// one here. The intervals are those of the captures: a site without a sample is not known to be empty.
pub fn pair_captures(
    [before, after]: [&Grouping; 2],
    by: GroupBy,
    intervals: [u64; 2],
    figure: impl Fn(&Group) -> Tally,
) -> Vec<Pair> {
    let key = |group: &Group| match by {
        GroupBy::Site => Key::Functions(group.frames.iter().map(Frame::name).collect()),
        _ => Key::Name(group.name.clone()),
    };
    let mut pairs = Pairs::new(intervals);
    after.groups.iter().for_each(|group| pairs.of(key(group), group).after += figure(group));
    before.groups.iter().for_each(|group| pairs.of(key(group), group).before += figure(group));
    let whole = |pair: Pair| Pair { gone: pair.before, come: pair.after, ..pair };
    pairs.with_something().map(whole).collect()
}

/// Pairs the groups of two moments of one capture; `between` is what was allocated after the first and is live at the
/// second. What is live at both is the same blocks, and so no noise in the difference.
pub fn pair_moments([before, after, between]: [&Grouping; 3], by: GroupBy, interval_bytes: u64) -> Vec<Pair> {
    let key = |group: &Group| match by {
        GroupBy::Site => Key::Frames(group.frames.iter().map(|frame| (frame.name(), frame.place())).collect()),
        _ => Key::Name(group.name.clone()),
    };
    let mut pairs = Pairs::new([interval_bytes; 2]);
    after.groups.iter().for_each(|group| pairs.of(key(group), group).after += group.live);
    before.groups.iter().for_each(|group| pairs.of(key(group), group).before += group.live);
    between.groups.iter().for_each(|group| pairs.of(key(group), group).come += group.live);
    let whole = |pair: Pair| {
        let mut stayed = pair.after;
        stayed -= pair.come;
        let mut gone = pair.before;
        gone -= stayed;
        Pair { gone, ..pair }
    };
    pairs.with_something().map(whole).collect()
}

struct Pairs {
    pairs: Vec<Pair>,
    intervals: [u64; 2],
    positions: HashMap<Key, usize>,
}

impl Pairs {
    fn new(intervals: [u64; 2]) -> Pairs {
        Pairs { pairs: Vec::new(), positions: HashMap::new(), intervals }
    }

    /// The pair of a group, an empty one at first.
    fn of(&mut self, key: Key, group: &Group) -> &mut Pair {
        let at = match self.positions.entry(key) {
            Entry::Occupied(entry) => *entry.get(),
            Entry::Vacant(entry) => {
                let [before, after] = self.intervals.map(Tally::new);
                let (name, frames) = (group.name.clone(), group.frames.clone());
                self.pairs.push(Pair { name, frames, before, after, gone: before, come: after });
                *entry.insert(self.pairs.len() - 1)
            }
        };
        &mut self.pairs[at]
    }

    /// Those of which anything was recorded.
    fn with_something(self) -> impl Iterator<Item = Pair> {
        self.pairs.into_iter().filter(|pair| !pair.before.is_empty() || !pair.after.is_empty())
    }
}
