//! The judged suite and the coverage of intervals in short: eight programs, one seed, both modes, judged by the real
//! `plimsoll`; a judge that takes every verdict for the same must fail.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Four that leak, four that look like it.
const PROGRAMS: [&str; 8] = [
    "leak-slow",
    "leak-under-churn",
    "leak-by-reload",
    "leak-below-waves",
    "lru-at-capacity",
    "map-that-fills",
    "waves",
    "steady-churn",
];

/// The viewer, built beside what cargo builds for this test.
fn viewer() -> PathBuf {
    let profile = Path::new(env!("CARGO_BIN_EXE_judge")).parent().expect("a profile's folder");
    let target = profile.parent().expect("the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    // The viewer's own tests find this one in its place, so it is as complete as theirs.
    cargo.args(["build", "--quiet", "--locked", "-p", "plimsoll-viewer", "--all-features", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().expect("cargo runs").success(), "the viewer does not build");
    profile.join("plimsoll")
}

/// Exit code and what was printed.
fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn verdicts_on_eight_programs_are_right_and_a_constant_verdict_is_not() {
    let folder = tempfile::tempdir().expect("a folder for the runs");
    let (kept, viewer) = (folder.path().join("runs.jsonl"), viewer());
    let [kept, viewer] = [&kept, &viewer].map(|path| path.to_str().expect("a plain path"));
    let judge = env!("CARGO_BIN_EXE_judge");
    let options = ["--seeds", "1", "--whole", "--viewer", viewer, "--keep", kept];
    let (code, printed) = run(judge, &[&PROGRAMS[..], &options[..]].concat());
    assert_eq!(code, Some(0), "{printed}");
    for verdict in ["leak", "bounded", "too-little-evidence"] {
        let (code, printed) = run(judge, &["--kept", kept, "--as", verdict]);
        assert_eq!(code, Some(1), "every verdict {verdict}: {printed}");
    }
}

#[test]
fn intervals_hold_the_truth_over_a_hundred_seeds() {
    let viewer = viewer();
    let viewer = viewer.to_str().expect("a plain path");
    let coverage = env!("CARGO_BIN_EXE_coverage");
    let (code, printed) = run(coverage, &["measure", "varied", "--seeds", "10", "--viewer", viewer]);
    assert_eq!(code, Some(0), "{printed}");
    let (code, printed) = run(coverage, &["measure", "fixed", "--seeds", "100", "--viewer", viewer]);
    assert_eq!(code, Some(0), "{printed}");
}
