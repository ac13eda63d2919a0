//! Which part of the resident set is the one to look at.

use plimsoll_format::MappingKind;

use super::{Basis, Part, RssSplit};

/// A resident set with less than this beside the live heap needs no explanation.
const SMALL: u64 = 8 << 20;
/// A gap of less than one part in this many of the resident set neither.
const SHARE: u64 = 4;
/// Free pieces that are smaller on average hold no whole page that could be given back: a piece that lies anywhere needs two
/// pages' length to be sure of holding one.
const PIECE: u64 = 2 * 4096;

/// What explains most of a resident set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// There is little beside the live heap, in bytes.
    Small,
    /// The live heap is most of it.
    LiveHeap,
    /// Free memory in pieces too small to give back, between blocks that live on.
    PinnedPages,
    /// Free memory in the arenas of threads.
    Arenas,
    /// Free memory in whole pages.
    Retention,
    /// Freed pages that wait to be given back.
    DirtyPages,
    /// Pages that a few blocks each keep.
    PartlyFilledPages,
    /// What an allocator adds to each block.
    Overhead,
    /// Blocks of C code.
    CHeap,
    /// Anonymous memory that no allocator speaks for.
    Anonymous,
    /// The same, where the program's own allocator says nothing.
    SilentAllocator,
    /// Mapped files.
    Files,
    /// Shared memory.
    Shared,
    /// Stacks of threads.
    Stacks,
    /// The agent.
    Agent,
}

impl Cause {
    /// The name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Small => "small",
            Cause::LiveHeap => "live-heap",
            Cause::PinnedPages => "pinned-pages",
            Cause::Arenas => "arenas",
            Cause::Retention => "retention",
            Cause::DirtyPages => "dirty-pages",
            Cause::PartlyFilledPages => "partly-filled-pages",
            Cause::Overhead => "overhead",
            Cause::CHeap => "c-heap",
            Cause::Anonymous => "anonymous",
            Cause::SilentAllocator => "silent-allocator",
            Cause::Files => "files",
            Cause::Shared => "shared-memory",
            Cause::Stacks => "stacks",
            Cause::Agent => "agent",
        }
    }

    /// The part that it is about.
    pub fn part(self) -> Part {
        match self {
            Cause::Small | Cause::LiveHeap => Part::LiveHeap,
            Cause::PinnedPages | Cause::Arenas | Cause::Retention | Cause::DirtyPages | Cause::PartlyFilledPages => {
                Part::Retained
            }
            Cause::Overhead => Part::Overhead,
            Cause::CHeap => Part::CHeap,
            Cause::Anonymous | Cause::SilentAllocator => Part::Anonymous,
            Cause::Files => Part::Files,
            Cause::Shared => Part::Shared,
            Cause::Stacks => Part::Stacks,
            Cause::Agent => Part::Agent,
        }
    }
}

/// The largest part beside the live heap, unless that is most of it.
pub(super) fn of(split: &RssSplit<'_>) -> Cause {
    let live = split.part(Part::LiveHeap).value;
    let gap = split.rss_bytes.value.saturating_sub(live);
    if gap <= split.rss_bytes.value / SHARE {
        return Cause::LiveHeap;
    }
    if gap < SMALL {
        return Cause::Small;
    }
    let others = split.parts.iter().filter(|(part, _)| *part != Part::LiveHeap);
    match others.max_by_key(|(_, bytes)| bytes.value).map(|(part, _)| *part) {
        Some(Part::Retained) => retention(split),
        Some(Part::CHeap) => Cause::CHeap,
        Some(Part::Overhead) => Cause::Overhead,
        Some(Part::Files) => Cause::Files,
        Some(Part::Shared) => Cause::Shared,
        Some(Part::Stacks) => Cause::Stacks,
        Some(Part::Anonymous) if split.basis == Basis::Silent => Cause::SilentAllocator,
        Some(Part::Anonymous) => Cause::Anonymous,
        Some(Part::Agent) => Cause::Agent,
        Some(Part::LiveHeap) | None => Cause::LiveHeap,
    }
}

/// Why the allocator keeps what it keeps, by what it says.
fn retention(split: &RssSplit<'_>) -> Cause {
    let Some(own) = split.allocator else { return Cause::Retention };
    if let (Some(resident), Some(active), Some(allocated)) = (own.resident_bytes, own.active_bytes, own.allocated_bytes)
    {
        let dirty = resident.saturating_sub(active).saturating_sub(own.metadata_bytes.unwrap_or(0));
        let unfilled = active.saturating_sub(allocated);
        return if dirty >= unfilled { Cause::DirtyPages } else { Cause::PartlyFilledPages };
    }
    if own.resident_bytes.is_some() {
        return Cause::Retention;
    }
    let rss = |kind| super::of_kind(split.mappings, kind).map_or(0, |part| part.rss_bytes);
    match (own.free_bytes, own.free_pieces) {
        (Some(free), Some(pieces)) if pieces > 0 && free / pieces < PIECE => Cause::PinnedPages,
        _ if rss(MappingKind::Arena) > rss(MappingKind::Heap) => Cause::Arenas,
        _ => Cause::Retention,
    }
}
