//! Moments and ranges of time through the command line, on captures whose figures can be worked out by hand.
#![forbid(unsafe_code)]

#[path = "cli_support/mod.rs"]
mod cli_support;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use cli_support::{named, plimsoll, thread};
use plimsoll_format::{Event, ProcessMemory, Record, Tick, Totals};
use serde_json::Value;
use support::{CaptureBuilder, START, alloc, counters, free};

/// What happens, at microseconds after the start:
///
/// ```text
///  10  a 1,000 bytes, kept           (stack 1)
///  20  b   300 bytes, freed at 60    (stack 2)
///  30  c   500 bytes, freed at 35    (stack 1)
///  40  marker "deploy"
///  50  d   700 bytes, kept           (stack 2)
///  70  e   200 bytes, freed at 90    (stack 1)
/// 100  end
/// ```
///
/// Live: 1,000 from 10 on, 1,300 from 20, 1,800 from 30, 1,300 from 35, 2,000 from 50, which is the peak, 1,700 from
/// 60, 1,900 from 70, 1,700 from 90.
fn story(builder: &mut CaptureBuilder, interval_bytes: u64) {
    named(builder, &["first::site", "second::site"]);
    thread(builder, "worker");
    let at = |us: u64| START + us * 1_000;
    let of = |event: Event| Event { interval_bytes, ..event };
    let events = [
        alloc(at(10), 0x1000, 1_000, 1),
        alloc(at(20), 0x2000, 300, 2),
        alloc(at(30), 0x3000, 500, 1),
        free(at(35), 0x3000),
        alloc(at(50), 0x4000, 700, 2),
        free(at(60), 0x2000),
        alloc(at(70), 0x5000, 200, 1),
        free(at(90), 0x5000),
    ];
    builder.record(Record::Marker { ticks: at(40), name: "deploy".into() });
    // One record and one block each, so that what is not needed can be left out.
    for event in events {
        builder.events(&[of(event)]).block();
    }
    builder.watermark(at(100)).end(at(100));
}

fn exact(folder: &Path) -> String {
    let mut builder = CaptureBuilder::exact();
    story(&mut builder, 1);
    builder.save(folder, "exact.plim").to_str().unwrap().to_owned()
}

fn sampled(folder: &Path) -> String {
    let mut builder = CaptureBuilder::sampled(INTERVAL);
    story(&mut builder, INTERVAL);
    builder.save(folder, "sampled.plim").to_str().unwrap().to_owned()
}

const INTERVAL: u64 = 1_000;

/// What a sample of `size` bytes stands for at [`INTERVAL`]: size / (1 − e^(−size / interval)).
fn estimate(sizes: &[u64]) -> u64 {
    let one = |size: &u64| *size as f64 / (1.0 - (-(*size as f64) / INTERVAL as f64).exp());
    sizes.iter().map(one).sum::<f64>().round() as u64
}

