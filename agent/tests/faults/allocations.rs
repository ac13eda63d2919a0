//! The agent's n-th allocation fails, n = 1, 2, … until a whole run passes without a fault; and the program's.

use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;

use crate::heap::{AGENTS, CALLS, FOR_GOOD, GIVEN, PROGRAMS, REFUSED, brave};
use crate::program::{self, end, judge, variable};

#[test]
#[ignore = "run by the others"]
fn with_a_refused_agent() {
    FOR_GOOD.store(variable("FOR_GOOD") == "1", SeqCst);
    AGENTS.store(variable("N").parse().expect("a number"), SeqCst);
    let session = program::session();
    program::run(session.as_ref());
    let left_to_exit = CALLS.load(SeqCst).is_multiple_of(2);
    if left_to_exit {
        std::mem::forget(session)
    } else {
        drop(session)
    }
    end(REFUSED.load(SeqCst));
}

/// Steps through the n; gives the first at which nothing was refused any more.
fn all_agents((mode, control): (&str, &str), for_good: &str, step: u64) -> u64 {
    let directory = tempfile::tempdir().expect("a directory");
    let mut n = 1;
    loop {
        let capture = directory.path().join(format!("{n}.plim"));
        let number = n.to_string();
        let variables = [("MODE", mode), ("CONTROL", control), ("FOR_GOOD", for_good), ("N", &number)];
        let run = judge("allocations::with_a_refused_agent", &capture, &variables);
        if run.faults == 0 {
            return n;
        }
        assert!(!run.errors.contains("memory any more"), "the reserve is large enough: {}", run.errors);
        n += if n < 25 { 1 } else { step };
    }
}

/// Modes, and whether the program listens for control and asks for everything.
const WAYS: [(&str, &str); 3] = [("exact", "0"), ("sampled", "0"), ("sampled", "1")];

fn step() -> u64 {
    // All of them take minutes.
    if std::env::var_os("PLIMSOLL_ALL_FAULTS").is_some() { 1 } else { 37 }
}

#[test]
fn any_one_of_the_agents_allocations_may_fail() {
    for way in WAYS {
        println!("{way:?}, one: no more than {} allocations of the agent's", all_agents(way, "0", step()));
    }
}

#[test]
fn all_of_the_agents_allocations_may_fail_from_any_one_on() {
    for way in WAYS {
        println!("{way:?}, for good: no more than {} allocations of the agent's", all_agents(way, "1", step()));
    }
}

#[test]
#[ignore = "run by the other"]
fn with_a_used_up_reserve() {
    // An exact session of bounded size lists live blocks: 300,000 of them take over 16 MiB, twice the reserve.
    let builder = plimsoll::Session::builder().output(variable("CAPTURE")).exact().max_bytes(1 << 30);
    let session = builder.tick(std::time::Duration::from_millis(10)).start().expect("a session");
    FOR_GOOD.store(true, SeqCst);
    AGENTS.store(1, SeqCst);
    let blocks: Vec<Box<[u8; 20]>> = (0..300_000).map(|_| Box::new([1; 20])).collect();
    std::thread::sleep(std::time::Duration::from_millis(100));
    session.mark("after the end");
    program::run(Some(&session));
    let asked = std::time::Instant::now();
    if variable("ASKS") == "1" {
        let error = session.finish().expect_err("the writer is gone");
        eprintln!("finish: {error}");
    } else {
        drop(session);
    }
    assert!(asked.elapsed().as_secs() < 5, "{:?}", asked.elapsed());
    assert_eq!(black_box(blocks).len(), 300_000);
    end(REFUSED.load(SeqCst));
}

#[test]
fn when_the_reserve_is_used_up_recording_ends_and_the_program_goes_on() {
    let directory = tempfile::tempdir().expect("a directory");
    for asks in ["0", "1"] {
        let path = directory.path().join(format!("{asks}.plim"));
        let run = judge("allocations::with_a_used_up_reserve", &path, &[("ASKS", asks)]);
        assert!(run.errors.contains("plimsoll: the agent found no memory any more; recording ends"), "{}", run.errors);
        let capture = crate::support::read(&path);
        assert!(capture.end.is_none() && !capture.headers.is_empty());
    }
}

/// Grows a vector where that may fail, and counts how often it did.
fn grow(rounds: usize) -> u64 {
    let mut failures = 0;
    for round in 0..rounds {
        let mut bytes: Vec<u8> = Vec::new();
        for size in [10, 1000, 20_000] {
            match brave(|| bytes.try_reserve_exact(size + round % 7)) {
                Ok(()) => bytes.resize(bytes.capacity(), 1),
                Err(_) => failures += 1,
            }
        }
        drop(black_box(bytes));
    }
    failures
}

#[test]
#[ignore = "run by the other"]
fn with_a_refused_program() {
    let session = program::session();
    PROGRAMS.store(variable("EVERY").parse().expect("a number"), SeqCst);
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(|| grow(3000))).collect();
    let failures: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    PROGRAMS.store(0, SeqCst);
    assert!(failures > 0 && failures == REFUSED.load(SeqCst), "{failures}");
    // What the program was given, from its first block on, is what was counted.
    let (stats, given) = (plimsoll::stats(), GIVEN.each_ref().map(|count| count.load(SeqCst)));
    assert_eq!(
        [stats.allocations, stats.bytes, stats.frees, stats.live_bytes],
        [given[0], given[1], given[2], given[1] - given[3]]
    );
    program::run(session.as_ref());
    let summary = session.expect("started").finish().expect("written");
    assert_eq!((summary.lost_allocations, summary.lost_frees), (0, 0));
    end(failures);
}

/// Every k-th of the program's fails: totals are exact, and the capture knows of no block that there was not.
#[test]
fn what_the_program_was_refused_is_not_recorded() {
    let directory = tempfile::tempdir().expect("a directory");
    for mode in ["exact", "sampled"] {
        for every in ["2", "3", "17"] {
            let capture = directory.path().join(format!("{mode}{every}.plim"));
            let run = judge("allocations::with_a_refused_program", &capture, &[("MODE", mode), ("EVERY", every)]);
            assert!(run.faults > 0);
            let capture = crate::support::read(&capture);
            assert!(capture.end.is_some() && capture.losses.is_empty());
            let live = capture.live();
            // Blocks of `grow` are all freed: none of its sizes is live, whatever failed.
            assert!(live.values().all(|block| !(10_000..50_000).contains(&block.size_bytes)), "{live:?}");
            if mode == "exact" {
                let undone = |kind| capture.events.iter().filter(|event| event.kind == kind).count() as u64;
                assert!(undone(plimsoll_format::EventKind::ReallocUndo) > 0);
            }
        }
    }
}
