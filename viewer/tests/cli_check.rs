//! `plimsoll check` on captures whose figures can be worked out by hand: every gate passes, fails and cannot tell.
#![forbid(unsafe_code)]

#[path = "cli_support/mod.rs"]
mod cli_support;
#[path = "support/mod.rs"]
mod support;

use std::path::Path;

use cli_support::{Output, named, plimsoll, thread};
use plimsoll_format::{Counters, Event, Loss, LossCause, Mode, PeakInterval, Record, Totals};
use serde_json::Value;
use support::{CaptureBuilder, START, alloc, counters, free, header};

const SECOND: u64 = 1_000_000_000;
const EVIL: &str = "evil|`<img src=x>`|@all[x](y)";

/// How a capture is made.
#[derive(Clone, Copy)]
struct Make {
    name: &'static str,
    program: &'static str,
    function: &'static str,
    /// Blocks of 1,000 bytes that stay, one each half second.
    kept: u64,
    /// A block that comes and goes once in each of 100 seconds, and its bytes.
    spike: u64,
    /// Has an orderly end.
    ends: bool,
    /// Has a reading of the counters.
    counted: bool,
    /// An allocation was not recorded.
    lossy: bool,
    /// Bytes of one block that stays and that no sample fell on: only the counters know of it.
    unsampled: u64,
    /// Threads ran while the counters were read: so much more may have been allocated, and at the peak.
    running: u64,
}

const HEALTHY: Make = Make {
    name: "healthy.plim",
    program: "service",
    function: "service::cache",
    kept: 0,
    spike: 5_000,
    ends: true,
    counted: true,
    lossy: false,
    unsampled: 0,
    running: 0,
};
/// 200 blocks in 100 s: 2,000 bytes a second.
const LEAKY: Make = Make { name: "leaky.plim", kept: 200, ..HEALTHY };

impl Make {
    fn totals(&self) -> Totals {
        let (kept, spikes) = (self.kept, 100);
        Totals {
            allocations: kept + spikes,
            bytes: kept * 1_000 + spikes * self.spike + self.unsampled,
            frees: spikes,
            freed_bytes: spikes * self.spike,
            ..Totals::default()
        }
    }

    /// Live before the last spike goes, which comes after all that stays.
    fn peak(&self) -> u64 {
        self.kept * 1_000 + self.spike
    }

    fn counters(&self, mode: Mode) -> Counters {
        let upper = Totals {
            allocations: self.totals().allocations + self.running,
            bytes: self.totals().bytes + self.running * 100,
            ..self.totals()
        };
        let low_bytes = self.peak();
        // Of a sampled capture the counters' interval is all that is known of the peak.
        let width = if mode == Mode::Exact { 0 } else { 1_000 };
        let ticks = START + 100 * SECOND;
        let peak = PeakInterval { low_bytes, high_bytes: low_bytes + width, ticks };
        Counters { program_upper: upper, peak, exact: self.running == 0, ..counters(ticks, self.totals(), low_bytes) }
    }

    fn save(&self, folder: &Path, mode: Mode) -> String {
        let interval_bytes = if mode == Mode::Exact { 1 } else { 1_000 };
        let mut header = header(mode, interval_bytes);
        header.program = self.program.into();
        let mut builder = CaptureBuilder::with_header(header);
        named(&mut builder, &[self.function, "service::churn"]);
        thread(&mut builder, "worker");
        let of = |event: Event| Event { interval_bytes, ..event };
        let mut events = Vec::new();
        for half in 0..200 {
            let at = START + half * SECOND / 2 + 1_000;
            if half < self.kept {
                events.push(of(alloc(at, 0x10_0000 + half * 0x1000, 1_000, 1)));
            }
            if half % 2 == 1 {
                events.push(of(alloc(at + 1_000, 0x8000, self.spike, 2)));
                events.push(free(at + 2_000, 0x8000));
            }
        }
        events.chunks(50).for_each(|events| {
            builder.events(events).block();
        });
        let end = START + 100 * SECOND;
        if self.lossy {
            let (from_ticks, to_ticks) = (START, START + SECOND);
            let cause = LossCause::WriterBehind;
            builder.record(Record::Loss(Loss {
                from_ticks,
                to_ticks,
                cause,
                allocations: 1,
                bytes: 8,
                frees: 0,
                freed_bytes: 0,
            }));
        }
        if self.counted {
            builder.record(Record::Counters(self.counters(mode)));
        }
        builder.watermark(end);
        if self.ends {
            builder.end(end);
        }
        builder.save(folder, self.name).to_str().unwrap().to_owned()
    }
}

