//! The resident set, split: a table of its parts, a verdict in a sentence, and the thing to try.

use plimsoll_format::MappingKind;

use crate::analysis::{Basis, Cause, Part, RssSplit, rss};
use crate::model::{Measure, Profile};

use super::report::title;
use super::safe::safe;
use super::screen::{Screen, View};
use super::style::{faint, heading};
use super::units;

/// Parts that the line of a report names.
const NAMED: usize = 3;
/// A moment is the reading's when it is no farther away.
const SAME_MOMENT_NS: u64 = 1_000_000_000;

/// What explains the resident set, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// What it is, in one sentence.
    pub sentence: String,
    /// What to do about it; empty when there is nothing to do.
    pub advice: String,
}

/// Name of a part on a screen.
fn part_name(part: Part) -> &'static str {
    match part {
        Part::LiveHeap => "live heap",
        Part::CHeap => "blocks of C code",
        Part::Overhead => "allocator's overhead",
        Part::Retained => "free, kept by allocator",
        Part::Files => "mapped files",
        Part::Shared => "shared memory",
        Part::Stacks => "thread stacks",
        Part::Anonymous => "other anonymous",
        Part::Agent => "the agent",
    }
}

/// The verdict in words.
pub fn verdict(split: &RssSplit<'_>) -> Verdict {
    let total = units::bytes(split.rss_bytes.value);
    let bytes = units::measured_bytes(split.part(split.cause.part()));
    let allocator = split.allocator.map_or_else(|| "the allocator".to_owned(), |own| safe(&own.allocator).to_string());
    let sentence = match split.cause {
        Cause::Small => {
            format!("{total} of RSS hold {bytes} of live heap and little else: there is nothing to explain")
        }
        Cause::LiveHeap => format!("most of RSS is live heap: {bytes} of {total}"),
        Cause::PinnedPages => format!(
            "{bytes} of RSS are free memory that {allocator} cannot give back: pieces of {} on average, between \
             blocks that live on",
            units::bytes(piece(split))
        ),
        Cause::Arenas => format!(
            "{bytes} of RSS are freed memory that {allocator} keeps, most of it in the arenas of threads ({})",
            units::things(split.mappings_of(MappingKind::Arena) as usize, "heap")
        ),
        Cause::Retention => format!("{bytes} of RSS are freed memory that {allocator} keeps"),
        Cause::DirtyPages => format!("{bytes} of RSS are freed pages that {allocator} has not given back yet"),
        Cause::PartlyFilledPages => {
            format!(
                "{bytes} of RSS are free memory that {allocator} cannot give back: pages that a few live blocks keep"
            )
        }
        Cause::Overhead => format!("{bytes} of RSS are what {allocator} adds to the program's blocks"),
        Cause::CHeap => format!("{bytes} of RSS are blocks that C code holds: no Rust code asked for them"),
        Cause::Anonymous => {
            format!("{bytes} of RSS are anonymous memory that no allocator speaks for{}", largest_anonymous(split))
        }
        Cause::SilentAllocator => format!(
            "{bytes} of RSS are anonymous memory beside the live heap; the program's allocator gives no statistics, so \
             what it keeps cannot be told from what others mapped{}",
            largest_anonymous(split)
        ),
        Cause::Files => format!("{bytes} of RSS are pages of mapped files{}", largest_named(split, MappingKind::File)),
        Cause::Shared => format!("{bytes} of RSS are shared memory{}", largest_named(split, MappingKind::Shared)),
        Cause::Stacks => {
            let stacks = units::things(split.mappings_of(MappingKind::Stack) as usize, "stack");
            format!("{bytes} of RSS are {stacks} of threads")
        }
        Cause::Agent => format!("{bytes} of RSS are the agent's own tables"),
    };
    Verdict { sentence, advice: advice(split).to_owned() }
}

