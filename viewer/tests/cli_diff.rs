//! `plimsoll diff` on captures whose differences can be worked out by hand.
#![forbid(unsafe_code)]

#[path = "cli_support/mod.rs"]
mod cli_support;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::Path;

use cli_support::{Output, named, plimsoll, sample_capture, sampled_capture, thread};
use plimsoll_format::Event;
use serde_json::Value;
use support::{CaptureBuilder, START, alloc, free};

fn json(output: &Output) -> Value {
    assert_eq!(output.code, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).expect("it prints one JSON object")
}

/// Name, bytes before, after and the change of each change.
fn changes(json: &Value) -> Vec<(String, u64, u64, i64)> {
    let change = |change: &Value| {
        let bytes = |name: &str| change[name]["value"].as_u64().unwrap();
        assert!(change["significant"].as_bool().unwrap());
        let name = change["name"].as_str().unwrap().to_owned();
        (name, bytes("before"), bytes("after"), change["change"]["value"].as_i64().unwrap())
    };
    json["changes"].as_array().unwrap().iter().map(change).collect()
}

/// Blocks that stay: the functions, and what each allocates; an event each microsecond.
fn kept(folder: &Path, name: &str, functions: &[&str], blocks: &[(u32, u64)]) -> String {
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, functions);
    thread(&mut builder, "worker");
    let event = |(at, (stack, size)): (usize, &(u32, u64))| {
        alloc(START + 1_000 * (at as u64 + 1), 0x10_0000 + 0x1000 * at as u64, *size, *stack)
    };
    let events: Vec<Event> = blocks.iter().enumerate().map(event).collect();
    builder.events(&events).watermark(START + 30_000).end(START + 31_000);
    builder.save(folder, name).to_str().expect("a plain path").to_owned()
}

#[test]
fn sites_of_two_builds_are_matched_by_their_functions() {
    let folder = tempfile::tempdir().unwrap();
    // Another order of the functions: other addresses, other lines.
    let before = kept(folder.path(), "a.plim", &["gone", "same", "grows"], &[(1, 700), (2, 64), (3, 1_000)]);
    let after = kept(folder.path(), "b.plim", &["grows", "new", "same"], &[(1, 1_000), (1, 1_500), (2, 300), (3, 64)]);
    let diff = json(&plimsoll(&["diff", &before, &after, "--json"]));
    let expected = [("grows", 1_000, 2_500, 1_500), ("gone", 700, 0, -700), ("new", 0, 300, 300)]
        .map(|(name, before, after, change)| (name.to_owned(), before, after, change));
    assert_eq!(changes(&diff), expected);
    assert_eq!((diff["compared"].as_u64(), diff["significant"].as_u64()), (Some(4), Some(3)));
    assert_eq!((&diff["false_alarms"], &diff["hidden_bytes"]), (&Value::Null, &Value::from(0)));
    assert_eq!(diff["changes"][0]["change_allocations"]["value"], 1);
    assert_eq!(diff["capture"]["path"].as_str(), Some(after.as_str()), "the common part is of the capture after");
    assert_eq!(diff["before"]["capture"]["path"].as_str(), Some(before.as_str()));
    let text = plimsoll(&["diff", &before, &after]).stdout;
    assert!(text.contains("3 of 4 sites changed (exact)"), "{text}");
    let row = text.lines().find(|line| line.ends_with("gone")).expect("a row");
    assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["2", "−700", "B", "700", "B", "–", "gone"]);
    let less = plimsoll(&["diff", &before, &after, "--top", "1"]).stdout;
    assert!(less.contains("2 more; --top 0 shows all") && !less.contains("gone"), "{less}");
}

/// At microseconds after the start: 10 a 1,000 bytes of stack 1; 20 b 300 of stack 2, freed at 60; 30 c 500 of stack 1,
/// freed at 35; 50 d 700 of stack 2.
fn story(folder: &Path) -> String {
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, &["first", "second"]);
    thread(&mut builder, "worker");
    let at = |us: u64| START + us * 1_000;
    builder.events(&[
        alloc(at(10), 0x1000, 1_000, 1),
        alloc(at(20), 0x2000, 300, 2),
        alloc(at(30), 0x3000, 500, 1),
        free(at(35), 0x3000),
        alloc(at(50), 0x4000, 700, 2),
        free(at(60), 0x2000),
    ]);
    builder.watermark(at(100)).end(at(100));
    builder.save(folder, "story.plim").to_str().unwrap().to_owned()
}

