//! `plimsoll export`: what it writes is opened by the reader of each format where that is at hand, and says what the report
//! says.
#![forbid(unsafe_code)]

#[path = "support/mod.rs"]
mod support;

#[path = "cli_support/mod.rs"]
mod cli_support;

#[path = "tools/mod.rs"]
mod tools;

use std::process::Command;

use cli_support::{named, plimsoll, sample_capture, sampled_capture, thread, with_a_past};
use serde_json::Value;
use support::{CaptureBuilder, START, alloc};
use tools::{go_total, has_tool};

/// Exports into a file beside the capture; its path.
fn export(capture: &str, format: &str, more: &[&str]) -> String {
    let output = format!("{capture}.{format}");
    let said = plimsoll(&[&["export", capture, "--to", format, "-o", &output], more].concat());
    assert_eq!(said.code, 0, "{format}: {}", said.stderr);
    output
}

fn json(path: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("it was written")).expect("it is JSON")
}

#[test]
fn go_reads_the_totals_of_the_report_to_the_byte() {
    if !has_tool("go") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = with_a_past(folder.path());
    let file = export(&capture, "pprof", &[]);
    let report: Value = serde_json::from_str(&plimsoll(&["report", &capture, "--json"]).stdout).expect("JSON");
    let kinds = [
        ("-alloc_objects", "allocations"),
        ("-alloc_space", "bytes"),
        ("-inuse_objects", "live_allocations"),
        ("-inuse_space", "live_bytes"),
    ];
    for (kind, total) in kinds {
        assert_eq!(go_total(&file, kind), report["totals"][total]["value"].to_string(), "{kind}");
    }
    let tags = Command::new("go").args(["tool", "pprof", "-tags", &file]).output().expect("go runs");
    let tags = String::from_utf8_lossy(&tags.stdout).into_owned();
    assert!(tags.contains("worker") && tags.contains("verdict"), "thread and verdict are labels: {tags}");
}

#[test]
fn inferno_draws_collapsed_stacks() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = sample_capture(folder.path(), "a.plim");
    let lines =
        std::fs::read_to_string(export(&capture, "collapsed", &["--of", "total", "--by", "thread"])).expect("text");
    assert_eq!(lines, "worker;parser::parse 500\nworker;service::cache::insert 3000\nworker;service::churn 640\n");
    let mut picture = Vec::new();
    let mut options = inferno::flamegraph::Options::default();
    inferno::flamegraph::from_lines(&mut options, lines.lines(), &mut picture).expect("inferno reads it");
    assert!(String::from_utf8_lossy(&picture).contains("service::cache::insert (3,000 samples"));
    // To a pipe, with what is said elsewhere.
    let piped = plimsoll(&["export", &capture, "--to", "collapsed", "-o", "-"]);
    assert_eq!(piped.stdout, "parser::parse 500\nservice::cache::insert 3000\n");
    assert!(piped.stderr.contains("bytes 3,500 (leaks)"), "{}", piped.stderr);
}

#[test]
fn dhat_has_lifetimes_and_moments_and_each_place_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = json(&export(&sample_capture(folder.path(), "a.plim"), "dhat", &[]));
    let churn = file["ftbl"].as_array().expect("frames").iter().position(|text| {
        let text = text.as_str().expect("text");
        text.contains("service::churn (/home/me/service/src/lib.rs:14)")
    });
    let points = file["pps"].as_array().expect("points");
    let point = points.iter().find(|point| point["fs"][0].as_u64() == churn.map(|at| at as u64)).expect("the churn");
    // Ten blocks of 64 bytes live for a microsecond each, one at a time.
    let expected = [("tb", 640), ("tbk", 10), ("tl", 10), ("mb", 64), ("mbk", 1), ("eb", 0), ("ebk", 0)];
    expected.iter().for_each(|(key, value)| assert_eq!(point[key], *value, "{key}"));
    let places: std::collections::HashSet<String> = points.iter().map(|point| point["fs"].to_string()).collect();
    assert_eq!(places.len(), points.len(), "dh_view takes each place once");
    let sum = |key: &str| points.iter().filter_map(|point| point[key].as_u64()).sum::<u64>();
    assert_eq!((sum("tb"), sum("eb"), sum("gb")), (4_140, 3_500, 3_564));
    let refused = plimsoll(&["export", &sampled_capture(folder.path(), "s.plim"), "--to", "dhat", "-o", "-"]);
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""));
    assert!(refused.stderr.contains("PLIMSOLL_MODE=exact"), "{}", refused.stderr);
}

