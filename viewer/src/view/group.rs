//! Puts sites together that are one to a reader: the same shown stack, function, crate, thread or tag.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hash, Hasher};

use crate::analysis::verdict::{Verdict, verdicts};
use crate::model::{self, Profile, Tally};
use crate::replay::{AgeRange, Heap, Site};
use crate::symbolize::{Frame, Symbolizer};

use super::crate_name::{crate_of, is_library};
use super::filter::Filter;
use super::suppress::{Suppressed, Suppressions};
use super::trim::trim;
use super::type_name::type_name;

/// One in so many sites without a name is worth a warning.
const MANY: usize = 10;

/// What makes two sites one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum GroupBy {
    /// The same call stack, as it is shown
    #[default]
    Site,
    /// The same innermost function shown
    Function,
    /// The same innermost crate outside of the standard library
    Crate,
    /// The same type of the library, such as `Vec<u8>` or `HashMap<K, V>`, as far as names tell it
    Type,
    /// The same allocating thread
    Thread,
    /// The same tag
    Tag,
}

impl GroupBy {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            GroupBy::Site => "site",
            GroupBy::Function => "function",
            GroupBy::Crate => "crate",
            GroupBy::Type => "type",
            GroupBy::Thread => "thread",
            GroupBy::Tag => "tag",
        }
    }
}

/// What is looked at, and how.
#[derive(Debug, Clone, Default)]
pub struct ViewOptions {
    /// What makes two sites one.
    pub by: GroupBy,
    /// Which stacks.
    pub filter: Filter,
    /// Show allocator and runtime frames too.
    pub raw_frames: bool,
    /// What is known and accepted, and left out.
    pub suppressions: Suppressions,
}

/// Sites that are one to the reader.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// Function, crate, thread or tag; for a site its innermost shown function.
    pub name: String,
    /// The shown stack, innermost first. Of a function one frame, of crates, threads and tags none.
    pub frames: Vec<Frame>,
    /// Blocks live at the moment chosen.
    pub live: Tally,
    /// Blocks live at the peak of the process.
    pub at_peak: Tally,
    /// Everything allocated.
    pub total: Tally,
    /// Freed with at most one other allocation of the thread in between; `None` in sampled captures.
    pub temporary: Option<Tally>,
    /// Of everything allocated, what reallocations gave.
    pub reallocated: Tally,
    /// Ages of the live blocks.
    pub ages: Option<AgeRange>,
    /// Positions in [`Heap::sites`] of its sites.
    pub sites: Vec<usize>,
    /// What the evidence says of its live blocks; `None` until [`Grouping::judge`] is called.
    pub verdict: Option<Verdict>,
}

/// All groups of a heap.
#[derive(Debug, Clone, Default)]
pub struct Grouping {
    /// In the order of their first allocation.
    pub groups: Vec<Group>,
    /// Sites that the filter left out.
    pub left_out: usize,
    /// What each suppression left out, in the order of their file.
    pub suppressed: Vec<Suppressed>,
    /// Sites that are in the groups.
    pub sites: usize,
    /// Of these, sites whose innermost shown frame has no function name.
    pub unnamed: usize,
    /// Of these, sites whose innermost shown frame has a name and no file.
    pub without_file: usize,
}

