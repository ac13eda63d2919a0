//! How did the capture end?

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use plimsoll_format::{End, EndReason, Header};

use crate::model::{EndKind, EndState};

/// Ticks without a write after which a process that looks alive is no longer taken to record.
const QUIET_TICKS: u64 = 3;

/// Judges the end from the last `End` record, whether the last file was `cut` within a block, and whether the
/// process that wrote it still runs. `ticks` is the last moment known.
pub(super) fn judge(end: Option<&End>, cut: bool, header: &Header, file: &Path, ticks: u64) -> EndState {
    if let Some(end) = end {
        let (kind, reason) = match &end.reason {
            EndReason::Finished | EndReason::Exit => (EndKind::Clean, None),
            EndReason::Detached(reason) => (EndKind::Detached, Some(reason.clone())),
        };
        return EndState { kind, ticks: end.ticks, reason };
    }
    let kind = match cut {
        _ if is_fresh(file, header.tick_ns) && is_alive(header) => EndKind::Running,
        true => EndKind::Truncated,
        false => EndKind::Killed,
    };
    EndState { kind, ticks, reason: None }
}

/// Whether the file was written to within the last few ticks.
fn is_fresh(file: &Path, tick_ns: u64) -> bool {
    let modified = fs::metadata(file).and_then(|metadata| metadata.modified());
    let age = modified.ok().and_then(|modified| SystemTime::now().duration_since(modified).ok());
    age.is_some_and(|age| age.as_nanos() <= u128::from(tick_ns.saturating_mul(QUIET_TICKS)))
}

/// Whether a process with the header's id runs the header's program. Where the system has no `/proc` this is false.
fn is_alive(header: &Header) -> bool {
    let Ok(program) = fs::read_link(format!("/proc/{}/exe", header.pid)) else { return false };
    let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    // A program that was replaced while it runs is shown with this ending.
    name.strip_suffix(" (deleted)").unwrap_or(&name) == header.program
}
