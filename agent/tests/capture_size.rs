//! How many bytes an event takes in an exact capture, plain and compressed, and what the writer spends on it. Prints a
//! table; what the figures are on a quiet machine stands in `agent/docs/capture-size.md`.
//!
//! `cargo test --release -p plimsoll --features zstd --test capture_size -- --nocapture`

mod support;

use std::hint::black_box;
use std::path::Path;

use plimsoll_format::Record;
use support::{Capture, read, run_child};

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// Random allocations and frees of 16 to 512 B over 256 slots.
fn churn(pairs: u64) {
    let mut slots: Vec<Option<Vec<u8>>> = (0..256).map(|_| None).collect();
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..pairs {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = 16 + (state >> 20) as usize % 497;
        slots[(state & 255) as usize] = Some(black_box(Vec::with_capacity(size)));
    }
}

/// Reads a document of about 20 MB into a tree of values and drops it.
fn json() {
    let row = |number: u64| {
        format!(
            r#"{{"id":{number},"customer":"customer {}","paid":true,"items":[{{"name":"item {}"}},{{"name":"item {}"}}],"note":null}}"#,
            number * 7919 % 99_991,
            number % 31,
            number % 17,
        )
    };
    let rows: Vec<String> = (0..170_000).map(row).collect();
    let text = format!("[{}]", rows.join(",\n"));
    let tree: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    eprintln!("document: {} bytes", text.len());
    drop(black_box(tree));
}

/// A pair under 50 calls of itself.
#[inline(never)]
fn recurse(depth: u64, step: u64) {
    if depth > 0 {
        recurse(depth - 1, step);
    } else {
        drop(black_box(Vec::<u8>::with_capacity(16 + step as usize % 497)));
    }
    black_box(depth);
}

/// Runs in a process of its own: the workload that `WORKLOAD` names, recorded as the other variables say.
#[test]
#[ignore = "run by the other test"]
fn workload() {
    let session = plimsoll::Session::from_env().expect("a session");
    match std::env::var("WORKLOAD").as_deref() {
        Ok("churn") => churn(1_500_000),
        Ok("json") => json(),
        Ok("recursion") => (0..1_500_000).for_each(|step| recurse(50, step)),
        other => panic!("unknown workload {other:?}"),
    }
    session.finish().expect("written");
}

fn record(workload: &str, compress: &str, path: &Path) -> Capture {
    let path_text = path.to_str().expect("UTF-8");
    let variables = [
        ("WORKLOAD", workload),
        ("PLIMSOLL_OUTPUT", path_text),
        ("PLIMSOLL_MODE", "exact"),
        ("PLIMSOLL_COMPRESS", compress),
    ];
    let output = run_child("workload", &variables);
    assert!(output.status.success(), "{workload}: {}", String::from_utf8_lossy(&output.stderr));
    read(path)
}

/// CPU time of the writer's thread at the last tick, in milliseconds per million events.
fn writer_ms_per_million(capture: &Capture) -> f64 {
    let cpu_ns = capture.others.iter().rev().find_map(|record| match record {
        Record::Tick(tick) => Some(tick.agent.cpu_ns),
        _ => None,
    });
    cpu_ns.expect("a tick") as f64 / capture.events.len() as f64
}

/// Everything in the file counts: definitions, ticks, keyframes. 3.5 compressed is the goal, 6 plain as well; churn comes
/// to 6 and a bit where more than 127 ticks pass from event to event, and to 6.5 where that is always so: an
/// allocation is 1 byte of operation, 2 of ticks, 2.1 of address, 1.8 of size and 1 of stack, a free 1 + 2 + 2.1.
#[test]
fn an_event_takes_few_bytes() {
    let directory = tempfile::tempdir().expect("a directory");
    let ways: &[(&str, f64)] = if cfg!(feature = "zstd") { &[("none", 6.6), ("zstd", 3.5)] } else { &[("none", 6.6)] };
    println!("workload   codec    events    bytes/event  writer ms/M events");
    let mut over = Vec::new();
    for workload in ["churn", "json", "recursion"] {
        for (compress, most) in ways {
            let path = directory.path().join(format!("{workload}-{compress}.plim"));
            let capture = record(workload, compress, &path);
            let events = capture.events.len();
            let bytes = std::fs::metadata(&path).expect("there").len() as f64 / events as f64;
            let writer = writer_ms_per_million(&capture);
            println!("{workload:<10} {compress:<5} {events:>9} {bytes:>14.2} {writer:>19.1}");
            if bytes > *most {
                over.push(format!("{workload} {compress}: {bytes:.2} bytes an event, more than {most}"));
            }
            std::fs::remove_file(&path).expect("ours");
        }
    }
    assert!(over.is_empty(), "{over:?}");
}
