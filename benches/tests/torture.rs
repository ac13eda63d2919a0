//! The torture cases in short: each must be borne, and what a child did wrong must be noticed.
#![forbid(unsafe_code)]

use std::process::Command;

/// Exit code and what was printed.
fn torture(arguments: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_torture");
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout) + &text(&output.stderr))
}

#[track_caller]
fn check(arguments: &[&str]) {
    let (code, printed) = torture(arguments);
    println!("{printed}");
    assert_eq!(code, Some(0), "{arguments:?}: {printed}");
}

#[test]
fn threads_that_end_in_every_way() {
    check(&["threads", "--live", "300", "--created", "3000", "--most-mappings", "16"]);
}

#[test]
fn small_stacks() {
    check(&["small-stacks"]);
}

#[test]
fn forks_under_load() {
    check(&["forks", "--count", "160"]);
}

#[test]
fn processes_that_end_in_every_way() {
    let forms =
        ["return", "process::exit", "_exit", "abort", "panic", "vfork and exec", "exec", "exec in a thread", "daemon"];
    let mut arguments = vec!["ends"];
    forms.iter().for_each(|form| arguments.extend(["--form", form]));
    check(&arguments);
}

#[test]
fn a_process_that_closes_all_descriptors() {
    check(&["ends", "--form", "close all"]);
}

#[test]
fn handlers_that_allocate_and_jump() {
    check(&["signals", "--seconds", "1"]);
}

#[test]
fn libraries_that_come_and_go() {
    check(&["modules", "--count", "100"]);
}

#[test]
fn allocations_before_and_after_everything() {
    check(&["late"]);
}

#[test]
fn coroutines() {
    check(&["coroutines", "--count", "200"]);
}

#[test]
fn a_cpu_profiler_at_the_same_time() {
    check(&["cpu-profiler", "--seconds", "1"]);
}

#[test]
fn more_stacks_than_fit() {
    check(&["stacks", "--count", "150000"]);
}

/// The bounds on time and memory are for a machine that does nothing else; here it is the totals that count.
#[test]
fn storage_that_refuses() {
    check(&["storage", "--seconds", "0.5", "--form", "file size limit", "--slower", "1000"]);
}

#[test]
fn a_hang_a_loss_and_a_wrong_count_are_noticed() {
    let (code, printed) = torture(&["judge-itself"]);
    assert_eq!(code, Some(0), "{printed}");
    for noticed in ["HANGS", "ended with signal", "allocations: ", "the agent speaks"] {
        assert!(printed.contains(noticed), "{noticed} in {printed}");
    }
}