/// The tables of a processed profile, as its published types have them.
#[test]
fn firefox_has_what_is_retained_and_all_threads_tracks_and_markers() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (capture, retained, all) in [
        (sample_capture(folder.path(), "a.plim"), 3_500, 4_140),
        // One block of 100 bytes stands for 100 / (1 - e^-0.1).
        (sampled_capture(folder.path(), "s.plim"), 1_051, 1_051),
    ] {
        let file = json(&export(&capture, "firefox", &[]));
        let threads = file["threads"].as_array().expect("threads");
        let names: Vec<&str> = threads.iter().filter_map(|thread| thread["name"].as_str()).collect();
        assert_eq!(names, ["all threads", "worker"]);
        let moves = &threads[0]["nativeAllocations"];
        let column = |name: &str| moves[name].as_array().unwrap_or_else(|| panic!("no {name} in {moves}"));
        let weights: Vec<i64> = column("weight").iter().filter_map(Value::as_i64).collect();
        let length = moves["length"].as_u64().expect("a length") as usize;
        for name in ["time", "weight", "stack", "memoryAddress", "threadId"] {
            assert_eq!(column(name).len(), length, "{name}");
        }
        assert_eq!(weights.iter().sum::<i64>(), retained);
        assert_eq!(weights.iter().filter(|weight| **weight > 0).sum::<i64>(), all);
        let times: Vec<f64> = column("time").iter().filter_map(Value::as_f64).collect();
        assert!(times.is_sorted() && times.len() == length, "{times:?}");
        // Every free is of a block that came before.
        let mut live = std::collections::HashSet::new();
        for (address, weight) in column("memoryAddress").iter().zip(&weights) {
            let address = address.as_u64().expect("a number");
            assert!(if *weight > 0 { live.insert(address) } else { live.remove(&address) }, "{address} {weight}");
        }
        assert_eq!(threads[1]["samples"]["weightType"], "bytes");
        assert!(threads[0]["markers"]["length"].as_u64() > Some(0), "markers");
        assert_eq!(file["meta"]["product"], "service");
    }
}

#[test]
fn tables_have_a_row_for_each_site_and_step() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = sample_capture(folder.path(), "a.plim");
    let lines = std::fs::read_to_string(export(&capture, "jsonl", &["--steps", "3", "--host", "web-1"])).expect("text");
    let rows: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    // 31 µs long: after 10.3 µs three blocks of 64 came (at 5, 7 and 9 µs), after 20.6 eight.
    let churn =
        |step: u64| rows.iter().find(|row| row["step"] == step && row["name"] == "service::churn").expect("there");
    let totals = [1, 2, 3].map(|step| churn(step)["total_bytes"].as_u64());
    assert_eq!(totals, [3 * 64, 8 * 64, 640].map(Some));
    let last = churn(3);
    assert_eq!(
        (last["host"].as_str(), last["program"].as_str(), last["mode"].as_str()),
        (Some("web-1"), Some("service"), Some("exact"))
    );
    assert_eq!(last["build_id"], "01".repeat(20));
    assert_eq!(last["started"], "2026-09-21T14:13:20Z");
    assert_eq!(last["live_bytes_high"], 0);
    let table = std::fs::read(export(&capture, "csv", &["--steps", "3", "--host", "web-1"])).expect("text");
    let mut table = csv::Reader::from_reader(table.as_slice());
    let at = table.headers().expect("a header").iter().position(|name| name == "live_bytes").expect("a column");
    let cells: Vec<String> = table.records().map(|row| row.expect("a row")[at].to_owned()).collect();
    let live: Vec<String> = rows.iter().map(|row| row["live_bytes"].to_string()).collect();
    assert_eq!(cells, live);
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_is_read_back() {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::RowAccessor;

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = export(&sample_capture(folder.path(), "a.plim"), "parquet", &["--steps", "2"]);
    let reader = SerializedFileReader::new(std::fs::File::open(file).expect("it was written")).expect("it is Parquet");
    assert_eq!(reader.num_row_groups(), 2);
    let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
    let column = |name: &str| fields.iter().position(|field| field.name() == name).expect("a column");
    let rows: Vec<_> = reader.into_iter().map(|row| row.expect("a row")).collect();
    let sum = rows.iter().filter(|row| row.get_long(column("step")).is_ok_and(|step| step == 2));
    assert_eq!(sum.map(|row| row.get_long(column("live_bytes")).expect("a number")).sum::<i64>(), 3_500);
    assert!(rows.iter().all(|row| row.get_string(column("program")).is_ok_and(|name| name == "service")));
}

