//! However a process ends, and however often it starts, it leaves one readable capture per start.

mod support;

use std::hint::black_box;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plimsoll_format::EndReason;
use support::{child, read, run_child};

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

const LEAKED: usize = 33_333;

/// Runs in a process of its own: leaks a block of known size, then ends as `ENDING` says.
#[test]
#[ignore = "run by the other tests"]
fn ending() {
    let session = plimsoll::Session::from_env_or_idle();
    std::mem::forget(black_box(vec![1u8; LEAKED]));
    match std::env::var("ENDING").as_deref() {
        Ok("drop") => drop(session),
        Ok("exit") => std::process::exit(7),
        Ok("return") => std::mem::forget(session),
        Ok("abort") => std::process::abort(),
        Ok("sleep") => std::thread::sleep(Duration::from_secs(60)),
        Ok("fork") => fork_and_exit(session),
        Ok("fork while tagging") => fork_while_tagging(session),
        Ok("fail") => std::process::exit(i32::from(session.is_recording())),
        other => panic!("unknown ending {other:?}"),
    }
}

/// A forked child allocates, frees what the parent allocated, and exits in the ordinary way.
fn fork_and_exit(session: plimsoll::Session) {
    let block = black_box(vec![5u8; 1000]);
    // SAFETY: the child only allocates, frees and exits; glibc makes its allocator usable after fork.
    match unsafe { libc::fork() } {
        0 => {
            drop(block);
            (0..1000).for_each(|size| drop(black_box(vec![0u8; size])));
            session.mark("from the child");
            drop(session);
            std::process::exit(0);
        }
        child => {
            let mut status = 0;
            // SAFETY: the status outlives the call.
            unsafe { libc::waitpid(child, &raw mut status, 0) };
            assert_eq!(status, 0, "the child exits");
            drop(session);
        }
    }
}

/// Children that are forked while other threads name tags name some themselves: none hangs.
fn fork_while_tagging(session: plimsoll::Session) {
    let stop = AtomicBool::new(false);
    let tag_until_stopped = || {
        let names: Vec<String> = (0..2000).map(|number| format!("tag {number}")).collect();
        while !stop.load(Ordering::Relaxed) {
            names.iter().rev().for_each(|name| drop(plimsoll::tag(name)));
        }
    };
    let fork_once = || {
        // SAFETY: the child names a tag and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            // SAFETY: an alarm ends what hangs.
            unsafe { libc::alarm(5) };
            drop(plimsoll::tag("from the child"));
            // SAFETY: ends the process at once.
            unsafe { libc::_exit(0) };
        }
        let mut status = 0;
        // SAFETY: the status outlives the call.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        status
    };
    std::thread::scope(|scope| {
        (0..2).for_each(|_| drop(scope.spawn(tag_until_stopped)));
        std::thread::sleep(Duration::from_millis(50));
        let failed = (0..50).map(|_| fork_once()).find(|status| *status != 0);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(failed, None, "children end by themselves");
    });
    drop(session);
}

fn captures(directory: &Path) -> Vec<PathBuf> {
    files(directory, "plim")
}

fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn leaked(path: &Path) -> usize {
    read(path).live().values().filter(|block| block.size_bytes == LEAKED as u64).count()
}

fn check(ending: &str, reason: &EndReason) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let variables =
        [("ENDING", ending), ("PLIMSOLL_OUTPUT", path.to_str().expect("UTF-8")), ("PLIMSOLL_MODE", "exact")];
    let output = run_child("ending", &variables);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(if ending == "exit" { 7 } else { 0 }), "{ending}: {text}");
    // The test beside this one aborts programs of that name, which the next start says.
    let says = |line: &str| line.contains("plimsoll:") && !line.contains("plimsoll: the last run");
    assert!(!text.lines().any(says), "{ending}: {text}");
    let capture = read(&path);
    assert_eq!(capture.end.as_ref().map(|end| &end.reason), Some(reason), "{ending}: {text}");
    assert_eq!(leaked(&path), 1, "{ending}");
    assert_eq!(captures(directory.path()).len(), 1, "{ending}");
}

#[test]
fn orderly_ends_leave_a_whole_capture() {
    check("drop", &EndReason::Finished);
    check("fork", &EndReason::Finished);
    check("fork while tagging", &EndReason::Finished);
    check("exit", &EndReason::Exit);
    check("return", &EndReason::Exit);
}

#[test]
fn killed_after_a_tick_keeps_what_was_written() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let variables =
        [("ENDING", "sleep"), ("PLIMSOLL_OUTPUT", path.to_str().expect("UTF-8")), ("PLIMSOLL_MODE", "exact")];
    let mut process = child("ending", &variables).spawn().expect("the child runs");
    let start = Instant::now();
    while !path.exists() || leaked(&path) == 0 {
        assert!(start.elapsed() < Duration::from_secs(20), "the leak never reached the file");
        std::thread::sleep(Duration::from_millis(100));
    }
    process.kill().expect("killed");
    assert_eq!(process.wait().expect("ended").signal(), Some(libc::SIGKILL));
    assert_eq!((read(&path).end, leaked(&path)), (None, 1));
}

#[test]
fn a_service_that_restarts_leaves_one_capture_per_start() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = format!("{}/captures/", directory.path().display());
    let mut aborted = 0;
    for (start, ending) in ["abort", "exit", "fail", "drop", "abort"].iter().cycle().take(10).enumerate() {
        run_child("ending", &[("ENDING", ending), ("PLIMSOLL_OUTPUT", &output)]);
        let captures = captures(Path::new(&output));
        assert_eq!(captures.len(), start + 1);
        assert!(captures.iter().all(|capture| read(capture).headers.len() == 1));
        // What an aborted process had not written yet is saved by the next start.
        assert_eq!(files(Path::new(&output), "arena").len(), aborted);
        aborted += usize::from(*ending == "abort");
    }
}

#[test]
fn what_is_wrong_is_one_line_and_an_idle_session() {
    let directory = tempfile::tempdir().expect("a directory");
    let missing = format!("{}/no/such/run.plim", directory.path().display());
    let cases = [
        (vec![("PLIMSOLL_OUTPUT", missing.as_str())], missing.as_str()),
        (vec![("PLIMSOLL_OUTPUT", "/dev/null")], "/dev/null"),
        (vec![("PLIMSOLL_OUTPUT", "x"), ("PLIMSOLL_MODE", "exat")], "exat"),
        (vec![("PLIMSOLL_OUTPUT", "x"), ("PLIMSOLL_INTERVAL", "much")], "PLIMSOLL_INTERVAL"),
    ];
    for (mut variables, expected) in cases {
        variables.push(("ENDING", "fail"));
        let output = run_child("ending", &variables);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("plimsoll:")).collect();
        assert!(lines.len() == 1 && lines[0].contains(expected), "{variables:?}: {text}");
        // The session is idle, so the process ends with 0.
        assert_eq!(output.status.code(), Some(0));
    }
}
