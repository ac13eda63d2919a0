//! `plimsoll ctl` and a service that is asked: recording started and stopped from outside, moments, intervals, memory given
//! back, and clients that mean no good.

pub(crate) mod service;
mod strangers;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::reports::{Report, plimsoll};
use service::Service;

fn path(json: &Value, what: &str) -> PathBuf {
    PathBuf::from(json["programs"][0][what]["path"].as_str().unwrap_or_else(|| panic!("no path in {json}")))
}

fn capture(json: &Value) -> PathBuf {
    let capture = json["programs"][0]["status"]["capture"].as_str();
    PathBuf::from(capture.unwrap_or_else(|| panic!("no capture in {json}")))
}

/// Live bytes of what the service keeps, at a moment.
fn kept_at(capture: &Path, at: &str) -> f64 {
    let capture = capture.to_str().expect("a plain path");
    let json = plimsoll(&["report", capture, "--json", "--top", "0", "--at", at]);
    Report(serde_json::from_str(&json).expect("JSON")).sum("keep", "live_bytes").value()
}

#[test]
fn an_idle_service_has_one_thread_more_and_records_when_it_is_asked() {
    let mut service = Service::start("obedient", &[]);
    assert_eq!(service.threads(), 2, "main, and the one that listens");
    let idle = service.ctl(&["status"]);
    let status = &idle["programs"][0]["status"];
    assert_eq!((status["state"].as_str(), status["program"].as_str()), (Some("idle"), Some("obedient")), "{idle}");
    let started = service.ctl(&["start", "--mode", "exact"]);
    let first = capture(&started);
    assert!(first.starts_with(service.captures()), "{started}");
    service.say("hold 100 1000");
    assert_eq!(path(&service.ctl(&["mark", "hundred"]), "written"), first);
    assert_eq!(service.ctl(&["pause"])["programs"][0]["status"]["state"], "paused");
    service.say("hold 30 1000");
    assert_eq!(service.ctl(&["resume"])["programs"][0]["status"]["state"], "recording");
    service.say("hold 7 1000");
    let snapshot = service.ctl(&["snapshot"]);
    assert_eq!(snapshot["programs"][0]["written"]["name"], "snapshot-1");
    service.say("hold 1 1000");
    assert!(service.refused(&["start"]).contains("records already, into"), "one at a time");
    let stopped = service.ctl(&["stop"]);
    assert_eq!(path(&stopped, "stopped"), first);
    assert_eq!(service.threads(), 2, "the session's threads are gone");
    // What was held while paused is in no site: 100, then 7 more, then 1.
    assert_eq!(
        [kept_at(&first, "hundred"), kept_at(&first, "snapshot-1"), kept_at(&first, "end")],
        [1e5, 1.07e5, 1.08e5]
    );
    let second = capture(&service.ctl(&["start", "--mode", "exact"]));
    assert_ne!(first, second, "each start makes a capture");
    service.say("hold 5 1000");
    service.ctl(&["stop"]);
    assert_eq!(kept_at(&second, "end"), 5e3);
    for command in ["stop", "pause", "resume", "flush", "snapshot"] {
        assert!(service.refused(&[command]).contains("it records nothing at the moment"), "{command}");
    }
    let end = Report::of(&first).0["capture"]["end"].clone();
    assert_eq!(end, "clean");
}

#[test]
fn a_session_of_the_programs_own_can_be_stopped_and_the_end_of_the_program_ends_one_that_was_asked_for() {
    let mut service = Service::start("obedient", &[("PLIMSOLL_MODE", "exact")]);
    let own = capture(&service.ctl(&["status"]));
    service.say("hold 10 1000");
    service.ctl(&["stop"]);
    assert_eq!(kept_at(&own, "end"), 1e4);
    let folder = service.folder().join("named.plim");
    let named = folder.to_str().expect("a plain path");
    assert_eq!(capture(&service.ctl(&["start", "--output", named])), folder);
    assert!(service.refused(&["start", "--output", named]).contains("records already"));
    service.say("mark theirs");
    service.end();
    let report = Report::of(&folder);
    assert_eq!(report.0["capture"]["end"], "clean");
    assert!(plimsoll(&["dump", named]).contains("theirs"), "the session's own marks go where it records");
}

#[test]
fn every_way_to_end_removes_the_socket() {
    for end in ["end", "exit"] {
        let mut service = Service::start("obedient", &[]);
        service.ctl(&["start"]);
        assert!(service.socket().exists());
        service.try_say(end);
        service.wait_for(|service| !service.socket().exists());
        if end == "end" {
            assert!(
                service.refused(&["status"]).contains("does not listen for control; start it with PLIMSOLL_CONTROL=1")
            );
            service.say("churn 1 1");
        }
    }
}

#[test]
fn what_a_killed_service_left_is_not_listed_and_the_next_start_removes_it() {
    let mut service = Service::start("obedient", &[]);
    let left = service.socket();
    service.kill();
    assert!(left.exists());
    assert!(service.refused(&["status"]).contains("there is no process"));
    assert!(!service.listed().contains(&service.pid()));
    let next = Service::start_beside(&service, "obedient");
    next.wait_for(|next| !left.exists() && next.socket().exists());
}