impl Grouping {
    /// Groups a heap's sites.
    pub fn new(profile: &Profile, heap: &Heap, symbolizer: &mut Symbolizer<'_>, options: &ViewOptions) -> Grouping {
        symbolizer.prepare(heap.sites.iter().map(|site| (site.stack, site.first_ticks)));
        let suppressed = options.suppressions.unused(heap.interval_bytes);
        let mut grouping = Grouping { suppressed, ..Grouping::default() };
        let mut positions: HashMap<Key, usize> = HashMap::new();
        let hashers = [RandomState::new(), RandomState::new()];
        for (at, site) in heap.sites.iter().enumerate() {
            let frames = shown_frames(symbolizer, site, options.raw_frames);
            if !options.filter.keeps(&frames) {
                grouping.left_out += 1;
                continue;
            }
            if options.suppressions.take(site, &frames, &mut grouping.suppressed) {
                continue;
            }
            grouping.count(&frames);
            let type_name = (options.by == GroupBy::Type).then(|| type_of(profile, symbolizer, site));
            let (key, name, frames) = identify(profile, site, frames, type_name, options.by, &hashers);
            match positions.entry(key) {
                Entry::Occupied(entry) => {
                    if let Some(group) = grouping.groups.get_mut(*entry.get()) {
                        group.add(at, site);
                    }
                }
                Entry::Vacant(entry) => {
                    entry.insert(grouping.groups.len());
                    let mut group = Group::empty(name, frames, heap.interval_bytes);
                    group.add(at, site);
                    grouping.groups.push(group);
                }
            }
        }
        grouping
    }

    /// Gives every group its verdict.
    pub fn judge(&mut self, profile: &Profile, heap: &Heap) {
        let verdicts = verdicts(profile, heap, self.groups.iter().map(|group| group.sites.as_slice()));
        self.groups.iter_mut().zip(verdicts).for_each(|(group, verdict)| group.verdict = Some(verdict));
    }

    fn count(&mut self, frames: &[Frame]) {
        self.sites += 1;
        let innermost = frames.first().filter(|frame| !frame.is_marker());
        self.unnamed += usize::from(innermost.is_some_and(|frame| frame.function.is_none()));
        self.without_file +=
            usize::from(innermost.is_some_and(|frame| frame.function.is_some() && frame.file.is_none()));
    }

    /// What a reader should know when a good part of the sites lacks names or lines.
    pub fn warnings(&self) -> Vec<String> {
        let many = |number: usize| number > 0 && number.saturating_mul(MANY) >= self.sites;
        let mut warnings: Vec<String> = self.suppressed.iter().filter_map(Suppressed::warning).collect();
        if many(self.unnamed) {
            warnings.push(format!(
                "{} of {} stacks have no function names: the program is stripped, or its file is not here; name the \
                 directory of the unstripped one with --symbols",
                self.unnamed, self.sites
            ));
        }
        if many(self.without_file) {
            warnings.push(format!(
                "{} of {} stacks have no files and lines: build the program with debug = 1",
                self.without_file, self.sites
            ));
        }
        warnings
    }

    /// Groups that hold something of `figure`, most bytes first, then in the order of their first allocation.
    pub fn ranked(&self, figure: impl Fn(&Group) -> Tally) -> Vec<&Group> {
        let mut ranked: Vec<&Group> = self.groups.iter().filter(|group| !figure(group).is_empty()).collect();
        ranked.sort_by_key(|group| Reverse(figure(group).estimated_bytes()));
        ranked
    }
}

/// A site's stack as it is shown, innermost first.
pub(crate) fn shown_frames(symbolizer: &mut Symbolizer<'_>, site: &Site, raw: bool) -> Vec<Frame> {
    let frames = symbolizer.stack(site.stack, site.first_ticks);
    if raw { frames } else { trim(&frames).to_vec() }
}

/// The name of the crate that a shown stack is counted for.
pub(crate) fn crate_name(frames: &[Frame]) -> &str {
    let crates = || frames.iter().filter_map(crate_of);
    crates().find(|name| !is_library(name)).or_else(|| crates().next()).unwrap_or("[unknown]")
}

/// What a site's stack stands on in a picture, when stacks are put together by something that is no part of them.
pub(crate) fn root_of(
    profile: &Profile,
    symbolizer: &mut Symbolizer<'_>,
    site: &Site,
    frames: &[Frame],
    by: GroupBy,
) -> Option<String> {
    match by {
        GroupBy::Site | GroupBy::Function => None,
        GroupBy::Crate => Some(crate_name(frames).to_owned()),
        GroupBy::Type => Some(type_of(profile, symbolizer, site)),
        GroupBy::Thread => Some(profile.thread_name(site.thread)),
        GroupBy::Tag => Some(profile.tag_name(site.tag).unwrap_or_else(|| "[no tag]".to_owned())),
    }
}

