//! A capture that is bounded in size goes on in segments; what is left of them reads as one capture.

use std::fs;
use std::path::Path;

use crate::expected;
use crate::programs::{self, Mode, Run};
use crate::reports::Report;

const PROGRAM: &str = "axum_sessions";
const MODES: [Mode; 2] = [Mode::Sampled { interval_bytes: 512, seed: 1 }, Mode::Exact];

/// Numbers of the segments in `folder`; 0 is the first, which has no number in its name.
fn segments(folder: &Path) -> Vec<u32> {
    let entries = fs::read_dir(folder).expect("a folder can be listed");
    let number = |path: std::path::PathBuf| path.extension()?.to_str()?.parse().ok();
    let mut numbers: Vec<u32> = entries.map(|entry| number(entry.expect("an entry").path()).unwrap_or(0)).collect();
    numbers.sort_unstable();
    numbers
}

/// Runs the service with a bound on its capture and reads what is left by the name that the first segment had.
fn rotated(mode: Mode) -> Report {
    let folder = tempfile::tempdir().expect("a folder for the segments");
    let capture = folder.path().join("run.plim");
    let mut command = programs::command(PROGRAM, &Run { mode, ..Run::default() }, &capture);
    let output = command.env("PLIMSOLL_MAX_BYTES", "256KiB").output().expect("the program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let left = segments(folder.path());
    assert!(left.len() == 5 && left[0] > 0 && left[4] >= 5, "rotated through five and more: {left:?}");
    assert!(!capture.exists(), "the oldest are gone");
    let report = Report::of(&capture);
    let warnings = report.0["warnings"].to_string();
    assert!(warnings.contains("segment"), "says that time is missing: {warnings}");
    report
}

#[test]
fn a_rotated_capture_reads_as_one() {
    for mode in MODES {
        let whole = Report::of(&programs::run(PROGRAM, &Run { mode, ..Run::default() }).capture);
        let rotated = rotated(mode);
        for number in ["live_bytes", "live_allocations"] {
            let truth = expected::of(PROGRAM)
                .into_iter()
                .find(|row| row.function == "remember_session" && row.number == number)
                .expect("the table has it")
                .value;
            // Sessions of 16 KiB are sampled at 512 bytes but for one in 10¹⁴: both readings are the truth.
            for (what, report) in [("whole", &whole), ("rotated", &rotated)] {
                let shown = report.sum("remember_session", number);
                assert!(shown.holds(truth), "{number} of the {what} capture in {mode:?}: {shown:?}, not {truth}");
            }
        }
    }
}
