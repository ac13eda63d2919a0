//! Compressed captures hold what plain ones hold, in fewer bytes; and what cannot be had is an error that says why.

mod support;

use std::hint::black_box;
use std::path::Path;

use plimsoll::Compression;
use plimsoll_format::{Codec, Item, Reader, Record};
use support::{read, run_child};

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// Blocks of a capture as stored, by codec: plain, zstd.
fn blocks(path: &Path) -> [usize; 2] {
    let mut reader = Reader::new();
    reader.feed(&std::fs::read(path).expect("a capture"));
    reader.end();
    let mut counts = [0; 2];
    while let Some(Item::Block(block)) = reader.next_item() {
        counts[usize::from(block.header.codec == Codec::Zstd)] += 1;
    }
    counts
}

/// 200,000 pairs and a leak, recorded as `PLIMSOLL_COMPRESS` says.
#[test]
#[ignore = "run by the other tests"]
fn churn() {
    let session = plimsoll::Session::from_env().unwrap_or_else(|error| panic!("from_env: {error}"));
    for step in 0..200_000u32 {
        drop(black_box(vec![0u8; 16 + step as usize % 497]));
    }
    std::mem::forget(black_box(vec![1u8; 77_777]));
    let summary = session.finish().expect("written");
    eprintln!("events: {}", summary.events);
}

fn run(path: &Path, compress: &str) -> String {
    let path = path.to_str().expect("UTF-8");
    let variables = [("PLIMSOLL_OUTPUT", path), ("PLIMSOLL_MODE", "exact"), ("PLIMSOLL_COMPRESS", compress)];
    String::from_utf8_lossy(&run_child("churn", &variables).stderr).into_owned()
}

#[test]
fn a_plain_capture_holds_plain_blocks() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("none.plim");
    let said = run(&path, "none");
    assert!(said.contains("events: "), "{said}");
    assert_eq!(blocks(&path)[1], 0);
}

#[test]
fn zstd_holds_the_same_events_in_fewer_bytes() {
    if !cfg!(feature = "zstd") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let [plain_path, path] = ["none.plim", "zstd.plim"].map(|name| directory.path().join(name));
    run(&plain_path, "none");
    run(&path, "zstd");
    let [plain_blocks, zstd_blocks] = blocks(&path);
    assert!(zstd_blocks > plain_blocks, "{plain_blocks} plain, {zstd_blocks} compressed");
    let (plain, zstd) = (read(&plain_path), read(&path));
    let sizes = |capture: &support::Capture| -> Vec<u64> {
        let main = capture.events.iter().find(|event| event.size_bytes == 77_777).expect("the leak").thread;
        capture.events.iter().filter(|event| event.thread == main).map(|event| event.size_bytes).collect()
    };
    let (of_plain, of_zstd) = (sizes(&plain), sizes(&zstd));
    // The same program makes the same requests in the same order, whatever its capture is made of.
    assert_eq!(of_plain.len(), of_zstd.len());
    assert!(of_plain == of_zstd, "the same sizes in the same order");
    let bytes = |path| std::fs::metadata(path).expect("there").len();
    assert!(bytes(&path) * 10 < bytes(&plain_path) * 9, "{} and {}", bytes(&path), bytes(&plain_path));
}

/// One block, so that the writer is not behind and its context is small.
#[test]
#[ignore = "run by the other tests"]
fn calm() {
    let session = plimsoll::Session::from_env().unwrap_or_else(|error| panic!("from_env: {error}"));
    std::mem::forget(black_box(vec![1u8; 77_777]));
    session.finish().expect("written");
}

/// What the agent of [`calm`] says it mapped, in bytes: the least of eight runs, as a run may touch a chunk more.
fn mapped_bytes(path: &Path, compress: &str) -> u64 {
    let variables = [("PLIMSOLL_OUTPUT", path.to_str().expect("UTF-8")), ("PLIMSOLL_COMPRESS", compress)];
    let run = |_| {
        assert!(run_child("calm", &variables).status.success());
        let ticks = read(path).others.into_iter().filter_map(|record| match record {
            Record::Tick(tick) => Some(tick.agent.mapped_bytes),
            _ => None,
        });
        let mapped = ticks.max().expect("a tick");
        std::fs::remove_file(path).expect("there");
        mapped
    };
    (0..8).map(run).min().expect("eight runs")
}

#[test]
fn the_context_of_zstd_is_in_the_agents_own_figure() {
    if !cfg!(feature = "zstd") {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let [plain, zstd] = ["none", "zstd"].map(|compress| mapped_bytes(&directory.path().join(compress), compress));
    assert!(zstd > plain + (16 << 10), "{zstd} and {plain}");
}

#[test]
fn asking_for_what_is_not_built_in_says_how_to_get_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let session = plimsoll::Session::builder().output(&path).compress(Compression::Zstd).start();
    if cfg!(feature = "zstd") {
        session.expect("a session").finish().expect("written");
        assert_eq!(Compression::default(), Compression::Zstd);
        return;
    }
    assert_eq!(Compression::default(), Compression::None);
    let error = session.expect_err("not built in").to_string();
    assert!(error.contains("enable the feature \"zstd\" of the crate plimsoll"), "{error}");
    assert!(!path.exists());
    let said = run(&path, "zstd");
    assert!(said.contains("from_env: PLIMSOLL_COMPRESS=\"zstd\" is not valid; allowed: none"), "{said}");
}