#[test]
fn several_that_listen_are_listed_and_have_to_be_told_apart() {
    let one = Service::start("obedient", &[]);
    // Others of this machine may listen too, which are not to be started by a test.
    if one.listed() == [one.pid()] {
        assert_eq!(one.ctl_anywhere(&["start"])["programs"][0]["pid"], one.pid());
    }
    let other = Service::start_beside(&one, "obedient");
    let listed = one.listed();
    assert!(listed.contains(&one.pid()) && listed.contains(&other.pid()), "{listed:?}");
    let refused = one.refused_anywhere(&["stop"]);
    assert!(refused.contains(" programs listen, as processes ") && refused.contains("say which"), "{refused}");
    assert!(refused.contains(&one.pid().to_string()) && refused.contains(&other.pid().to_string()), "{refused}");
}

/// 3 × 4 MiB in blocks of 256 bytes, at 64 KiB, 1 MiB and 8 KiB. What each sample stands for is told by its own interval, so
/// the sum holds the truth: 64 samples of 64 KiB, 4 of 1 MiB and 512 of 8 KiB are expected, an error of about 0.5 MiB in the
/// first, 2 MiB in the second and 0.2 MiB in the third.
#[test]
fn estimates_hold_the_truth_over_changes_of_the_interval() {
    let mut service = Service::start("obedient", &[("PLIMSOLL_SEED", "7")]);
    let file = capture(&service.ctl(&["interval", "64KiB"]));
    for interval in ["64KiB", "1MiB", "8KiB"] {
        let told = service.ctl(&["interval", interval]);
        assert_eq!(capture(&told), file);
        service.say("hold 16384 256");
    }
    assert!(service.refused(&["interval", "0"]).contains("interval"));
    service.ctl(&["stop"]);
    let report = Report::of(&file);
    let kept = report.sum("keep", "total_bytes");
    assert!(kept.holds(12 << 20), "{kept:?}");
    assert!(kept.width().is_some_and(|width| width < (16 << 20) as f64), "{kept:?}");
    let records = plimsoll(&["dump", file.to_str().expect("a plain path")]);
    for change in ["524288 to 65536", "65536 to 1048576", "1048576 to 8192"] {
        assert!(records.contains(&format!(": {change}, kept 0, dropped 0")), "{change}");
    }
    let service_in_exact_mode = Service::start("obedient", &[("PLIMSOLL_MODE", "exact")]);
    assert!(service_in_exact_mode.refused(&["interval", "1MiB"]).contains("has no interval"));
}

#[test]
fn a_flush_and_a_snapshot_leave_nothing_behind() {
    for command in ["flush", "snapshot"] {
        // Nothing outlives the kill but the file, and no tick comes in between.
        let variables = [("PLIMSOLL_ARENA", "off"), ("PLIMSOLL_MODE", "exact")];
        let mut service = Service::start("obedient", &variables);
        let file = capture(&service.ctl(&["status"]));
        for round in 1..=5 {
            service.say("hold 10 1000");
            service.ctl(&[command]);
            let copy = service.folder().join(format!("copy-{round}.plim"));
            std::fs::copy(&file, &copy).expect("a copy");
            assert_eq!(kept_at(&copy, "end"), f64::from(round) * 1e4, "{command}, round {round}");
        }
    }
}

#[test]
fn memory_is_given_back_by_each_allocator_and_none_loses_a_byte() {
    for (program, name, least) in
        [("obedient", "glibc", 32), ("obedient_jemalloc", "jemalloc", 32), ("obedient_mimalloc", "mimalloc", 16)]
    {
        let mut service = Service::start(program, &[("_RJEM_MALLOC_CONF", "dirty_decay_ms:-1")]);
        service.say("hold 20000 4000");
        service.say("drop");
        let answer = service.ctl(&["purge"]);
        let purged = &answer["programs"][0]["purged"];
        assert_eq!(purged["allocators"][0], name, "{answer}");
        let number = |key: &str| purged[key].as_u64().unwrap_or_else(|| panic!("no {key} in {answer}"));
        let (before, after, back) = (number("rss_before_bytes"), number("rss_after_bytes"), number("given_back_bytes"));
        assert_eq!(back, before.saturating_sub(after));
        // 20,000 blocks of 4,000 bytes are 76 MiB; one in 64 of them stays, and pages between.
        assert!(back >> 20 >= least, "{answer}");
        service.say("hold 20000 4000");
    }
}

#[test]
fn without_a_place_a_capture_goes_to_the_users_own_directory() {
    let service = Service::start("obedient", &[("PLIMSOLL_OUTPUT", "")]);
    let file = capture(&service.ctl(&["start"]));
    service.ctl(&["stop"]);
    let directory = file.parent().expect("it is in a directory");
    assert!(directory.to_string_lossy().starts_with("/tmp/plimsoll-"), "{}", directory.display());
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(directory).expect("there").permissions());
    assert_eq!(mode & 0o777, 0o700);
    std::fs::remove_file(file).expect("it can be removed");
}

/// Who asks may have another runtime directory than the program: a login shell and a service do.
#[test]
fn a_program_is_found_without_a_pid_whatever_runtime_directory_it_has() {
    let service = Service::start("obedient", &[]);
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.args(["ctl", "status"]).env("XDG_RUNTIME_DIR", elsewhere.path());
    let said = String::from_utf8(command.output().expect("it runs").stdout).expect("UTF-8");
    assert!(said.contains(&format!("obedient ({}): idle;", service.pid())), "{said}");
}