#[test]
fn two_moments_of_one_capture_are_compared() {
    let folder = tempfile::tempdir().unwrap();
    let capture = story(folder.path());
    let moments = json(&plimsoll(&["diff", &capture, "--from", "30us", "--to", "70us", "--json"]));
    assert_eq!(changes(&moments), [("first".to_owned(), 1_500, 1_000, -500), ("second".to_owned(), 300, 700, 400)]);
    assert_eq!(moments["before"]["at"]["at_ms"], 0.03);
    assert_eq!(moments["at"]["at_ms"], 0.07);
    let from_start = json(&plimsoll(&["diff", &capture, "--to", "end", "--json"]));
    assert_eq!(changes(&from_start), [("first".to_owned(), 0, 1_000, 1_000), ("second".to_owned(), 0, 700, 700)]);
    // 70 µs to the end: the same blocks are live.
    let text = plimsoll(&["diff", &capture, "--from", "70us"]).stdout;
    assert!(text.contains("bytes live at 70.0 µs and at 100 µs") && text.contains("0 of 2 sites changed"), "{text}");
}

#[test]
fn what_cannot_be_compared_is_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let capture = story(folder.path());
    let refused = [
        (&["diff", &capture][..], "name them with --from and --to, or name a second capture"),
        (&["diff", &capture, "--at", "30us"], "name them with --from and --to"),
        (&["diff", &capture, "--from", "1us", "--of", "peak"], "only what is live can be compared"),
        (&["diff", &capture, &capture, "--at", "30us", "--of", "total"], "--at 30us does not go with --of total"),
        (&["diff", &capture, "nowhere.plim"], "nowhere.plim"),
        (&["diff", &capture, "--from", "2us", "--to", "1us"], "the range ends before it begins"),
    ];
    for (arguments, reason) in refused {
        let output = plimsoll(arguments);
        assert_eq!((output.code, output.stderr.lines().count()), (2, 1), "{arguments:?}: {}", output.stderr);
        assert!(output.stderr.contains(reason), "{arguments:?}: {}", output.stderr);
    }
}

#[test]
fn one_sample_more_is_no_change() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CaptureBuilder::sampled(1_000);
    named(&mut builder, &["service::cache::insert", "other"]);
    thread(&mut builder, "worker");
    builder.watermark(START + 20_000).end(START + 20_000);
    let empty = builder.save(folder.path(), "empty.plim").to_str().unwrap().to_owned();
    let one = sampled_capture(folder.path(), "one.plim");
    let diff = json(&plimsoll(&["diff", &empty, &one, "--json"]));
    assert_eq!((diff["compared"].as_u64(), diff["changes"].as_array().map(Vec::len)), (Some(1), Some(0)));
    assert_eq!(diff["false_alarms"], 0.01);
    assert!(diff["hidden_bytes"].as_u64().unwrap() > 1_000);
    let all = json(&plimsoll(&["diff", &empty, &one, "--json", "--all"]));
    let change = &all["changes"][0];
    // One sample on one side: as likely as not.
    assert!(change["p_value"].as_f64().unwrap() > 0.999 && change["significant"] == false, "{change}");
    assert_eq!(change["before"]["value"], 0);
    assert!(change["before"]["high"].as_u64().unwrap() > 0, "a site without a sample is not known to be empty");
}

#[test]
fn captures_that_are_not_alike_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let exact = sample_capture(folder.path(), "exact.plim");
    let text = plimsoll(&["diff", &exact, &sampled_capture(folder.path(), "sampled.plim")]).stdout;
    assert!(text.contains("recorded in different ways (exact, one sample per 1000 B)"), "{text}");
    assert!(text.contains("one lasts 31.0 µs, the other 20.0 µs"), "{text}");
    assert!(!plimsoll(&["diff", &exact, &exact]).stdout.contains("warning"));
}

#[test]
fn markdown_and_pictures_hold_hostile_names() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a|b`c<script>\u{1b}[31m";
    let before = kept(folder.path(), "a.plim", &["same"], &[(1, 64)]);
    let after = kept(folder.path(), "b.plim", &["same", name], &[(1, 64), (2, 4_096)]);
    let markdown = plimsoll(&["diff", &before, &after, "--markdown"]).stdout;
    assert!(!markdown.contains('\u{1b}'));
    let row = markdown.lines().find(|line| line.contains("+4.00 KiB") && line.contains("| 1")).expect("a row");
    assert!(row.contains("a&#124;b&#96;c&#60;script&#62;"), "{row}");
    // Six bars: five cells.
    assert_eq!(row.matches('|').count(), 6, "{row}");
    let picture = folder.path().join("x.svg");
    let output = plimsoll(&["diff", &before, &after, "-o", picture.to_str().unwrap()]);
    assert!(output.stdout.ends_with("x.svg\n"), "{}", output.stdout);
    let svg = fs::read_to_string(&picture).unwrap();
    assert!(svg.contains("change of bytes live at the end") && !svg.contains("<script>\\u"), "{}", svg.len());
    // The new one is red, what is the same is not.
    let colour = |of: &str| {
        let frame = svg.split("<g>").find(|frame| frame.contains(&format!("<title>{of}"))).expect("a frame");
        frame.split("fill=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a colour").to_owned()
    };
    assert_eq!(colour("a|b"), "rgb(255,100,100)");
    assert_eq!(colour("same"), "rgb(250,250,250)");
}
