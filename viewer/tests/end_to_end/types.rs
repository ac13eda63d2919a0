//! Types of blocks, read from release builds with `debug = 1`.

use serde_json::Value;

use crate::programs::{self, Mode, Run};
use crate::reports::plimsoll;

/// Type, live bytes and blocks allocated in total, of a program's types with the most live bytes.
fn types(program: &str, number: usize) -> Vec<(String, u64, u64)> {
    let output = programs::run(program, &Run { mode: Mode::Exact, ..Run::default() });
    let capture = output.capture.to_str().expect("a plain path");
    let json: Value = serde_json::from_str(&plimsoll(&["report", capture, "--by", "type", "--json"])).expect("JSON");
    let read = |site: &Value| {
        let value = |name: &str| site[name]["value"].as_u64().expect("a number");
        (site["name"].as_str().expect("a name").to_owned(), value("live_bytes"), value("total_allocations"))
    };
    json["sites"].as_array().expect("sites").iter().take(number).map(read).collect()
}

#[test]
fn blocks_are_told_by_their_types() {
    let own = |types: &[(&str, u64, u64)]| -> Vec<(String, u64, u64)> {
        types.iter().map(|(name, live, total)| ((*name).to_owned(), *live, *total)).collect()
    };
    assert_eq!(
        types("small_survivors", 2),
        own(&[("Box<[u64; 3]>", 12_000_000, 500_000), ("Vec<Box<[u64; 3]>>", 4_000_000, 1)])
    );
    let cache = types("leaking_cache", 3);
    // 2,560 pages of 16 KiB, each of them made as a vector and kept as a boxed slice; standard output's buffer is a `Vec<u8>` too.
    assert_eq!((cache[0].0.as_str(), cache[0].1 / 16_384), ("Vec<u8>", 2_560));
    assert_eq!(cache[1].0, "HashMap<u64, Box<[u8]>>");
    assert_eq!(cache[2], ("String".to_owned(), 0, 10_000));
    assert_eq!(types("growth_by_push", 1), own(&[("Vec<u64>", 41_943_040, 95)]));
}
