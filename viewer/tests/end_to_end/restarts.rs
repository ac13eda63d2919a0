//! A service that is restarted again and again with the same environment, because it is killed or fails.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::programs::{self, Mode, Run};
use crate::reports::Report;

const STARTS: usize = 5;

fn captures(folder: &Path) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    // Beside them are the arenas of those that were killed.
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "plim")).collect()
}

/// Waits until a service has written what it writes at its start and its first tick.
fn wait_for(mut is_there: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_there() {
        assert!(begin.elapsed() < Duration::from_secs(60), "the service does not get on");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Starts a service that would run for hours, and kills it once its capture has grown.
fn start_and_kill(folder: &Path) -> PathBuf {
    let before = captures(folder);
    let run = Run { mode: Mode::Exact, arguments: &["1000000000000"], ..Run::default() };
    let mut command = programs::command("handover", &run, folder);
    let mut service: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let new = || captures(folder).difference(&before).next().cloned();
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    wait_for(|| new().is_some_and(|path| size(&path) > 1 << 20));
    service.kill().expect("it can be killed");
    service.wait().expect("it ends");
    new().expect("it made a capture")
}

#[test]
fn every_start_leaves_a_capture_that_says_how_it_ended() {
    let folder = tempfile::tempdir().expect("a folder for captures");
    for _ in 0..STARTS {
        let report = Report::of(&start_and_kill(folder.path()));
        let end = report.0["capture"]["end"].as_str().unwrap_or_default();
        assert!(["killed", "truncated"].contains(&end), "{end}");
        assert!(
            report.0["totals"]["allocations"]["value"].as_f64() > Some(1000.0),
            "it shows what happened until then"
        );
    }
    // Fails at once: there is no way to make 7 pairs. It unwinds through `main`, so the session ends in order.
    let failing = Run { mode: Mode::Exact, arguments: &["7"], ..Run::default() };
    for _ in 0..STARTS {
        let before = captures(folder.path());
        let output = programs::command("thread_queue", &failing, folder.path()).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && !said.contains("plimsoll:"), "{said}");
        let new: Vec<PathBuf> = captures(folder.path()).difference(&before).cloned().collect();
        assert_eq!(new.len(), 1);
        assert_eq!(Report::of(&new[0]).0["capture"]["end"], "clean");
    }
    assert_eq!(captures(folder.path()).len(), 2 * STARTS);
}
