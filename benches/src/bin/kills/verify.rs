//! Holds a capture against the witness.

use std::path::Path;

use plimsoll_format::{EventKind, Loss, Record, unpack};
use plimsoll_viewer::analysis::summary;
use plimsoll_viewer::capture::{Found, LoadError, LoadOptions, open};
use plimsoll_viewer::model::{EndKind, StackId};
use plimsoll_viewer::replay::ReplayOptions;

use crate::witness::{self, WORKERS};

/// Largest block that the program asks for.
const LARGEST: u64 = 8 << 10;

/// What was found.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Verified {
    /// Events in the capture and its arena.
    pub(crate) events: u64,
    /// Of these, recovered from the arena.
    pub(crate) recovered: u64,
    /// Events that the capture counts as lost: the disk was too slow.
    pub(crate) lost: u64,
    /// Events of unknown stack.
    pub(crate) without_stack: u64,
    /// The capture ended in an orderly way.
    pub(crate) is_clean: bool,
}

/// Reads the capture and compares.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn verify(capture: &Path, witness: &Path) -> Result<Verified, String> {
    let truth = witness::read(witness).map_err(|error| error.to_string())?;
    let capture = match open(capture, &LoadOptions::default()) {
        // Killed before the session had started: the file was made, and nothing was recorded.
        Err(LoadError::Empty { .. }) if truth.iter().flatten().all(|count| *count == 0) => {
            return Ok(Verified::default());
        }
        opened => opened.map_err(|error| error.to_string())?,
    };
    let profile = &capture.profile;
    let mut verified = Verified {
        recovered: profile.recovered.as_ref().map_or(0, |recovered| recovered.events),
        is_clean: profile.end.kind == EndKind::Clean,
        ..Verified::default()
    };
    // By tag: allocations, bytes, frees.
    let mut counted = [[0u64; 3]; WORKERS + 1];
    let stacks = &profile.stacks;
    capture
        .scan(&mut |found| {
            let Found::Record(Record::Events(events)) = found else { return };
            for event in unpack(events.state, &events.packed).flatten() {
                verified.events += 1;
                let Some(counts) = counted.get_mut(event.tag as usize) else { continue };
                match event.kind {
                    EventKind::Alloc | EventKind::ReallocAlloc => {
                        counts[0] += 1;
                        counts[1] += event.size_bytes;
                        let is_known = stacks.node(StackId(event.stack)).is_some();
                        verified.without_stack += u64::from(!is_known);
                    }
                    EventKind::Free | EventKind::ReallocFree => counts[2] += 1,
                    EventKind::ReallocUndo => {}
                }
            }
        })
        .map_err(|error| error.to_string())?;
    let lost = |count: fn(&Loss) -> u64| profile.losses.iter().map(count).sum::<u64>();
    let lost = [lost(|loss| loss.allocations), lost(|loss| loss.frees)];
    verified.lost = lost[0] + lost[1];
    // Of a bounded capture the oldest segments are dropped, which it says.
    if !profile.missing.is_empty() {
        return Ok(verified);
    }
    compare(&truth, counted.get(1..).unwrap_or_default(), lost)?;
    if profile.header.max_bytes == 0 {
        let heap = capture.replay(&ReplayOptions::default()).map_err(|error| error.to_string())?;
        let totals = summary(profile, &heap).totals;
        let counted: u64 = counted.iter().map(|counts| counts[0]).sum();
        let all = profile.header.before.allocations + counted;
        let off = totals.allocations.value.abs_diff(all);
        if off > (WORKERS + 1) as u64 {
            return Err(format!("the report says {} allocations, {all} were recorded", totals.allocations.value));
        }
    }
    Ok(verified)
}

/// Holds what was counted of each thread against the witness: allocations, bytes, frees. What the capture says to be lost
/// is known for all threads together.
fn compare(truth: &[[u64; 3]], counted: &[[u64; 3]], lost: [u64; 2]) -> Result<(), String> {
    let sum = |all: &[[u64; 3]], what: usize| all.iter().filter_map(|counts| counts.get(what)).sum::<u64>();
    if lost != [0, 0] {
        let allocations = sum(truth, 0).wrapping_sub(sum(counted, 0)).wrapping_sub(lost[0]);
        let frees = sum(counted, 2).wrapping_add(lost[1]).wrapping_sub(sum(truth, 2));
        let is_right = allocations <= WORKERS as u64 && frees <= WORKERS as u64;
        let said = || format!("the capture says that {lost:?} were lost, {allocations} and {frees} more are missing");
        return if is_right { Ok(()) } else { Err(said()) };
    }
    for (number, (truth, found)) in truth.iter().zip(counted).enumerate() {
        // An allocation is recorded after it was made, a free before; the witness counts an allocation's bytes first.
        let ahead = truth[0].wrapping_sub(found[0]);
        let bytes_ahead = truth[1].wrapping_sub(found[1]);
        let allocations_agree = ahead <= 1 && bytes_ahead <= LARGEST && (ahead == 0 || bytes_ahead > 0);
        let frees_agree = found[2] == truth[2] || found[2] == truth[2] + 1;
        if !allocations_agree || !frees_agree {
            return Err(format!(
                "thread {}: the witness counted {truth:?} (allocations, bytes, frees), the capture has {found:?}",
                number + 1
            ));
        }
    }
    Ok(())
}
