//! One session at a time, whole stacks, tags, markers, threads, the peak between ticks, and segments.

mod support;

use std::hint::black_box;
use std::time::Duration;

use plimsoll_format::{EventKind, Record};
use support::read;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// Sessions of one process exclude each other, so the tests of this file take turns.
static TURN: std::sync::Mutex<()> = std::sync::Mutex::new(());

fn turn() -> std::sync::MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn a_second_session_is_an_error_and_the_first_goes_on() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let first = plimsoll::Session::builder().output(path("a.plim")).exact().start().expect("a session");
    let error = plimsoll::Session::builder().output(path("b.plim")).start().expect_err("refused");
    assert!(error.to_string().contains("already recording"), "{error}");
    assert!(!path("b.plim").exists());
    first.finish().expect("written");
    let again = plimsoll::Session::builder().output(path("c.plim")).start().expect("a session");
    again.finish().expect("written");
    let error = plimsoll::Session::builder().output(path("c.plim")).start().expect_err("refused");
    assert!(error.to_string().contains("c.plim: it exists already"), "{error}");
}

#[inline(never)]
fn leak_deep(depth: usize) {
    if depth > 0 {
        leak_deep(depth - 1);
        black_box(depth);
    } else {
        std::mem::forget(black_box(vec![7u8; 54_321]));
    }
}

#[test]
fn stacks_tags_markers_and_threads_arrive() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let session = plimsoll::Session::builder().output(&path).exact().start().expect("a session");
    session.mark("before the leak");
    let leak = || {
        let _outer = plimsoll::tag("outer");
        {
            let _inner = plimsoll::tag("leaky");
            leak_deep(40);
        }
        std::mem::forget(black_box(vec![7u8; 12_345]));
    };
    std::thread::Builder::new().name("leaker".into()).spawn(leak).expect("a thread").join().expect("no panic");
    session.finish().expect("written");

    let capture = read(&path);
    let find = |size| *capture.events.iter().find(|event| event.size_bytes == size).expect("recorded");
    let (deep, outer) = (find(54_321), find(12_345));
    // 41 frames of the recursion and those of the thread's start above it.
    assert!(capture.depth(deep.stack) > 41, "{}", capture.depth(deep.stack));
    let name = |tag| {
        capture.others.iter().find_map(|record| match record {
            Record::Tag { id, name } if *id == tag => Some(name.as_str()),
            _ => None,
        })
    };
    assert_eq!((name(deep.tag), name(outer.tag)), (Some("leaky"), Some("outer")));
    assert!(capture.others.iter().any(|it| matches!(it, Record::Marker { name, .. } if name == "before the leak")));
    let thread =
        |it: &&Record| matches!(it, Record::Thread(thread) if thread.id == deep.thread && thread.name == "leaker");
    assert!(capture.others.iter().any(|record| thread(&record)));
    assert!(capture.others.iter().any(|it| matches!(it, Record::ThreadEnd { thread, .. } if *thread == deep.thread)));
    let quality = capture.counters.last().expect("counters").unwind;
    assert_eq!(quality.walks, quality.complete, "every stack reaches its thread's root");
}

#[test]
fn every_unwinder_records_the_same_blocks() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a directory");
    for unwinder in [plimsoll::Unwinder::Framehop, plimsoll::Unwinder::FramePointer, plimsoll::Unwinder::Backtrace] {
        let path = directory.path().join(format!("{unwinder}.plim"));
        let builder = plimsoll::Session::builder().output(&path).exact().unwinder(unwinder);
        let session = builder.start().expect("a session");
        leak_deep(3);
        session.finish().expect("written");
        let capture = read(&path);
        assert!(capture.headers[0].unwinder.contains(&unwinder.to_string()));
        assert_eq!(capture.live().values().filter(|block| block.size_bytes == 54_321).count(), 1);
    }
}