/// The type of a site's blocks, as far as it is told.
pub(crate) fn type_of(profile: &Profile, symbolizer: &mut Symbolizer<'_>, site: &Site) -> String {
    let mut frames: Vec<(Frame, Option<std::sync::Arc<str>>)> = Vec::new();
    for call in profile.stacks.frames(site.stack) {
        let model::Frame::Address(address) = call else { break };
        let found = symbolizer.address(address, site.first_ticks);
        let names = symbolizer.short_names(address, site.first_ticks);
        // Without one for each frame it is not known which are whose.
        let are_whose = names.len() == found.len();
        let name = |at: usize| names.get(at).filter(|_| are_whose).cloned().flatten();
        frames.extend(found.iter().cloned().enumerate().map(|(at, frame)| (frame, name(at))));
        if found.iter().any(|frame| crate_of(frame).is_some_and(|name| !is_library(name) && name != "plimsoll")) {
            break;
        }
    }
    type_name(frames.iter().map(|(frame, name)| (frame, name.as_deref())))
}

/// What two equal groups have in common.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    /// Name, file and line of every frame, hashed twice with keys that no capture knows: there may be millions of frames.
    /// Not the addresses: inlining may give one call several.
    Frames([u64; 2]),
    Name(String),
}

/// Frames as they are shown.
struct Shown<'a>(&'a [Frame]);

impl Hash for Shown<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.iter().for_each(|frame| (frame.name(), &frame.file, frame.line).hash(state));
    }
}

fn identify(
    profile: &Profile,
    site: &Site,
    mut frames: Vec<Frame>,
    type_name: Option<String>,
    by: GroupBy,
    hashers: &[RandomState; 2],
) -> (Key, String, Vec<Frame>) {
    let function = || frames.first().map(Frame::name).unwrap_or_default();
    let name = match by {
        GroupBy::Site => {
            let key = hashers.each_ref().map(|hasher| hasher.hash_one(Shown(&frames)));
            return (Key::Frames(key), function(), frames);
        }
        GroupBy::Function => function(),
        GroupBy::Crate => crate_name(&frames).to_owned(),
        GroupBy::Type => type_name.unwrap_or_default(),
        GroupBy::Thread => profile.thread_name(site.thread),
        GroupBy::Tag => profile.tag_name(site.tag).unwrap_or_else(|| "[no tag]".to_owned()),
    };
    frames.truncate(usize::from(by == GroupBy::Function));
    (Key::Name(name.clone()), name, frames)
}

impl Group {
    fn empty(name: String, frames: Vec<Frame>, interval_bytes: u64) -> Group {
        let none = Tally::new(interval_bytes);
        Group {
            name,
            frames,
            live: none,
            at_peak: none,
            total: none,
            temporary: None,
            reallocated: none,
            ages: None,
            sites: Vec::new(),
            verdict: None,
        }
    }

    fn add(&mut self, at: usize, site: &Site) {
        self.sites.push(at);
        self.live += site.live;
        self.at_peak += site.at_peak;
        self.total += site.total;
        self.reallocated += site.reallocated;
        self.temporary = match (self.temporary, site.temporary) {
            (Some(mut sum), Some(more)) => {
                sum += more;
                Some(sum)
            }
            (sum, more) => sum.or(more),
        };
        self.ages = match (self.ages, site.ages) {
            (Some(one), Some(other)) => Some(AgeRange {
                oldest_ns: one.oldest_ns.max(other.oldest_ns),
                youngest_ns: one.youngest_ns.min(other.youngest_ns),
            }),
            (one, other) => one.or(other),
        };
    }
}