fn check(capture: &str, arguments: &[&str]) -> Output {
    plimsoll(&[&["check", capture], arguments].concat())
}

/// Status and sentence of each check.
fn statuses(capture: &str, arguments: &[&str]) -> (i32, Vec<(String, String)>, Value) {
    let output = check(capture, &[arguments, &["--json"]].concat());
    let json: Value = serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("JSON: {}", output.stderr));
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    let checks = json["checks"].as_array().unwrap();
    (output.code, checks.iter().map(|check| (text(check, "status"), text(check, "sentence"))).collect(), json)
}

/// Exit code and status of a single check.
fn one(capture: &str, arguments: &[&str]) -> (i32, String) {
    let (code, checks, _) = statuses(capture, arguments);
    assert_eq!(checks.len(), 1, "{arguments:?}");
    (code, checks[0].0.clone())
}

fn is(code: i32, status: &str) -> (i32, String) {
    (code, status.to_owned())
}

#[test]
fn exact_figures_pass_at_the_limit_and_fail_one_below() {
    let folder = tempfile::tempdir().unwrap();
    let capture = LEAKY.save(folder.path(), Mode::Exact);
    // 200 × 1,000 stay; 100 × 5,000 come and go, the last when all are there.
    let gates = [
        ("--max-peak", "205000", "204999"),
        ("--max-live-at-end", "200000", "199999"),
        ("--max-allocations", "300", "299"),
        ("--max-bytes", "700000", "699999"),
    ];
    for (gate, holds, breaks) in gates {
        assert_eq!(one(&capture, &[gate, holds]), is(0, "passed"), "{gate}");
        assert_eq!(one(&capture, &[gate, breaks]), is(1, "failed"), "{gate}");
        // What failed fails, however lenient.
        assert_eq!(one(&capture, &[gate, breaks, "--lenient"]), is(1, "failed"), "{gate}");
    }
    let (code, checks, _) = statuses(&capture, &["--max-peak", "1GiB", "--max-allocations", "299"]);
    assert_eq!((code, checks[0].0.as_str(), checks[1].0.as_str()), (1, "passed", "failed"), "one of two is enough");
    // Three digits would read 200 KiB twice.
    let near = statuses(&capture, &["--max-peak", "204999"]).1;
    assert_eq!(near[0].1, "peak: 205,000 B, more than 204,999 B");
}

#[test]
fn a_limit_within_an_interval_cannot_be_told() {
    let folder = tempfile::tempdir().unwrap();
    let capture = Make { running: 10, ..HEALTHY }.save(folder.path(), Mode::Sampled);
    // Allocations 100 to 110, bytes 500,000 to 501,000, live 0 to 1,000, peak 5,000 to 6,000.
    let gates = [
        ("--max-allocations", "110", "109", "99"),
        ("--max-bytes", "501000", "500999", "499999"),
        ("--max-peak", "6000", "5999", "4999"),
    ];
    for (gate, holds, unsure, breaks) in gates {
        assert_eq!(one(&capture, &[gate, holds]), is(0, "passed"), "{gate}");
        assert_eq!(one(&capture, &[gate, unsure]), is(1, "unknown"), "{gate}");
        assert_eq!(one(&capture, &[gate, unsure, "--lenient"]), is(0, "unknown"), "{gate}");
        assert_eq!(one(&capture, &[gate, breaks]), is(1, "failed"), "{gate}");
    }
    assert_eq!(one(&capture, &["--max-live-at-end", "1000"]), is(0, "passed"));
    assert_eq!(one(&capture, &["--max-live-at-end", "999"]), is(1, "unknown"));
    let output = check(&capture, &["--max-bytes", "500999", "--lenient"]);
    assert!(output.stdout.contains("cannot be told, which --lenient lets pass"), "{}", output.stdout);
    assert!(output.stdout.contains("the limit lies within the interval"), "{}", output.stdout);
}