/// 500 MiB for a moment between two ticks: nothing but the published totals can see it.
#[test]
fn a_spike_between_ticks_lies_inside_the_peak_interval() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let builder = plimsoll::Session::builder().output(&path).tick(Duration::from_secs(60));
    let session = builder.start().expect("a session");
    let before = plimsoll::stats().live_bytes;
    let spike = || {
        let blocks: Vec<Vec<u8>> = (0..8000).map(|_| Vec::with_capacity(64 << 10)).collect();
        std::thread::sleep(Duration::from_millis(100));
        drop(black_box(blocks));
    };
    std::thread::spawn(spike).join().expect("no panic");
    session.finish().expect("written");
    let peak = read(&path).counters.last().expect("counters").peak;
    // 8,000 × 64 KiB, the vector of 8,000 × 24 bytes, and what was live before.
    let truth = before + 8000 * (64 << 10) + 8000 * 24;
    let around = 64 << 10;
    assert!(peak.low_bytes <= truth && truth <= peak.high_bytes + around, "{truth} in {peak:?}");
    // At most 1 MiB a thread: this test, the spike, and what the harness runs beside it.
    assert!(peak.high_bytes - peak.low_bytes <= 16 << 20, "{peak:?}");
}

/// A library of glibc's own that nothing here links to comes and goes.
#[test]
fn modules_come_and_go() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let builder = plimsoll::Session::builder().output(&path).exact().tick(Duration::from_millis(20));
    let session = builder.start().expect("a session");
    // SAFETY: the name is a C string, and the handle is closed once.
    unsafe {
        let library = libc::dlopen(c"libnss_compat.so.2".as_ptr(), libc::RTLD_NOW);
        assert!(!library.is_null(), "glibc comes with this library");
        std::thread::sleep(Duration::from_millis(200));
        libc::dlclose(library);
    }
    std::thread::sleep(Duration::from_millis(200));
    session.finish().expect("written");
    let capture = read(&path);
    let modules: Vec<_> = capture
        .others
        .iter()
        .filter_map(|record| match record {
            Record::Module(module) => Some(module),
            _ => None,
        })
        .collect();
    let library = modules.iter().find(|module| module.path.contains("libnss_compat")).expect("noticed");
    assert!(!library.build_id.is_empty() && library.start < library.end);
    assert!(capture.others.iter().any(|it| matches!(it, Record::ModuleUnloaded { id, .. } if *id == library.id)));
    let executable = modules.first().expect("the executable");
    assert_eq!(std::path::Path::new(&executable.path), std::env::current_exe().expect("a path"));
}

/// A sampled capture that is bounded goes on in segments, each of which opens with the blocks that are live.
#[test]
fn segments_state_what_is_live() {
    let _turn = turn();
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let builder = plimsoll::Session::builder().output(&path).sampled(1024).max_bytes(512 << 10);
    let session = builder.tick(Duration::from_millis(20)).start().expect("a session");
    let kept: Vec<Vec<u8>> = (0..500).map(|_| vec![1u8; 10_000]).collect();
    while !directory.path().join("run.plim.8").exists() {
        (0..2000).for_each(|_| drop(black_box(vec![2u8; 2000])));
    }
    session.finish().expect("written");
    assert!(!path.exists(), "the oldest segment is gone");
    let mut segments: Vec<_> =
        std::fs::read_dir(directory.path()).expect("there").flatten().map(|it| it.path()).collect();
    segments.sort_by_key(|path| path.extension().and_then(|it| it.to_str()).and_then(|it| it.parse::<u32>().ok()));
    assert_eq!(segments.len(), 5);
    let oldest = read(&segments[0]);
    let newest = read(&segments[4]);
    assert!(newest.headers[0].segment >= 8);
    assert_eq!(oldest.headers[0].segment, newest.headers[0].segment - 4);
    assert_eq!(newest.headers[0].dropped_segments, newest.headers[0].segment - 4);
    let stated: usize = oldest
        .others
        .iter()
        .filter_map(|record| match record {
            Record::LiveBlocks(blocks) => Some(blocks.iter().filter(|block| block.size_bytes == 10_000).count()),
            _ => None,
        })
        .sum();
    // p = 1 − e^(−10,000/1,024) = 0.99994: of 500 blocks all are sampled but for a chance of 3 %, all but one surely.
    assert!(stated >= 498, "{stated}");
    let frees_of_kept = oldest.events.iter().filter(|it| it.kind == EventKind::Free && it.size_bytes == 10_000);
    assert_eq!(frees_of_kept.count(), 0);
    drop(kept);
}
