//! `--suppress` and `--write-suppressions`: what is known and accepted is counted, listed, and no reason to fail.
#![forbid(unsafe_code)]

#[path = "support/mod.rs"]
mod support;

#[path = "cli_support/mod.rs"]
mod cli_support;

use std::path::Path;

use cli_support::{named, plimsoll, thread};
use plimsoll_format::Totals;
use serde_json::Value;
use support::{CaptureBuilder, START, alloc, counters, free};

/// A block of 4,000 bytes from stack 1 each second, and one of 500 from stack 2 that comes and goes; an hour of it.
fn leaking(folder: &Path) -> String {
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, &["service::remember::{{closure}}", "<[u8] as parser::Parse>::parse"]);
    thread(&mut builder, "worker");
    let at = |second: u64| START + second * 1_000_000_000;
    let mut totals = Totals::default();
    for second in 1..3_600 {
        let events = [
            alloc(at(second), 0x1000_0000 + second * 4_096, 4_000, 1),
            alloc(at(second) + 1, 0x20_0000, 500, 2),
            free(at(second) + 2, 0x20_0000),
        ];
        builder.events(&events);
        totals.allocations += 2;
        totals.bytes += 4_500;
        totals.frees += 1;
        totals.freed_bytes += 500;
    }
    builder.watermark(at(3_600));
    let peak = totals.bytes - totals.freed_bytes + 500;
    builder.record(plimsoll_format::Record::Counters(counters(at(3_600), totals, peak))).end(at(3_600));
    builder.save(folder, "leaking.plim").to_str().expect("a plain path").to_owned()
}

fn rules(folder: &Path, text: &str) -> String {
    let path = folder.join("known.txt");
    std::fs::write(&path, text).expect("a test can write its rules");
    path.to_str().expect("a plain path").to_owned()
}

#[test]
fn a_written_file_suppresses_what_it_was_written_for() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = leaking(folder.path());
    assert_eq!(plimsoll(&["leaks", &capture, "--fail-on", "leak"]).code, 1, "it leaks");
    assert_eq!(plimsoll(&["check", &capture, "--no-leak"]).code, 1, "it leaks");
    let path = folder.path().join("written.txt");
    let path = path.to_str().expect("a plain path");
    let said = plimsoll(&["leaks", &capture, "--write-suppressions", path]);
    assert!(said.stdout.contains("1 rule, for what leaks"), "{}{}", said.stdout, said.stderr);
    let written = std::fs::read_to_string(path).expect("it was written");
    assert!(written.contains("\nfunction service::remember::{{closure}} # 13.7 MiB live in service\n"), "{written}");
    let again = plimsoll(&["leaks", &capture, "--write-suppressions", path]);
    assert_eq!((again.code, std::fs::read_to_string(path).expect("it is there")), (2, written), "{}", again.stderr);

    let said = plimsoll(&["leaks", &capture, "--fail-on", "leak", "--suppress", path]);
    assert_eq!(said.code, 0, "{}", said.stdout);
    assert!(said.stdout.contains("Suppressed: 13.7 MiB in 1 live stack by "), "{}", said.stdout);
    assert!(
        said.stdout.contains("function service::remember::{{closure}}: 13.7 MiB in 1 stack – 13.7 MiB live in service")
    );
    let said = plimsoll(&["check", &capture, "--no-leak", "--max-growth-rate", "1KiB/h", "--suppress", path]);
    assert_eq!(said.code, 0, "{}", said.stdout);
    assert!(said.stdout.contains("Suppressed: 13.7 MiB"), "{}", said.stdout);
    let said = plimsoll(&["check", &capture, "--no-leak", "--markdown", "--suppress", path]);
    assert!(said.stdout.contains("- suppressed by function service"), "{}", said.stdout);
}

#[test]
fn unused_and_expired_rules_are_told_and_json_has_the_rest() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = leaking(folder.path());
    let old = rules(folder.path(), "function service::* until 2020-01-01 # not for ever\ncrate gone\n");
    let said = plimsoll(&["leaks", &capture, "--suppress", &old, "--fail-on", "leak"]);
    assert_eq!(said.code, 1, "an expired rule suppresses nothing");
    let expired = "known.txt, line 1: function service::* is suppressed no more: the rule held until 2020-01-01";
    assert!(said.stdout.contains(expired), "{}", said.stdout);
    assert!(said.stdout.contains("known.txt, line 2: crate gone matches nothing in this capture"), "{}", said.stdout);
    assert!(!said.stdout.contains("Suppressed:"), "{}", said.stdout);

    let known = rules(folder.path(), "crate service until 2999-12-31 # sessions, see #12\n");
    for (command, schema) in [
        (vec!["leaks"], include_str!("../docs/json/leaks.schema.json")),
        (vec!["check", "--no-leak"], include_str!("../docs/json/check.schema.json")),
    ] {
        let said = plimsoll(&[&command[..], &[&capture, "--json", "--suppress", &known]].concat());
        let json: Value = serde_json::from_str(&said.stdout).expect("JSON");
        let schema = serde_json::from_str(schema).expect("a schema");
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        assert!(validator.is_valid(&json), "{:?}", validator.iter_errors(&json).map(|error| error.to_string()).next());
        let taken = &json["suppressed"][0];
        assert_eq!(taken["live_bytes"]["value"], 3_599 * 4_000);
        let told = [&taken["rule"], &taken["reason"], &taken["until"]].map(|text| text.as_str().unwrap_or_default());
        assert_eq!(told, ["crate service", "sessions, see #12", "2999-12-31"]);
    }
}

#[test]
fn a_file_that_is_none_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let capture = leaking(folder.path());
    let wrong = rules(folder.path(), "# fine\nleak:foo*\n");
    for (path, why) in
        [(wrong.as_str(), "line 2: \"leak:foo*\" has no pattern"), ("/nowhere/x", "/nowhere/x: No such file")]
    {
        let said = plimsoll(&["leaks", &capture, "--suppress", path]);
        assert_eq!((said.code, said.stderr.lines().count()), (2, 1), "{}", said.stderr);
        assert!(said.stderr.contains(why), "{}", said.stderr);
    }
}
