//! A real process that is killed: its last moments are in the report, whoever keeps them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use serde_json::Value;

use crate::programs::{self, Mode, Run};

/// Runs `plimsoll` where the killed process had its arena.
fn plimsoll(runtime: &Path, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let output = command.args(arguments).env("XDG_RUNTIME_DIR", runtime).output().expect("plimsoll runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap_or(-1), text)
}

/// Starts the example that leaks by request, lets it answer some, and kills it. The capture then lacks everything since
/// the last tick, which is a minute long.
fn kill_one(runtime: &Path, capture: &Path) {
    let mut command =
        programs::command("killed", &Run { mode: Mode::Exact, arguments: &["wait"], ..Run::default() }, capture);
    let mut child = command.env("XDG_RUNTIME_DIR", runtime).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut line).expect("it says when it is ready");
    sleep(Duration::from_millis(20));
    child.kill().and_then(|()| child.wait()).expect("it is killed");
}

#[test]
fn a_report_leads_with_the_last_moments_and_clean_keeps_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let runtime = tempfile::Builder::new().prefix("plimsoll-test").tempdir_in("/dev/shm").expect("a folder in memory");
    let capture = folder.path().join("run.plim");
    kill_one(runtime.path(), &capture);
    let capture = capture.to_str().expect("UTF-8");

    let (_, listed) = plimsoll(runtime.path(), &["list", "--json"]);
    let json: Value = serde_json::from_str(&listed).expect("JSON");
    let ours: Vec<&Value> =
        json["arenas"].as_array().expect("a list").iter().filter(|it| it["capture"] == capture).collect();
    assert_eq!((ours.len(), ours[0]["state"].as_str()), (1, Some("dead")));

    let check = || {
        let (code, report) = plimsoll(runtime.path(), &["report", capture]);
        assert_eq!(code, 0, "{report}");
        let lines: Vec<&str> = report.lines().collect();
        assert!(lines[3].starts_with("Last moments"), "{report}");
        let grew = lines.iter().find(|line| line.contains("Grew most")).expect("a line");
        assert!(grew.contains("remember") && grew.contains("+19.5 MiB"), "{grew}");
        assert!(report.contains("recovered") && report.contains("no clean stop"), "{report}");
        let (_, json) = plimsoll(runtime.path(), &["leaks", capture, "--json"]);
        let json: Value = serde_json::from_str(&json).expect("JSON");
        assert_eq!(json["capture"]["end"], "killed");
        let site = json["sites"].as_array().expect("a list").iter().find(|site| site["name"] == "killed::remember");
        // 2,000 blocks of 10 KiB, to the byte, none of which the capture itself holds.
        assert_eq!(site.expect("it leaks")["live_bytes"]["value"], 2_000 * 10_240);
    };
    check();
    let (code, text) = plimsoll(runtime.path(), &["clean"]);
    assert!(code == 0 && text.contains("run.plim.arena"), "{text}");
    assert_eq!(fs::read_dir(runtime.path().join("plimsoll")).expect("its directory").count(), 0);
    check();
    let saved = format!("{capture}.arena");
    let kept = plimsoll_format::Remains::of(&fs::read(&saved).expect("saved")).expect("an arena");
    // Whether it was killed for memory is still known when its cgroup is gone.
    assert_eq!(kept.oom_kills_after.is_some(), kept.oom_kills_before.is_some());
    // Without it, what the capture has is told as what it is.
    fs::remove_file(saved).expect("saved");
    let (_, report) = plimsoll(runtime.path(), &["report", capture]);
    assert!(report.contains("the capture has no end"), "{report}");
}