#[test]
fn what_has_no_end_never_passes_and_may_fail() {
    let folder = tempfile::tempdir().unwrap();
    let killed = Make { ends: false, name: "killed.plim", ..LEAKY }.save(folder.path(), Mode::Exact);
    let uncounted = Make { counted: false, name: "uncounted.plim", ..LEAKY }.save(folder.path(), Mode::Exact);
    for (capture, why) in [(&killed, "no orderly end"), (&uncounted, "last reading of the counters is missing")] {
        for gate in ["--max-peak", "--max-live-at-end", "--max-bytes"] {
            let (code, checks, _) = statuses(capture, &[gate, "1GiB"]);
            assert_eq!((code, checks[0].0.as_str()), (1, "unknown"), "{gate}");
            assert!(checks[0].1.contains(why), "{gate}: {}", checks[0].1);
        }
        assert_eq!(one(capture, &["--max-growth-rate", "1GiB/s"]), is(1, "unknown"));
    }
    // Of a capture without an end, what was seen was seen; what is live then says nothing of the end.
    assert_eq!(one(&killed, &["--max-peak", "1KB"]), is(1, "failed"));
    assert_eq!(one(&killed, &["--max-allocations", "10"]), is(1, "failed"));
    assert_eq!(one(&killed, &["--max-live-at-end", "1KB"]), is(1, "unknown"));
    assert_eq!(one(&killed, &["--no-leak"]), is(1, "failed"));
    let healthy = Make { ends: false, name: "cut.plim", ..HEALTHY }.save(folder.path(), Mode::Exact);
    assert_eq!(one(&healthy, &["--no-leak"]), is(1, "unknown"));
}

#[test]
fn leaks_fail_with_their_rate() {
    let folder = tempfile::tempdir().unwrap();
    let leaky = LEAKY.save(folder.path(), Mode::Exact);
    let healthy = HEALTHY.save(folder.path(), Mode::Exact);
    assert_eq!(one(&healthy, &["--no-leak"]), is(0, "passed"));
    assert_eq!(one(&healthy, &["--max-growth-rate", "0/s"]), is(0, "passed"));
    let (code, _, json) = statuses(&leaky, &["--no-leak"]);
    assert_eq!((code, &json["sites"][0]["name"]), (1, &"service::cache".into()));
    assert_eq!(json["sites"][0]["verdict"]["class"], "leak");
    // 2,000 bytes a second lie within the interval: twice that is enough, half is not, and 2,000 cannot be told.
    assert_eq!(one(&leaky, &["--max-growth-rate", "4000/s"]), is(0, "passed"));
    assert_eq!(one(&leaky, &["--max-growth-rate", "2000/s"]), is(1, "unknown"));
    assert_eq!(one(&leaky, &["--max-growth-rate", "1000/s"]), is(1, "failed"));
    // The same two by the minute, the hour and the day.
    for (holds, breaks) in [("240kB/min", "60kB/min"), ("14.4MB/h", "3.6MB/h"), ("345.6MB/d", "86.4MB/d")] {
        assert_eq!(one(&leaky, &["--max-growth-rate", holds]), is(0, "passed"), "{holds}");
        assert_eq!(one(&leaky, &["--max-growth-rate", breaks]), is(1, "failed"), "{breaks}");
    }
    let text = check(&leaky, &["--no-leak"]).stdout;
    assert!(text.contains("service::cache") && text.contains("/s ±"), "{text}");
    let lossy = Make { lossy: true, name: "lossy.plim", ..HEALTHY }.save(folder.path(), Mode::Exact);
    for gate in [&["--no-leak"][..], &["--max-growth-rate", "1GiB/s"]] {
        let (code, checks, _) = statuses(&lossy, gate);
        assert_eq!((code, checks[0].0.as_str()), (1, "unknown"), "{gate:?}");
        assert!(checks[0].1.contains("allocations were lost"), "{}", checks[0].1);
    }
}

