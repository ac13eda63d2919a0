//! When the peak was, for a program that had its largest heap before anything was recorded: a process of its own.

mod support;

use std::hint::black_box;
use std::time::Duration;

use support::read;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// Never touched, so it is no resident memory.
fn spike(bytes: usize) {
    drop(black_box(vec![0u8; bytes]));
}

#[test]
fn a_peak_before_the_session_is_at_its_start_and_a_later_one_at_its_own_time() {
    spike(64 << 20);
    std::thread::sleep(Duration::from_millis(50));
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let session =
        plimsoll::Session::builder().output(&path).tick(Duration::from_millis(20)).start().expect("a session");
    std::thread::sleep(Duration::from_millis(200));
    spike(128 << 20);
    std::thread::sleep(Duration::from_millis(200));
    session.finish().expect("written");

    let capture = read(&path);
    let start = capture.headers[0].start.ticks;
    let counters = &capture.counters;
    let (before, after): (Vec<_>, Vec<_>) = counters.iter().partition(|it| it.peak.high_bytes < 128 << 20);
    assert!(!before.is_empty() && !after.is_empty(), "{counters:?}");
    assert!(before.iter().all(|it| it.peak.ticks == start), "{start}: {before:?}");
    // Between the last reading without the spike and the first with it, with a millisecond of two clocks' difference.
    let (last, first) = (before.last().expect("one").ticks, after[0].ticks);
    let span = counters.last().expect("one").ticks - start;
    let slack = span / 400;
    for it in after {
        assert!((last - slack..=first + slack).contains(&it.peak.ticks), "{last} {first}: {:?}", it.peak);
    }
}