fn advice(split: &RssSplit<'_>) -> &'static str {
    match (split.cause, split.allocator.map(|own| own.allocator.as_str())) {
        (Cause::Small, _) => "",
        (Cause::LiveHeap, _) => "see who holds it: plimsoll leaks CAPTURE",
        (Cause::PinnedPages, _) => {
            "allocate what lives long apart from what does not (plimsoll leaks CAPTURE lists what lives); malloc_trim(0) \
             gives little back"
        }
        (Cause::Arenas, _) => "MALLOC_ARENA_MAX=2 in the environment, or malloc_trim(0) after a burst",
        (Cause::DirtyPages, _) => {
            "_RJEM_MALLOC_CONF=dirty_decay_ms:1000,muzzy_decay_ms:0,background_thread:true in the environment"
        }
        (Cause::Retention, Some("mimalloc")) => {
            "MIMALLOC_PURGE_DELAY=0 in the environment; what stays then are pages that a few live blocks keep \
             (plimsoll leaks CAPTURE)"
        }
        (Cause::Retention, _) => {
            "malloc_trim(0) after a burst, or MALLOC_TRIM_THRESHOLD_=131072 in the environment so that the top goes back"
        }
        (Cause::PartlyFilledPages, _) => {
            "allocate what lives long apart from what does not: plimsoll leaks CAPTURE lists what lives"
        }
        (Cause::Overhead, _) => "fewer and larger blocks: plimsoll histogram CAPTURE --by size",
        (Cause::CHeap, _) => {
            "look at C code, which the agent does not see: heaptrack PROGRAM, or valgrind --tool=massif"
        }
        (Cause::Anonymous, _) => "look for mmap in C code and libraries: strace -f -k -e trace=mmap PROGRAM",
        (Cause::SilentAllocator, _) => {
            "plimsoll::Allocator::with_stats (features jemalloc and mimalloc) tells them apart in the next capture"
        }
        (Cause::Files, _) => "look at who maps that file; the kernel takes back clean pages when memory is short",
        (Cause::Shared, _) => "look at who maps or writes it: it counts against the memory limit until it is deleted",
        (Cause::Stacks, _) => "fewer threads, or smaller frames: a stack keeps the deepest pages that it ever used",
        (Cause::Agent, _) => "record samples (PLIMSOLL_MODE=sampled): their tables are smaller",
    }
}

/// Mean size of a free piece.
fn piece(split: &RssSplit<'_>) -> u64 {
    let own = split.allocator;
    let (free, pieces) = (own.and_then(|own| own.free_bytes), own.and_then(|own| own.free_pieces));
    free.unwrap_or(0) / pieces.unwrap_or(0).max(1)
}

fn largest_named(split: &RssSplit<'_>, kind: MappingKind) -> String {
    split.largest_of(kind).map_or_else(String::new, |large| {
        format!(", {} of them of {}", units::bytes(large.rss_bytes), safe(&large.name))
    })
}

fn largest_anonymous(split: &RssSplit<'_>) -> String {
    split
        .largest_of(MappingKind::Anonymous)
        .map_or_else(String::new, |large| format!("; the largest mapping has {}", units::bytes(large.rss_bytes)))
}

/// The whole screen.
pub fn rss_text(view: &View<'_>, split: Option<&RssSplit<'_>>) -> String {
    let mut text = title(view.profile);
    text.push('\n');
    match split {
        None => text.push_str(
            "The capture does not say what the resident set is for: it was cut off before the first reading, comes \
             from an older agent, or from a system without /proc.\n",
        ),
        Some(split) => text.push_str(&screen(view, split)),
    }
    text.push_str(&view.warning_lines());
    text
}

fn screen(view: &View<'_>, split: &RssSplit<'_>) -> String {
    let asked = view.heap.moment_ns;
    let mut text = format!(
        "{} {}\n",
        heading(format!("RSS {}", units::measured_bytes(split.rss_bytes))),
        faint(format!("(read at {}{})", units::duration(split.at_ns), distance(asked, split.at_ns)))
    );
    text.push_str(&table(split));
    let verdict = verdict(split);
    text.push_str(&format!("\n{} {}.\n", heading("Verdict:"), verdict.sentence));
    if !verdict.advice.is_empty() {
        text.push_str(&format!("{} {}\n", heading("Try:"), verdict.advice));
    }
    text.push_str(&notes(split));
    text
}

fn distance(asked: u64, read: u64) -> String {
    if asked.abs_diff(read) <= SAME_MOMENT_NS {
        return String::new();
    }
    let side = if read < asked { "before" } else { "after" };
    format!(", the nearest reading, {} {side} the moment asked for", units::duration(asked.abs_diff(read)))
}

fn table(split: &RssSplit<'_>) -> String {
    let mut table = Screen::table(&[1, 2]);
    table.set_header(["part", "bytes", "of RSS", "at least … at most"]);
    for (part, bytes) in &split.parts {
        let high = bytes.high.map_or_else(|| "?".to_owned(), units::bytes);
        let bounds = if bytes.is_exact() { String::new() } else { format!("{} … {high}", units::bytes(bytes.low)) };
        table.add_row([
            part_name(*part).to_owned(),
            units::bytes(bytes.value),
            units::share(bytes.value, split.rss_bytes.value),
            bounds,
        ]);
    }
    let remainder = split.remainder_bytes;
    let sign = if remainder < 0 { "−" } else { "" };
    table.add_row([
        "not accounted for".to_owned(),
        format!("{sign}{}", units::bytes(remainder.unsigned_abs())),
        String::new(),
        String::new(),
    ]);
    table.trim_fmt() + "\n"
}

fn notes(split: &RssSplit<'_>) -> String {
    let mut notes = Vec::new();
    match (split.basis, split.allocator) {
        (Basis::Assumed, Some(own)) => notes.push(format!(
            "the program's allocator does not say which it is: taken to be that of {}; \
             plimsoll::Allocator::with_stats says it for certain",
            safe(&own.allocator)
        )),
        (Basis::Silent, _) => {
            notes.push("the program's allocator gives no statistics: what it keeps is in other anonymous".to_owned());
        }
        _ => {}
    }
    let untouched = split.live_bytes.low.saturating_sub(split.part(Part::LiveHeap).high.unwrap_or(u64::MAX));
    if untouched > 0 {
        notes.push(format!(
            "{} of the {} of live heap are not resident: never written to, or swapped out",
            units::bytes(untouched),
            units::bytes(split.live_bytes.value)
        ));
    }
    notes.into_iter().map(|note| faint(format!("{note}\n")).to_string()).collect()
}

/// Rows for a report: the largest parts, and the verdict. Empty where the capture does not say.
pub(super) fn rows(profile: &Profile, at_ns: u64) -> Vec<(&'static str, String)> {
    let Some(split) = rss(profile, at_ns) else { return Vec::new() };
    let mut parts: Vec<&(Part, Measure)> = split.parts.iter().filter(|(_, bytes)| bytes.value > 0).collect();
    parts.sort_by_key(|(_, bytes)| std::cmp::Reverse(bytes.value));
    let named: Vec<String> = parts
        .iter()
        .take(NAMED)
        .map(|(part, bytes)| format!("{} {}", units::share(bytes.value, split.rss_bytes.value), part_name(*part)))
        .collect();
    vec![
        ("RSS is", format!("{} (at {})", named.join(", "), units::duration(split.at_ns))),
        ("", verdict(&split).sentence),
    ]
}