#[test]
fn too_little_evidence_is_said_and_fails_when_strict() {
    let folder = tempfile::tempdir().unwrap();
    let few = few(folder.path());
    let (code, checks, json) = statuses(&few, &["--no-leak"]);
    assert_eq!((code, checks[0].0.as_str()), (0, "passed"), "{json}");
    assert!(checks[0].1.contains("1 site has too little evidence for a verdict: record"), "{}", checks[0].1);
    assert_eq!(json["checks"][0]["found"], serde_json::json!({"value": 0, "low": 0, "high": 1}));
    assert_eq!(one(&few, &["--no-leak", "--strict"]), is(1, "unknown"));
    // What may hide at that site counts against the growth.
    let (code, checks, _) = statuses(&few, &["--max-growth-rate", "1/s"]);
    assert_eq!((code, checks[0].0.as_str()), (1, "unknown"));
    assert!(checks[0].1.contains("too little evidence"), "{}", checks[0].1);
    assert!(check(&few, &["--no-leak"]).stdout.contains("too-little-evidence"));
}

#[test]
fn growth_that_no_sample_fell_on_counts_as_possible() {
    let folder = tempfile::tempdir().unwrap();
    // 100,000 bytes in 100 s: at most 1,000 a second.
    let make = Make { unsampled: 100_000, ..HEALTHY };
    let capture = make.save(folder.path(), Mode::Sampled);
    assert_eq!(one(&capture, &["--max-growth-rate", "1000/s"]), is(0, "passed"));
    assert_eq!(one(&capture, &["--max-growth-rate", "999/s"]), is(1, "unknown"));
    // In an exact capture every block has its site, and what was there before cannot grow.
    let exact = make.save(folder.path(), Mode::Exact);
    assert_eq!(one(&exact, &["--max-growth-rate", "0/s"]), is(0, "passed"));
}

/// Eight blocks of 1,000 bytes, evenly over 100 s: too few for a verdict.
fn few(folder: &Path) -> String {
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, &["service::slow"]);
    thread(&mut builder, "worker");
    let events: Vec<Event> =
        (0..8).map(|at| alloc(START + (at * 12 + 6) * SECOND, 0x10_0000 + at * 0x1000, 1_000, 1)).collect();
    builder.events(&events);
    let totals = Totals { allocations: 8, bytes: 8_000, ..Totals::default() };
    let end = START + 100 * SECOND;
    builder.record(Record::Counters(counters(end, totals, 8_000))).watermark(end).end(end);
    builder.save(folder, "slow.plim").to_str().unwrap().to_owned()
}

#[test]
fn figures_are_compared_with_a_baseline() {
    let folder = tempfile::tempdir().unwrap();
    let base = Make { name: "base.plim", ..LEAKY }.save(folder.path(), Mode::Exact);
    // Spikes of 5,250 in place of 5,000 bytes: bytes 725,000 / 700,000 = +3.57 %, peak 205,250 / 205,000 = +0.12 %.
    let this = Make { spike: 5_250, name: "this.plim", ..LEAKY }.save(folder.path(), Mode::Exact);
    let against = |base: &str, percent: &str| {
        let (code, checks, json) = statuses(&this, &["--baseline", base, "--max-regression", percent]);
        let statuses: Vec<String> = checks.into_iter().map(|check| check.0).collect();
        (code, statuses.join(" "), json)
    };
    let (code, all, json) = against(&base, "5%");
    assert_eq!((code, all.as_str()), (0, "passed passed passed passed"));
    let bytes = &json["checks"][3];
    assert_eq!((&bytes["name"], &bytes["unit"]), (&"max-regression-bytes".into(), &"percent".into()));
    assert!((bytes["found"]["value"].as_f64().unwrap() - 25.0 / 7.0).abs() < 1e-9, "{bytes}");
    assert_eq!((&bytes["baseline"]["value"], &bytes["measured"]["value"]), (&700_000.into(), &725_000.into()));
    let (code, some, _) = against(&base, "1%");
    assert_eq!((code, some.as_str()), (1, "passed passed passed failed"));
    let (code, some, _) = against(&base, "0");
    assert_eq!((code, some.as_str()), (1, "failed passed passed failed"));
    // From 0 to 200,000 bytes live at the end: no per cent allow that.
    let none = Make { name: "none.plim", ..HEALTHY }.save(folder.path(), Mode::Exact);
    let (code, some, json) = against(&none, "1000000");
    assert_eq!((code, some.as_str()), (1, "passed failed passed passed"));
    assert_eq!(json["checks"][1]["found"]["low"], Value::Null);
    let text = check(&this, &["--baseline", &base, "--max-regression", "1%"]).stdout;
    assert!(text.contains(&format!("plimsoll diff {base} {this} shows where")), "{text}");
    // 168,435 is 12.29 % more than 150,000 to the byte, which floating point must not take for more.
    let base_12 = Make { spike: 150_000, name: "base_12.plim", ..HEALTHY }.save(folder.path(), Mode::Exact);
    let this_12 = Make { spike: 168_435, name: "this_12.plim", ..HEALTHY }.save(folder.path(), Mode::Exact);
    assert_eq!(check(&this_12, &["--baseline", &base_12, "--max-regression", "12.29%"]).code, 0);
    assert_eq!(check(&this_12, &["--baseline", &base_12, "--max-regression", "12.28%"]).code, 1);
    // Less is never a regression.
    let (code, checks, _) = statuses(&base, &["--baseline", &this, "--max-regression", "0%"]);
    assert!(code == 0 && checks.iter().all(|check| check.0 == "passed"), "{checks:?}");
}

