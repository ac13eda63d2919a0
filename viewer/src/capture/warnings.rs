//! What a reader should know about a capture, one plain sentence each.

use std::collections::BTreeMap;

use plimsoll_format::{Hook, Loss, LossCause};

use crate::model::{EndKind, Profile};

/// Causes of losses that get a sentence each.
const MAX_CAUSES: usize = 16;

/// All sentences for a profile.
pub(super) fn of(profile: &Profile) -> Vec<String> {
    let mut warnings = Vec::new();
    warnings.extend(ending(profile));
    warnings.extend(missing(profile));
    warnings.extend(unread(profile));
    warnings.extend(losses(profile));
    if !profile.clock.has_rate() {
        warnings.push("the capture has no second clock reading: moments and durations are not known".to_owned());
    }
    if profile.header.hook == Hook::TrackingAllocator {
        warnings.push(
            "recorded through the tracking-allocator crate: allocations made inside its callbacks are not seen, and \
             frees are seen after the memory went back"
                .to_owned(),
        );
    }
    warnings
}

fn ending(profile: &Profile) -> Option<String> {
    let unread = profile.unread.cut_bytes;
    match profile.end.kind {
        EndKind::Clean if unread > 0 => Some(format!("left out {} after the capture's end", count(unread, "byte"))),
        EndKind::Clean => None,
        EndKind::Truncated => Some(format!(
            "the capture is cut off: {} after the last whole block could not be read",
            count(unread, "byte")
        )),
        EndKind::Killed => {
            Some("the capture has no end: the program was killed, or the file was copied while it ran".to_owned())
        }
        EndKind::Running => Some("the program is still recording: figures are those of its last write".to_owned()),
        EndKind::Detached => {
            let reason = profile.end.reason.as_deref().unwrap_or("no reason given");
            Some(format!("the agent detached before the program ended: {reason}"))
        }
    }
}

fn missing(profile: &Profile) -> impl Iterator<Item = String> + '_ {
    profile.missing.iter().map(|missing| {
        let (first, last) = (missing.first_segment, missing.last_segment);
        let segments =
            if first == last { format!("segment {first} is") } else { format!("segments {first} to {last} are") };
        let (from, to) = (seconds(missing.from_ns), seconds(missing.to_ns));
        format!("{segments} gone: nothing is known of the time from {from} to {to} but the blocks that outlived it")
    })
}

fn unread(profile: &Profile) -> Vec<String> {
    let unread = &profile.unread;
    let mut warnings = Vec::new();
    let mut say = |number: u64, sentence: String| {
        if number > 0 {
            warnings.push(sentence);
        }
    };
    let (regions, bytes) = (unread.damaged_regions, unread.damaged_bytes);
    say(regions, format!("{} could not be read ({} in all)", count(regions, "damaged region"), count(bytes, "byte")));
    let blocks = unread.gaps.iter().fold(0u64, |sum, gap| sum.saturating_add(gap.blocks));
    say(blocks, format!("{} missing in the middle of the capture: live figures carry bounds", are(blocks, "block")));
    let lost = profile.lost_blocks;
    say(lost, format!("{} lost to write errors", are(lost, "block")));
    let foreign = unread.foreign_blocks;
    say(foreign, format!("left out {} of another session", count(foreign, "block")));
    let copied = unread.copied_blocks;
    say(copied, format!("left out {} of what was read already", count(copied, "copied block")));
    let codec = unread.codec_blocks;
    say(
        codec,
        format!(
            "could not read {}, compressed in a way this version does not know or damaged inside",
            count(codec, "block")
        ),
    );
    let beyond = unread.beyond_limits;
    say(
        beyond,
        format!(
            "left out {}: more than a capture of this size may bring, so that it was made up or is damaged",
            count(beyond, "definition")
        ),
    );
    let records = unread.records;
    say(records, format!("skipped {} of an unknown kind or damaged", count(records, "record")));
    warnings
}

/// One sentence for each cause, its records added up.
fn losses(profile: &Profile) -> Vec<String> {
    let mut causes: BTreeMap<String, Loss> = BTreeMap::new();
    for loss in &profile.losses {
        // A disk has a handful of ways to fail.
        let cause = if causes.len() < MAX_CAUSES { cause(loss.cause) } else { "several causes more".to_owned() };
        let sum = causes.entry(cause).or_insert(Loss { allocations: 0, bytes: 0, frees: 0, freed_bytes: 0, ..*loss });
        sum.from_ticks = sum.from_ticks.min(loss.from_ticks);
        sum.to_ticks = sum.to_ticks.max(loss.to_ticks);
        sum.allocations = sum.allocations.saturating_add(loss.allocations);
        sum.bytes = sum.bytes.saturating_add(loss.bytes);
        sum.frees = sum.frees.saturating_add(loss.frees);
    }
    let sentence = |(cause, loss): (String, Loss)| {
        let (from, to) = (seconds(profile.ns(loss.from_ticks)), seconds(profile.ns(loss.to_ticks)));
        let allocations = format!("{} of {}", count(loss.allocations, "allocation"), count(loss.bytes, "byte"));
        match loss.cause {
            LossCause::StackTableFull => {
                format!("{cause}: {allocations} kept only the outer part of their stacks, from {from} to {to}")
            }
            _ => format!(
                "{cause}: {allocations} and {} were not recorded, from {from} to {to}; totals hold them, sites carry bounds",
                count(loss.frees, "free")
            ),
        }
    };
    causes.into_iter().map(sentence).collect()
}

fn cause(cause: LossCause) -> String {
    match cause {
        LossCause::WriterBehind => "the disk was too slow for the events".to_owned(),
        LossCause::WriteFailed(code) => {
            format!("writing the capture failed ({})", std::io::Error::from_raw_os_error(code))
        }
        LossCause::StackTableFull => "the table of stacks was full".to_owned(),
        LossCause::LiveTableFull => "the table of live samples was full".to_owned(),
        LossCause::Reentered => "a signal handler allocated while a hook ran".to_owned(),
    }
}

fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn are(number: u64, noun: &str) -> String {
    format!("{} {}", count(number, noun), if number == 1 { "is" } else { "are" })
}

fn seconds(ns: u64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}