#[test]
fn estimates_carry_their_bounds_and_parts_their_moment() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let sampled = sampled_capture(folder.path(), "s.plim");
    let scope = json(&export(&sampled, "speedscope", &[]));
    assert!(scope["profiles"][0]["name"].as_str().is_some_and(|name| name.starts_with("live: 1.03 KiB ± ")), "{scope}");
    let row = std::fs::read_to_string(export(&sampled, "jsonl", &[])).expect("text");
    let row: Value = serde_json::from_str(&row).expect("one row");
    assert!(row["live_bytes_low"].as_u64() < row["live_bytes"].as_u64(), "{row}");
    let capture = sample_capture(folder.path(), "a.plim");
    let part = json(&export(&capture, "speedscope", &["--from", "2us", "--until", "half-way"]));
    // From 2 to 20 µs: two of 1,000, one of 500; eight of 64 came at 5 to 19 µs, the last of which lives.
    let ends: Vec<u64> =
        part["profiles"].as_array().expect("list").iter().filter_map(|one| one["endValue"].as_u64()).collect();
    assert_eq!(ends[0], 2_500, "{part}");
    assert_eq!(ends[2], 2_500 + 8 * 64, "{part}");
    let focused = export(&capture, "collapsed", &["--focus", "parse"]);
    assert_eq!(std::fs::read_to_string(focused).expect("text"), "parser::parse 500\n");
}

#[test]
fn what_makes_no_sense_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = sample_capture(folder.path(), "a.plim");
    let refused = |more: &[&str], why: &str| {
        let said = plimsoll(&[&["export", &capture, "-o", "-"], more].concat());
        assert_eq!((said.code, said.stdout.as_str(), said.stderr.lines().count()), (2, "", 1), "{}", said.stderr);
        assert!(said.stderr.contains(why), "{}", said.stderr);
    };
    refused(&["--to", "pprof", "--of", "live"], "--of is for --to collapsed");
    refused(&["--to", "dhat", "--steps", "2"], "--steps and --host are for");
    refused(&["--to", "csv", "--at", "peak", "--steps", "2"], "one moment");
    refused(&["--to", "csv", "--until", "1h"], "--until 1h: that is after the capture");
    if cfg!(not(feature = "parquet")) {
        refused(&["--to", "parquet"], "--features parquet");
    }
}

#[test]
fn hostile_names_stay_names() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, &["=cmd()\x1b[31m", "a;b\nc 12", "\u{202e}</script>"]);
    thread(&mut builder, "x\ny");
    let events: Vec<_> = (1..4).map(|at| alloc(START + at, 0x1_0000 * at, 100, at as u32)).collect();
    builder.events(&events).watermark(START + 10).end(START + 10);
    let capture = builder.save(folder.path(), "h.plim").to_str().expect("a plain path").to_owned();
    let text = |format: &str| std::fs::read_to_string(export(&capture, format, &[])).expect("text");
    let lines = text("collapsed");
    assert_eq!(lines.lines().count(), 3, "{lines}");
    for format in ["collapsed", "csv", "jsonl", "speedscope", "dhat", "firefox"] {
        let text = text(format);
        assert!(!text.contains(['\x1b', '\u{202e}']), "{format}: {text}");
    }
    assert!(text("csv").contains("\"'=cmd()"));
}
