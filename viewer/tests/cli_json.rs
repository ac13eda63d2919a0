//! The JSON of every command fits its schema in `docs/json`, and says what the capture holds.
#![forbid(unsafe_code)]

#[path = "cli_support/mod.rs"]
mod cli_support;
#[path = "support/mod.rs"]
mod support;

use cli_support::{Output, plimsoll, sample_capture, sampled_capture};
use serde_json::Value;

fn parse(output: &Output) -> Value {
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.is_ascii() || !output.stdout.contains('\u{9b}'));
    serde_json::from_str(&output.stdout).expect("it prints one JSON object")
}

fn check(schema: &str, json: &Value) {
    let path = format!("{}/docs/json/{schema}.schema.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let schema: Value = serde_json::from_str(&text).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema is valid");
    let errors: Vec<String> =
        validator.iter_errors(json).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{path}: {errors:#?}\n{json}");
}

#[test]
fn every_command_fits_its_schema() {
    let folder = tempfile::tempdir().unwrap();
    let picture = folder.path().join("x.svg");
    let picture = picture.to_str().unwrap();
    for capture in [sample_capture(folder.path(), "exact.plim"), sampled_capture(folder.path(), "sampled.plim")] {
        for by in ["site", "function", "crate", "type", "thread", "tag"] {
            check("report", &parse(&plimsoll(&["report", &capture, "--json", "--by", by])));
        }
        for at in ["peak", "end", "1us"] {
            check("leaks", &parse(&plimsoll(&["leaks", &capture, "--json", "--at", at])));
        }
        for by in ["size", "lifetime", "age"] {
            check("histogram", &parse(&plimsoll(&["histogram", &capture, "--json", "--by", by])));
        }
        for of in ["leaks", "live", "peak", "total"] {
            check("flamegraph", &parse(&plimsoll(&["flamegraph", &capture, "--json", "--of", of, "-o", picture])));
        }
        for command in ["report", "leaks", "histogram", "flamegraph"] {
            let output: &[&str] = if command == "flamegraph" { &["-o", picture] } else { &[] };
            for range in [["--from", "1us", "--to", "2us"], ["--from", "start", "--to", "end"]] {
                let arguments = [&[command, &capture, "--json"], &range[..], output].concat();
                check(command, &parse(&plimsoll(&arguments)));
            }
        }
        check("list", &parse(&plimsoll(&["list", "--json"])));
        check("rss", &parse(&plimsoll(&["rss", &capture, "--json"])));
        for of in ["live", "peak", "total"] {
            check("diff", &parse(&plimsoll(&["diff", &capture, &capture, "--json", "--all", "--of", of])));
        }
        check("diff", &parse(&plimsoll(&["diff", &capture, "--from", "1us", "--json", "--all"])));
        for line in plimsoll(&["dump", &capture, "--json", "--full"]).stdout.lines() {
            check("dump", &serde_json::from_str(line).expect("each line is JSON"));
        }
    }
}

#[test]
fn leaks_are_exact_and_ranked() {
    let folder = tempfile::tempdir().unwrap();
    let json = parse(&plimsoll(&["leaks", &sample_capture(folder.path(), "a.plim"), "--json"]));
    // Stack 1 keeps 3 × 1,000 bytes, stack 2 one block of 500; what stack 3 allocated is freed.
    let sites = json["sites"].as_array().unwrap();
    let live: Vec<(u64, u64)> = sites
        .iter()
        .map(|site| {
            let number = |name: &str| site[name]["value"].as_u64().unwrap();
            (number("live_bytes"), number("live_allocations"))
        })
        .collect();
    assert_eq!(live, [(3_000, 3), (500, 1)]);
    for site in sites {
        assert_eq!(site["live_bytes"]["low"], site["live_bytes"]["high"], "exact numbers have no error");
    }
    assert_eq!(sites[0]["frames"][0]["function"], "service::cache::insert");
    assert_eq!(sites[0]["frames"][0]["line"], 12);
    assert_eq!(json["capture"]["end"], "clean");
    assert_eq!(json["capture"]["program"], "service");
}

#[test]
fn moments_filters_and_groups_change_the_list() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    let names = |arguments: &[&str]| -> Vec<String> {
        let all: Vec<&str> = ["leaks", capture.as_str(), "--json"].iter().chain(arguments).copied().collect();
        let json = parse(&plimsoll(&all));
        json["sites"].as_array().unwrap().iter().map(|site| site["name"].as_str().unwrap().to_owned()).collect()
    };
    // Events are 1 µs apart: 1 µs in, there is the first block of stack 1 alone.
    assert_eq!(names(&["--at", "1us"]), ["service::cache::insert"]);
    assert_eq!(names(&["--at", "half-way"]).len(), 2, "a marker's name is a moment");
    assert_eq!(names(&["--focus", "cache"]), ["service::cache::insert"]);
    assert_eq!(names(&["--ignore", "cache"]), ["parser::parse"]);
    assert_eq!(names(&["--top", "1"]), ["service::cache::insert"]);
    assert_eq!(names(&["--by", "crate"]), ["service", "parser"]);
    assert_eq!(names(&["--by", "thread"]), ["worker"]);
    assert_eq!(names(&["--by", "tag"]), ["[no tag]"]);
}

#[test]
fn estimates_have_an_interval() {
    let folder = tempfile::tempdir().unwrap();
    let json = parse(&plimsoll(&["leaks", &sampled_capture(folder.path(), "a.plim"), "--json"]));
    let live = &json["sites"][0]["live_bytes"];
    // One sample of 100 bytes at a mean interval of 1,000 stands for 100 / (1 − e^−0.1) = 1,051 bytes.
    assert_eq!(live["value"], 1051);
    assert!(live["low"].as_u64() < Some(1051) && live["high"].as_u64() > Some(1051), "{live}");
}

#[test]
fn a_resident_set_that_is_split_fits_its_schema() {
    let golden = format!("{}/../agent/format/tests/captures/v1-memory.plim", env!("CARGO_MANIFEST_DIR"));
    let json = parse(&plimsoll(&["rss", &golden, "--json"]));
    check("rss", &json);
    let split = &json["rss"];
    assert_eq!((&split["allocator"]["name"], &split["allocator_basis"]), (&"jemalloc".into(), &"stated".into()));
    // The kinds hold 0 to 8 MiB: 36 MiB in nine parts; half way between 35 and 36 MiB of RSS less that.
    assert_eq!(split["remainder_bytes"], -(1 << 19));
}
