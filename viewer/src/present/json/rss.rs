//! `plimsoll rss --json`.

use plimsoll_format::{AllocatorReading, LargeMapping, MappingKind, MappingPart};
use serde::Serialize;

use crate::analysis::RssSplit;
use crate::present::rss::verdict;
use crate::present::screen::View;

use super::CommonJson;
use super::parts::{MeasureJson, ms};

/// The whole object.
#[derive(Debug, Serialize)]
pub struct RssJson {
    /// What every command says.
    #[serde(flatten)]
    pub common: CommonJson,
    /// The resident set, split; `null` when the capture does not say.
    pub rss: Option<SplitJson>,
}

/// The resident set at one moment, split.
#[derive(Debug, Serialize)]
pub struct SplitJson {
    /// When it was read, since the session's start: the reading nearest to the moment asked for.
    pub at_ms: f64,
    /// The resident set, from before to after its mappings were read.
    pub rss_bytes: MeasureJson,
    /// Live bytes of the program, resident or not.
    pub live_bytes: MeasureJson,
    /// The parts; no byte is in two.
    pub parts: Vec<PartJson>,
    /// The resident set less all parts; may be negative.
    pub remainder_bytes: i64,
    /// The allocator that serves the program, `null` when none said so.
    pub allocator: Option<AllocatorJson>,
    /// How that is known: `stated`, `assumed` or `silent`.
    pub allocator_basis: &'static str,
    /// Mappings by kind.
    pub mappings: Vec<MappingJson>,
    /// The largest mappings.
    pub largest: Vec<LargeJson>,
    /// What explains most of it.
    pub verdict: VerdictJson,
}

/// A part.
#[derive(Debug, Serialize)]
pub struct PartJson {
    /// Which.
    pub part: &'static str,
    /// How much of it is resident.
    pub bytes: MeasureJson,
}

/// What an allocator said of itself; `null` where it does not say.
#[derive(Debug, Serialize)]
pub struct AllocatorJson {
    /// Its name.
    pub name: String,
    /// In blocks handed out.
    pub allocated_bytes: Option<u64>,
    /// Of these, in blocks that have a mapping each.
    pub large_bytes: Option<u64>,
    /// In free pieces.
    pub free_bytes: Option<u64>,
    /// Number of these.
    pub free_pieces: Option<u64>,
    /// Of the free bytes, those at the top.
    pub top_bytes: Option<u64>,
    /// Mapped in all.
    pub mapped_bytes: Option<u64>,
    /// Of these, resident at most.
    pub resident_bytes: Option<u64>,
    /// In pages that hold a block.
    pub active_bytes: Option<u64>,
    /// For bookkeeping.
    pub metadata_bytes: Option<u64>,
    /// How long the reading took.
    pub read_ms: f64,
}

/// Mappings of one kind.
#[derive(Debug, Serialize)]
pub struct MappingJson {
    /// What they are for.
    pub kind: &'static str,
    /// How many.
    pub mappings: u32,
    /// Address space.
    pub size_bytes: u64,
    /// Of this, resident.
    pub rss_bytes: u64,
    /// Of the resident, pages that no file backs.
    pub anonymous_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
}

/// A large mapping.
#[derive(Debug, Serialize)]
pub struct LargeJson {
    /// What it is for.
    pub kind: &'static str,
    /// Its path or name, empty when it has none.
    pub name: String,
    /// Address space.
    pub size_bytes: u64,
    /// Of this, resident.
    pub rss_bytes: u64,
}

/// What explains most of the resident set.
#[derive(Debug, Serialize)]
pub struct VerdictJson {
    /// Its name, for programs.
    pub class: &'static str,
    /// The part that it is about.
    pub part: &'static str,
    /// The same in a sentence.
    pub sentence: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
}

impl RssJson {
    /// From the analysis.
    pub fn new(view: &View<'_>, split: Option<&RssSplit<'_>>) -> RssJson {
        RssJson { common: CommonJson::new(view), rss: split.map(|split| SplitJson::new(split)) }
    }
}

impl SplitJson {
    fn new(split: &RssSplit<'_>) -> SplitJson {
        let words = verdict(split);
        SplitJson {
            at_ms: ms(split.at_ns),
            rss_bytes: split.rss_bytes.into(),
            live_bytes: split.live_bytes.into(),
            parts: split
                .parts
                .iter()
                .map(|(part, bytes)| PartJson { part: part.name(), bytes: (*bytes).into() })
                .collect(),
            remainder_bytes: split.remainder_bytes,
            allocator: split.allocator.map(AllocatorJson::new),
            allocator_basis: split.basis.name(),
            mappings: split.mappings.iter().map(MappingJson::new).collect(),
            largest: split.largest.iter().map(LargeJson::new).collect(),
            verdict: VerdictJson {
                class: split.cause.name(),
                part: split.cause.part().name(),
                sentence: words.sentence,
                advice: words.advice,
            },
        }
    }
}

impl AllocatorJson {
    fn new(reading: &AllocatorReading) -> AllocatorJson {
        AllocatorJson {
            name: reading.allocator.clone(),
            allocated_bytes: reading.allocated_bytes,
            large_bytes: reading.large_bytes,
            free_bytes: reading.free_bytes,
            free_pieces: reading.free_pieces,
            top_bytes: reading.top_bytes,
            mapped_bytes: reading.mapped_bytes,
            resident_bytes: reading.resident_bytes,
            active_bytes: reading.active_bytes,
            metadata_bytes: reading.metadata_bytes,
            read_ms: ms(reading.read_ns),
        }
    }
}

impl MappingJson {
    fn new(part: &MappingPart) -> MappingJson {
        MappingJson {
            kind: kind_name(part.kind),
            mappings: part.mappings,
            size_bytes: part.size_bytes,
            rss_bytes: part.rss_bytes,
            anonymous_bytes: part.anonymous_bytes,
            swap_bytes: part.swap_bytes,
        }
    }
}

impl LargeJson {
    fn new(large: &LargeMapping) -> LargeJson {
        LargeJson {
            kind: kind_name(large.kind),
            name: large.name.clone(),
            size_bytes: large.size_bytes,
            rss_bytes: large.rss_bytes,
        }
    }
}

fn kind_name(kind: MappingKind) -> &'static str {
    match kind {
        MappingKind::Heap => "heap",
        MappingKind::Arena => "arena",
        MappingKind::Stack => "stack",
        MappingKind::File => "file",
        MappingKind::Shared => "shared",
        MappingKind::Anonymous => "anonymous",
        MappingKind::Named => "named",
        MappingKind::Agent => "agent",
        MappingKind::Kernel => "kernel",
    }
}
