//! What is the resident set for? Splits it into the live heap, what allocators keep, files, stacks and the rest, and
//! says which part is the one to look at.
//!
//! `viewer/docs/rss.md` has the formulas and what they cannot see.

mod account;
mod cause;

use plimsoll_format::{AllocatorReading, LargeMapping, MappingKind, MappingPart, Mappings, Serves};

use crate::model::{Footprint, Measure, Profile};

use super::summary::difference;
use account::{Account, Given};
pub use cause::Cause;

/// A part of the resident set. No byte is in two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// Blocks of the program that are allocated and not freed, in the bytes that it asked for.
    LiveHeap,
    /// Blocks of an allocator that the program did not ask for through its global allocator: C code's.
    CHeap,
    /// What allocators add to each block: headers, rounding, bookkeeping.
    Overhead,
    /// Free memory that allocators keep.
    Retained,
    /// Pages of files: the program, its libraries, and whatever was mapped.
    Files,
    /// Shared memory and files that live in memory.
    Shared,
    /// Stacks of threads.
    Stacks,
    /// Anonymous memory that no allocator speaks for: mapped directly, by C code or by an allocator without statistics.
    Anonymous,
    /// The agent's tables and its blocks.
    Agent,
}

impl Part {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Part::LiveHeap => "live_heap",
            Part::CHeap => "c_heap",
            Part::Overhead => "overhead",
            Part::Retained => "retained",
            Part::Files => "files",
            Part::Shared => "shared",
            Part::Stacks => "stacks",
            Part::Anonymous => "anonymous",
            Part::Agent => "agent",
        }
    }
}

/// How the program's allocator is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Basis {
    /// It said what it holds.
    Stated,
    /// It is not known which allocator it is; the C library's has handed out enough to be it.
    Assumed,
    /// It gives no statistics: what it keeps is in [`Part::Anonymous`].
    Silent,
}

impl Basis {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Basis::Stated => "stated",
            Basis::Assumed => "assumed",
            Basis::Silent => "silent",
        }
    }
}

/// The resident set at one moment, split.
#[derive(Debug, Clone, PartialEq)]
pub struct RssSplit<'a> {
    /// When it was read, nanoseconds after the session's start.
    pub at_ns: u64,
    /// The system's own count before and after the mappings were read.
    pub rss_bytes: Measure,
    /// The parts, in the order of [`Part`]; a part that is not there is 0.
    pub parts: Vec<(Part, Measure)>,
    /// The middle of `rss_bytes` less all parts.
    pub remainder_bytes: i64,
    /// Bytes that the program had allocated and not freed, resident or not.
    pub live_bytes: Measure,
    /// The allocator that serves the program, where one said so.
    pub allocator: Option<&'a AllocatorReading>,
    /// How that is known.
    pub basis: Basis,
    /// What the mappings hold by kind.
    pub mappings: &'a [MappingPart],
    /// The largest mappings.
    pub largest: &'a [LargeMapping],
    /// The part to look at.
    pub cause: Cause,
}

impl RssSplit<'_> {
    /// Bytes of a part.
    pub fn part(&self, part: Part) -> Measure {
        self.parts.iter().find(|(known, _)| *known == part).map_or(Measure::exact(0), |(_, bytes)| *bytes)
    }

    /// How many mappings of a kind there are.
    pub fn mappings_of(&self, kind: MappingKind) -> u32 {
        of_kind(self.mappings, kind).map_or(0, |part| part.mappings)
    }

    /// The largest mapping of a kind.
    pub fn largest_of(&self, kind: MappingKind) -> Option<&LargeMapping> {
        self.largest.iter().find(|large| large.kind == kind)
    }
}

/// The reading that is nearest to a moment, split. `None` when the capture has none.
pub fn rss(profile: &Profile, at_ns: u64) -> Option<RssSplit<'_>> {
    let nearest = profile.footprints.iter().min_by_key(|reading| profile.ns(reading.mappings.ticks).abs_diff(at_ns))?;
    Some(split(nearest, profile.ns(nearest.mappings.ticks)))
}

fn split(reading: &Footprint, at_ns: u64) -> RssSplit<'_> {
    let mappings = &reading.mappings;
    let given = Given::new(mappings, &reading.allocators);
    let (allocator, basis) = program_allocator(&reading.allocators, given.live.low);
    let others = reading.allocators.iter().find(|other| allocator.is_none_or(|own| own.allocator != other.allocator));
    let account = match allocator {
        Some(own) if own.mapped_bytes.is_some() && own.resident_bytes.is_none() => account::by_arenas(&given, own),
        Some(own) => account::by_resident(&given, own, others),
        None => account::without(&given, others),
    };
    let parts = parts(&account, &given);
    let rss_bytes = Measure::between(mappings.rss_before_bytes, mappings.rss_after_bytes);
    let sum = parts.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(bytes.value));
    let mut split = RssSplit {
        at_ns,
        rss_bytes,
        parts,
        remainder_bytes: (rss_bytes.value as i64).saturating_sub(sum as i64),
        live_bytes: given.live,
        allocator,
        basis,
        mappings: &mappings.parts,
        largest: &mappings.largest,
        cause: Cause::Small,
    };
    split.cause = cause::of(&split);
    split
}

fn parts(account: &Account, given: &Given) -> Vec<(Part, Measure)> {
    let of = |kind| Measure::exact(given.rss(kind));
    vec![
        (Part::LiveHeap, account.live),
        (Part::CHeap, account.c_heap),
        (Part::Overhead, account.overhead),
        (Part::Retained, account.retained),
        // The kernel's own pages are a few, and lie among the libraries.
        (Part::Files, Measure::exact(given.rss(MappingKind::File).saturating_add(given.rss(MappingKind::Kernel)))),
        (Part::Shared, of(MappingKind::Shared)),
        (Part::Stacks, of(MappingKind::Stack)),
        (Part::Anonymous, account.anonymous),
        (Part::Agent, Measure::exact(given.rss(MappingKind::Agent).saturating_add(account.agent))),
    ]
}

/// Which reading is of the allocator that serves the program.
///
/// One that has handed out clearly less than the program holds is not it, whatever it says: malloc may have been
/// replaced by another library.
fn program_allocator(readings: &[AllocatorReading], live_bytes: u64) -> (Option<&AllocatorReading>, Basis) {
    let is_enough =
        |reading: &&AllocatorReading| reading.allocated_bytes.is_none_or(|bytes| bytes >= live_bytes - live_bytes / 10);
    let serving = |serves| readings.iter().find(|reading| reading.serves == serves).filter(is_enough);
    if let Some(own) = serving(Serves::Program) {
        return (Some(own), Basis::Stated);
    }
    match serving(Serves::Unknown) {
        Some(likely) => (Some(likely), Basis::Assumed),
        None => (None, Basis::Silent),
    }
}

fn of_kind(parts: &[MappingPart], kind: MappingKind) -> Option<&MappingPart> {
    parts.iter().find(|part| part.kind == kind)
}

/// Live bytes between two readings of the totals.
fn live_bytes(mappings: &Mappings) -> Measure {
    let (low, high) = (&mappings.program, &mappings.program_upper);
    difference((low.bytes, high.bytes), (low.freed_bytes, high.freed_bytes))
}