#[test]
fn a_baseline_with_bounds_makes_bounds() {
    let folder = tempfile::tempdir().unwrap();
    let this = LEAKY.save(folder.path(), Mode::Exact);
    // Allocations 300 to 330: this capture's 300 are between −9.1 and 0 % above.
    let wide = Make { running: 30, name: "wide.plim", ..LEAKY }.save(folder.path(), Mode::Exact);
    let (_, checks, json) = statuses(&this, &["--baseline", &wide, "--max-regression", "0%"]);
    assert_eq!(checks[2].0, "passed", "{checks:?}");
    assert!((json["checks"][2]["found"]["low"].as_f64().unwrap() + 100.0 / 11.0).abs() < 1e-9, "{json}");
    // The other way round they are between 0 and +10 %.
    let (code, checks, _) = statuses(&wide, &["--baseline", &this, "--max-regression", "9%"]);
    assert_eq!((code, checks[2].0.as_str()), (1, "unknown"));
    assert_eq!(statuses(&wide, &["--baseline", &this, "--max-regression", "10%"]).1[2].0, "passed");
    // Against itself it is between −9.1 and +10 %: the two runs need not have been at the same end.
    let (_, checks, json) = statuses(&wide, &["--baseline", &wide, "--max-regression", "9%"]);
    assert_eq!(checks[2].0, "unknown", "{checks:?}");
    let found = &json["checks"][2]["found"];
    let ends = [found["low"].as_f64().unwrap() + 100.0 / 11.0, found["high"].as_f64().unwrap() - 10.0];
    assert!(ends.iter().all(|end| end.abs() < 1e-9), "{found}");
    let cut = Make { ends: false, name: "cut.plim", program: "other", ..HEALTHY }.save(folder.path(), Mode::Exact);
    let (code, checks, json) = statuses(&this, &["--baseline", &cut, "--max-regression", "1%"]);
    // Nothing bounds what the baseline may have come to, so nothing is known to be more.
    assert_eq!((code, checks[0].0.as_str()), (1, "unknown"));
    assert!(checks[0].1.contains("the baseline is not whole"), "{}", checks[0].1);
    let warnings = json["warnings"].to_string();
    assert!(warnings.contains("baseline: the capture has no end"), "{warnings}");
    assert!(warnings.contains("another program: other, not service"), "{warnings}");
}

