//! A disk that takes no more bytes never reaches the program: one line, a counted gap, and on it goes when it can.

mod support;

use std::hint::black_box;
use std::time::{Duration, Instant};

use plimsoll_format::LossCause;
use support::{read, run_child};

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

fn limit_file_size(bytes: libc::rlim_t) {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: the limit outlives the call.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit) }, 0);
}

fn churn(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        (0..100).for_each(|size| drop(black_box(vec![0u8; 64 + size])));
    }
}

/// Runs in a process of its own, whose files may grow to 100 KiB for a while. The signal that comes with the limit has
/// its default action here, which would end the process if the writer took it.
#[test]
#[ignore = "run by the other test"]
fn full_for_a_while() {
    let path = std::env::var("CAPTURE").expect("set by the other test");
    let builder = plimsoll::Session::builder().output(path).exact().tick(Duration::from_millis(50));
    let session = builder.start().expect("a session");
    limit_file_size(100 << 10);
    let slowest = (0..20).map(|_| {
        let start = Instant::now();
        drop(black_box(vec![0u8; 100]));
        churn(Duration::from_millis(5));
        start.elapsed()
    });
    assert!(slowest.max() < Some(Duration::from_millis(500)), "hooks must not wait for a disk that fails");
    // At least 4 bytes an event: four times what the file may hold, however little of a busy machine this gets.
    (0..50_000).for_each(|_| drop(black_box(vec![0u8; 100])));
    churn(Duration::from_millis(300));
    limit_file_size(libc::RLIM_INFINITY);
    churn(Duration::from_millis(200));
    std::mem::forget(black_box(vec![1u8; 77_777]));
    let error = session.finish().expect_err("what was lost is said");
    eprintln!("finish: {error}");
}

#[test]
fn a_full_disk_is_one_line_and_a_gap() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let output = run_child("full_for_a_while", &[("CAPTURE", path.to_str().expect("UTF-8"))]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.lines().filter(|line| line.starts_with("plimsoll: cannot write")).count(), 1, "{text}");
    assert!(text.contains("finish: writing") && text.contains("run.plim"), "{text}");
    let capture = read(&path);
    let lost = capture.losses.iter().filter(|loss| matches!(loss.cause, LossCause::WriteFailed(libc::EFBIG)));
    assert!(lost.map(|loss| loss.allocations + loss.frees).sum::<u64>() > 1000, "{:?}", capture.losses);
    assert!(capture.end.is_some(), "it went on when it could");
    assert_eq!(capture.events.iter().filter(|event| event.size_bytes == 77_777).count(), 1);
}
