//! Replays what fuzzing has found worth keeping, on any compiler: each input goes through its target, which panics where a
//! promise is broken. `docs/hostile.md` says how to fuzz; an input that crashed goes into the corpus of its target for good.
#![forbid(unsafe_code)]

// Public in the crate of the fuzz targets, where it belongs.
#[allow(unreachable_pub)]
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let inputs: Vec<_> = fs::read_dir(folder).expect("there is a corpus").flatten().map(|entry| entry.path()).collect();
    assert!(inputs.len() >= 50, "only {} inputs for {target}", inputs.len());
    for input in inputs {
        println!("{}", input.display());
        run(&fs::read(&input).expect("it can be read"));
    }
}

#[test]
fn frames() {
    replay("frames", targets::frames);
}

#[test]
fn records() {
    replay("records", targets::records);
}

#[test]
fn names() {
    replay("names", targets::names);
}

#[test]
fn captures() {
    replay("capture", targets::capture);
}

#[test]
fn control() {
    replay("control", targets::control);
}
