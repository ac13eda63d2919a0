//! Lints of a report: each on a capture that has the pattern, and on one that only looks like it.
#![forbid(unsafe_code)]

#[path = "cli_support/mod.rs"]
mod cli_support;
#[path = "support/mod.rs"]
mod support;

use cli_support::{named, plimsoll};
use plimsoll_format::{Event, EventKind, Record, Thread};
use serde_json::Value;
use support::{CaptureBuilder, START, alloc, free};

/// The lints of an exact capture of events in turn, a microsecond each: name and function or thread.
fn lints(events: &[Event]) -> Vec<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, &["first", "second"]);
    for id in 1..=8 {
        builder.record(Record::Thread(Thread { id, os_id: id, ticks: START, name: format!("worker-{id}") }));
    }
    let at = |place: usize| START + 1_000 * (place as u64 + 1);
    for (part, events) in events.chunks(4_096).enumerate() {
        let timed = |(place, event): (usize, &Event)| Event { ticks: at(part * 4_096 + place), ..*event };
        builder.events(&events.iter().enumerate().map(timed).collect::<Vec<Event>>()).block();
    }
    builder.watermark(at(events.len())).end(at(events.len()));
    let path = builder.save(folder.path(), "a.plim").to_str().unwrap().to_owned();
    let output = plimsoll(&["report", &path, "--json"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let json: Value = serde_json::from_str(&output.stdout).unwrap();
    let advice = json["advice"].as_array().unwrap();
    let text = plimsoll(&["report", &path]).stdout;
    assert_eq!(text.contains("Advice\n"), !advice.is_empty());
    advice.iter().for_each(|lint| assert!(text.contains(lint["sentence"].as_str().unwrap()), "{text}"));
    let read = |lint: &Value| ["lint", "name"].map(|key| lint[key].as_str().unwrap().to_owned()).into();
    advice.iter().map(read).collect()
}

fn one(lint: &str, name: &str) -> Vec<(String, String)> {
    vec![(lint.to_owned(), name.to_owned())]
}

#[test]
fn blocks_that_are_freed_at_once_are_churn() {
    let churn: Vec<Event> = (0..12_000).flat_map(|_| [alloc(0, 0x1000, 200, 1), free(0, 0x1000)]).collect();
    assert_eq!(lints(&churn), one("temporary-churn", "first"));
    assert_eq!(lints(&churn[..19_998]), [], "one too few");
    // Each outlives two more.
    let address = |turn: u64| 0x1000 + 0x1000 * (turn % 4);
    let queue: Vec<Event> =
        (0..12_000).flat_map(|turn| [alloc(0, address(turn), 200, 1), free(0, address(turn + 2))]).collect();
    assert_eq!(lints(&queue), []);
}

#[test]
fn blocks_that_grow_by_moving_are_named() {
    let moves = |sizes: &[u64]| -> Vec<Event> {
        let mut events = vec![alloc(0, 0x10_0000, sizes[0], 2)];
        for (turn, size) in sizes.iter().enumerate().skip(1) {
            let address = |turn: u64| 0x10_0000 + 0x100_0000 * turn;
            events.push(Event { kind: EventKind::ReallocFree, ..free(0, address(turn as u64 - 1)) });
            events.push(Event { kind: EventKind::ReallocAlloc, ..alloc(0, address(turn as u64), *size, 2) });
        }
        events
    };
    let doubling: Vec<u64> = (0..18).map(|turn| 16 << turn).collect();
    assert_eq!(lints(&moves(&doubling)), one("growth-by-realloc", "second"));
    assert_eq!(lints(&moves(&doubling[..15])), [], "half a megabyte is nothing");
    assert_eq!(lints(&moves(&[4 << 20, 2 << 20])), [], "most came at once");
}

#[test]
fn many_small_blocks_are_named() {
    let kept = |number: u64, size: u64| -> Vec<Event> {
        (0..number).map(|block| alloc(0, 0x10_0000 + 0x1000 * block, size, 1)).collect()
    };
    assert_eq!(lints(&kept(100_000, 24)), one("small-blocks", "first"));
    assert_eq!(lints(&kept(99_999, 24)), []);
    assert_eq!(lints(&kept(100_000, 65)), []);
}

#[test]
fn a_thread_that_does_nearly_all_is_named() {
    let threads = |of: fn(u64) -> u32| -> Vec<Event> {
        let event = |block: u64| {
            let address = 0x10_0000 + 0x1000 * (block % 64);
            let event = alloc(0, address, 500, 1);
            // Freed when the next 32 have come: no churn.
            [Event { thread: of(block), ..event }, free(0, 0x10_0000 + 0x1000 * ((block + 32) % 64))]
        };
        (0..60_000).flat_map(event).collect()
    };
    assert_eq!(
        lints(&threads(|block| if block % 8 == 0 { 1 + (block / 8 % 4) as u32 } else { 3 })),
        one("one-thread", "worker-3")
    );
    assert_eq!(lints(&threads(|block| 1 + (block % 4) as u32)), []);
    assert_eq!(lints(&threads(|block| if block % 8 == 0 { 1 } else { 3 })), [], "two threads are no many");
}