fn json(arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().chain(&["--json"]).copied().collect();
    let output = plimsoll(&arguments);
    assert_eq!(output.code, 0, "{arguments:?}: {}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

/// Sizes of the blocks that each figure is made of, for stacks 1 and 2.
struct Expected {
    live: [&'static [u64]; 2],
    total: [&'static [u64]; 2],
}

/// What is live, and what was allocated, with these arguments.
const CASES: [(&[&str], Expected); 9] = [
    (&["--at", "end"], Expected { live: [&[1_000], &[700]], total: [&[1_000, 500, 200], &[300, 700]] }),
    (&["--at", "30us"], Expected { live: [&[1_000, 500], &[300]], total: [&[1_000, 500], &[300]] }),
    (&["--at", "deploy"], Expected { live: [&[1_000], &[300]], total: [&[1_000, 500], &[300]] }),
    (&["--at", "2026-09-21T14:13:20.000010Z"], Expected { live: [&[1_000], &[]], total: [&[1_000], &[]] }),
    (&["--at", "start"], Expected { live: [&[], &[]], total: [&[], &[]] }),
    // Of what was allocated from 15.0 µs on, only d lives at the end; c and e came and went.
    (&["--from", "15us"], Expected { live: [&[], &[700]], total: [&[500, 200], &[300, 700]] }),
    // Up to the marker b is not freed yet.
    (&["--from", "15us", "--to", "deploy"], Expected { live: [&[], &[300]], total: [&[500], &[300]] }),
    // Both ends belong to the range: d is allocated at its first moment, e freed at its last.
    (&["--from", "50us", "--to", "90us"], Expected { live: [&[], &[700]], total: [&[200], &[700]] }),
    (&["--to", "69us"], Expected { live: [&[1_000], &[700]], total: [&[1_000, 500], &[300, 700]] }),
];

fn check_sites(capture: &str, value: impl Fn(&[u64]) -> u64) {
    for (arguments, expected) in &CASES {
        let all: Vec<&str> = ["report", capture, "--top", "0"].iter().chain(*arguments).copied().collect();
        let report = json(&all);
        for (at, name) in ["first::site", "second::site"].iter().enumerate() {
            let site = report["sites"].as_array().unwrap().iter().find(|site| site["name"] == *name);
            let number = |field: &str| site.map_or(0, |site| site[field]["value"].as_u64().unwrap());
            assert_eq!(number("live_bytes"), value(expected.live[at]), "live of {name} {arguments:?}");
            assert_eq!(number("total_bytes"), value(expected.total[at]), "total of {name} {arguments:?}");
        }
        let all: Vec<&str> = ["leaks", capture, "--top", "0"].iter().chain(*arguments).copied().collect();
        let listed = json(&all)["sites"].as_array().unwrap().len();
        let live = expected.live.iter().filter(|sizes| !sizes.is_empty()).count();
        assert_eq!(listed, live, "leaks {arguments:?}");
    }
}

#[test]
fn figures_are_those_of_the_moment_or_the_range() {
    let folder = tempfile::tempdir().unwrap();
    check_sites(&exact(folder.path()), |sizes| sizes.iter().sum());
}

#[test]
fn estimates_are_those_of_the_moment_or_the_range() {
    let folder = tempfile::tempdir().unwrap();
    check_sites(&sampled(folder.path()), estimate);
}

#[test]
fn the_peak_is_a_moment_of_all_commands() {
    let folder = tempfile::tempdir().unwrap();
    let capture = exact(folder.path());
    for command in ["report", "leaks"] {
        let at_peak = json(&[command, &capture, "--at", "peak"]);
        assert_eq!(at_peak["at"]["at_ms"], 0.05);
        let live: u64 =
            at_peak["sites"].as_array().unwrap().iter().map(|site| site["live_bytes"]["value"].as_u64().unwrap()).sum();
        assert_eq!(live, 2_000, "{command}");
    }
    let picture = folder.path().join("x.svg");
    let drawn = json(&["flamegraph", &capture, "--of", "live", "--at", "peak", "-o", picture.to_str().unwrap()]);
    assert_eq!(drawn["value"]["value"], 2_000);
}

#[test]
fn pictures_are_of_the_range_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let capture = exact(folder.path());
    let picture = folder.path().join("x.svg");
    for (of, range, sum, title) in [
        ("leaks", ["15us", "deploy"], 300, "bytes allocated from 15.0 µs to 40.0 µs and live at the end of that"),
        ("live", ["15us", "deploy"], 300, "bytes allocated from 15.0 µs to 40.0 µs and live at the end of that"),
        ("total", ["15us", "deploy"], 800, "bytes allocated from 15.0 µs to 40.0 µs"),
        // c alone; e is allocated later.
        ("temporary", ["15us", "deploy"], 1, "temporary allocations from 15.0 µs to 40.0 µs"),
        // From 30 to 35 µs b and c are live together.
        ("peak", ["15us", "deploy"], 800, "bytes allocated from 15.0 µs to 40.0 µs and live when most of that was"),
        // d with e: what was allocated before does not count, though the process held more.
        ("peak", ["45us", "end"], 900, "bytes allocated from 45.0 µs to 100 µs and live when most of that was"),
    ] {
        let [from, to] = range;
        let output = picture.to_str().unwrap();
        let drawn = json(&["flamegraph", &capture, "--of", of, "--from", from, "--to", to, "-o", output]);
        assert_eq!(drawn["value"]["value"], sum, "{of} {range:?}");
        assert_eq!(drawn["at"]["moment"], "range");
        let svg = fs::read_to_string(&picture).unwrap();
        assert!(svg.contains(title), "{of}: {title}\n{svg}");
    }
}

#[test]
fn histograms_are_of_the_range_and_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let capture = exact(folder.path());
    // Buckets are powers of two; their lower bounds and the number of blocks.
    let buckets = |by: &str, range: [&str; 2], field: &str| -> Vec<(u64, u64)> {
        let histogram = json(&["histogram", &capture, "--by", by, "--from", range[0], "--to", range[1]]);
        assert_eq!(histogram["at"]["range"]["from_ms"], 0.015);
        let bucket = |bucket: &Value| (bucket["from"].as_u64().unwrap(), bucket[field]["value"].as_u64().unwrap());
        let all = histogram["buckets"].as_array().unwrap().iter().map(bucket);
        all.filter(|bucket| bucket.1 > 0).collect()
    };
    // b and c, then d and e too.
    assert_eq!(buckets("size", ["15us", "40us"], "allocations"), [(256, 2)]);
    assert_eq!(buckets("size", ["15us", "end"], "allocations"), [(128, 1), (256, 2), (512, 1)]);
    // c lived for 5,000 ns; b is 20,000 ns old at 40.0 µs.
    assert_eq!(buckets("lifetime", ["15us", "40us"], "allocations"), [(4_096, 1)]);
    assert_eq!(buckets("lifetime", ["15us", "40us"], "unfreed_allocations"), [(16_384, 1)]);
    assert_eq!(buckets("age", ["15us", "40us"], "allocations"), [(16_384, 1)]);
    let text = plimsoll(&["histogram", &capture, "--from", "15us", "--to", "40us"]).stdout;
    assert!(text.contains("everything allocated from 15.0 µs to 40.0 µs"), "{text}");
}

#[test]
fn screens_name_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let capture = exact(folder.path());
    for command in ["report", "leaks"] {
        let text = plimsoll(&[command, &capture, "--from", "15us", "--to", "deploy"]).stdout;
        assert!(text.contains("at 40.0 µs of what was allocated from 15.0 µs on"), "{command}: {text}");
        let text = plimsoll(&[command, &capture, "--at", "deploy"]).stdout;
        assert!(text.to_lowercase().contains("live at 40.0 µs"), "{command}: {text}");
    }
}

/// Four readings, a second apart: live bytes rise by 1,000 a second, resident memory falls.
fn readings(builder: &mut CaptureBuilder) {
    for second in 1..=4u64 {
        let ticks = START + second * 1_000_000_000;
        let (bytes, allocations) = (2_000 * second, 10 * second);
        let totals = Totals { allocations, bytes, frees: 5 * second, freed_bytes: 1_000 * second, reallocations: 0 };
        builder.record(Record::Counters(counters(ticks, totals, bytes)));
        let rss_bytes = 50_000 - 10_000 * second;
        let process =
            ProcessMemory { rss_bytes, anon_bytes: rss_bytes / 2, file_bytes: rss_bytes / 2, ..Default::default() };
        builder.record(Record::Tick(Tick { ticks, process, ..Tick::default() }));
    }
    builder.end(START + 5_000_000_000);
}

#[test]
fn the_timeline_is_in_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CaptureBuilder::exact();
    readings(&mut builder);
    let capture = builder.save(folder.path(), "a.plim").to_str().unwrap().to_owned();
    let report = json(&["report", &capture]);
    let series = |name: &str| -> Vec<(f64, u64)> {
        let points = report["timeline"][name].as_array().unwrap().iter();
        points
            .map(|point| {
                assert!(point["value"] == point["low"] && point["value"] == point["high"], "exact: {point}");
                (point["at_ms"].as_f64().unwrap(), point["value"].as_u64().unwrap())
            })
            .collect()
    };
    assert_eq!(series("live_bytes"), [(1e3, 1_000), (2e3, 2_000), (3e3, 3_000), (4e3, 4_000)]);
    assert_eq!(series("rss_bytes"), [(1e3, 40_000), (2e3, 30_000), (3e3, 20_000), (4e3, 10_000)]);
    assert_eq!(series("anon_bytes")[0], (1e3, 20_000));
    assert_eq!(series("shmem_bytes")[3], (4e3, 0));
    assert_eq!(series("allocated_bytes_per_s"), [(2e3, 2_000), (3e3, 2_000), (4e3, 2_000)]);
    assert_eq!(series("allocations_per_s"), [(2e3, 10), (3e3, 10), (4e3, 10)]);
    assert!(json(&["leaks", &capture]).get("timeline").is_none());

    // 48 columns from 1 s to 4 s: a level holds for 16 of them, the last point has the last one.
    let text = plimsoll(&["report", &capture]).stdout;
    let bars = |name: &str| -> String {
        let line =
            text.lines().find(|line| line.trim_start().starts_with(name)).unwrap_or_else(|| panic!("{name}: {text}"));
        line.chars().skip(18).take(48).collect()
    };
    let row = |parts: &[(char, usize)]| -> String {
        parts.iter().map(|(bar, times)| bar.to_string().repeat(*times)).collect()
    };
    assert_eq!(bars("Live over time"), row(&[('▂', 16), ('▄', 16), ('▆', 15), ('█', 1)]));
    assert_eq!(bars("RSS over time"), row(&[('█', 16), ('▆', 16), ('▄', 15), ('▂', 1)]));
    // On the scale of the whole.
    assert_eq!(bars("anonymous"), row(&[('▄', 16), ('▃', 16), ('▂', 15), ('▁', 1)]));
    // A mean holds from one reading to the next.
    assert_eq!(report["timeline"]["allocations_per_s"][0]["from_ms"], 1e3);
    assert_eq!(bars("Allocated per s"), "█".repeat(48));
    assert!(text.contains("0 … 3.91 KiB\n") && text.contains("0 … 10/s\n"), "{text}");
    assert!(!text.contains("  shared "), "what there is none of takes no line: {text}");
}