#[test]
fn wrong_limits_are_usage_errors_that_say_what_is_allowed() {
    let folder = tempfile::tempdir().unwrap();
    let capture = HEALTHY.save(folder.path(), Mode::Exact);
    let wrong: [(&[&str], &str); 15] = [
        (&[], "give at least one of --max-peak, --max-live-at-end, --max-allocations"),
        (&["--lenient"], "nothing to check"),
        (&["--max-peak", "5 parsec"], "such as 512MiB, 2GB or 4096"),
        (&["--max-peak", ""], "is no size"),
        (&["--max-allocations", "1.5"], "such as 1000000 or 1_000_000"),
        (&["--max-allocations", "_"], "expected digits"),
        (&["--max-growth-rate", "1MiB"], "such as 1MiB/h, 100KiB/s"),
        (&["--max-growth-rate", "1MiB/fortnight"], "a time (s, min, h or d)"),
        (&["--max-regression", "5%"], "--baseline"),
        (&["--baseline", &capture], "--max-regression"),
        (&["--baseline", &capture, "--max-regression", "NaN"], "such as 5% or 0.5%"),
        (&["--baseline", &capture, "--max-regression=-1%"], "a number from 0 on"),
        (&["--no-leak", "--strict", "--lenient"], "cannot be used with"),
        (&["--no-leak", "--json", "--markdown"], "cannot be used with"),
        (&["--baseline", "/nowhere/a.plim", "--max-regression", "1%"], "/nowhere/a.plim"),
    ];
    for (arguments, expected) in wrong {
        let output = check(&capture, arguments);
        assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(output.stderr.contains(expected), "{arguments:?}: {}", output.stderr);
    }
    assert_eq!(check(&capture, &[]).stderr.lines().count(), 1);
    assert_eq!(check("/nowhere/b.plim", &["--no-leak"]).code, 2);
    assert_eq!(check(&capture, &["--max-allocations", "1_000"]).code, 0);
}

#[test]
fn markdown_keeps_names_as_text() {
    let folder = tempfile::tempdir().unwrap();
    let evil = Make { function: EVIL, program: "a|<b>\n# c", name: "x.plim", ..LEAKY }.save(folder.path(), Mode::Exact);
    let output = check(&evil, &["--no-leak", "--max-peak", "1GiB", "--markdown"]);
    assert_eq!(output.code, 1);
    let text = &output.stdout;
    assert!(text.starts_with("### ❌ Heap of a&#124;&#60;b&#62;"), "{text}");
    assert!(
        text.contains("| ✅ passed | peak |") && text.contains("| ❌ failed | sites that leak | 1 | 0 |"),
        "{text}"
    );
    assert!(!text.contains(['<', '>', '`', '[', '@']), "{text}");
    // Nobody adds a cell to a row: each has as many bars as its header.
    let bars = |row: &str| row.matches('|').count();
    let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
    assert!(rows.iter().all(|row| bars(row) == 5 || bars(row) == 4), "{text}");
    assert_eq!(rows.iter().filter(|row| bars(row) == 4).count(), 3, "header, line and one site: {text}");
    let healthy = HEALTHY.save(folder.path(), Mode::Exact);
    let text = check(&healthy, &["--no-leak", "--markdown"]).stdout;
    assert!(text.starts_with("### ✅ Heap of service: passed: 1 check\n"), "{text}");
    let screen = check(&evil, &["--no-leak"]).stdout;
    assert!(!screen.contains('\x1b'), "no colour in a pipe: {screen}");
}

#[test]
fn json_fits_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let path = format!("{}/docs/json/check.schema.json", env!("CARGO_MANIFEST_DIR"));
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let base = HEALTHY.save(folder.path(), Mode::Exact);
    let all = ["--no-leak", "--max-growth-rate", "1/s", "--max-peak", "1", "--max-live-at-end", "1"];
    let more = ["--max-allocations", "1", "--max-bytes", "1", "--baseline", &base, "--max-regression", "1%"];
    for make in [LEAKY, Make { ends: false, ..LEAKY }, Make { counted: false, ..LEAKY }] {
        for mode in [Mode::Exact, Mode::Sampled] {
            let (_, checks, json) = statuses(&make.save(folder.path(), mode), &[&all[..], &more].concat());
            assert_eq!(checks.len(), 10);
            let errors: Vec<String> =
                validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(errors.is_empty(), "{errors:#?}\n{json}");
        }
    }
}
