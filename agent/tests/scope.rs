//! Scopes count exactly what is done in them, whatever runs beside; budgets say who went over.

mod support;

use std::alloc::{Layout, alloc, dealloc, realloc};
use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use plimsoll::{Budget, Scope, assert_heap};

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// A number of blocks of a size.
#[inline(never)]
fn make(number: usize, size: usize) -> Vec<Box<[u8]>> {
    let mut blocks = Vec::with_capacity(number);
    blocks.extend((0..number).map(|_| black_box(vec![1u8; size].into_boxed_slice())));
    blocks
}

/// Bytes of the `Vec` that [`make`] gives.
const fn list(number: usize) -> u64 {
    (number * size_of::<Box<[u8]>>()) as u64
}

/// What a panic said.
fn said(work: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(work)).expect_err("it panics");
    payload.downcast_ref::<String>().expect("a text").clone()
}

#[test]
fn everything_in_a_scope_is_counted_and_nothing_else() {
    let scope = Scope::new();
    let before = make(3, 100);
    let kept = scope.measure(|| {
        drop(make(10, 64));
        // Allocated elsewhere: its frees are not the scope's.
        drop(before);
        make(2, 1_000)
    });
    drop(make(7, 7));
    let stats = scope.stats();
    assert_eq!((stats.allocations, stats.bytes), (11 + 3, list(10) + 640 + list(2) + 2_000));
    assert_eq!((stats.frees, stats.freed_bytes), (11, list(10) + 640));
    assert_eq!((stats.live_allocations, stats.live_bytes), (3, list(2) + 2_000));
    assert_eq!(stats.peak_live_bytes, list(2) + 2_000);
    assert_eq!(stats.reallocations, 0);
    // Freed outside: of that the scope knows nothing.
    drop(kept);
    assert_eq!(scope.stats(), stats);
}

#[test]
fn budgets_that_run_side_by_side_never_see_each_other() {
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        let noise = threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                drop(make(5, 999));
            }
        });
        let workers: Vec<_> = (1..=6)
            .map(|worker: usize| {
                threads.spawn(move || {
                    for turn in 0..300 {
                        let (number, size) = (worker + turn % 3, 16 * worker + turn % 5);
                        let scope = Scope::new();
                        let blocks = scope.measure(|| make(number, size));
                        let bytes = list(number) + (number * size) as u64;
                        let stats = scope.stats();
                        assert_eq!((stats.allocations, stats.bytes), (number as u64 + 1, bytes));
                        assert_eq!((stats.live_bytes, stats.frees), (bytes, 0));
                        assert_heap!(scope, max_allocations = number as u64 + 1, max_bytes = bytes);
                        drop(blocks);
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().expect("its numbers are its own"));
        stop.store(true, Ordering::Relaxed);
        noise.join().expect("it only makes noise");
    });
}

#[test]
fn one_budget_in_parallel() {
    (0..2_000).for_each(|_| drop(assert_heap!(max_allocations = 6, max_bytes = list(5) + 5 * 32, { make(5, 32) })));
}

#[test]
fn another_budget_in_parallel() {
    (0..2_000).for_each(|_| drop(assert_heap!(max_allocations = 4, max_bytes = list(3) + 3 * 900, { make(3, 900) })));
}

#[test]
fn scopes_nest() {
    let (outer, inner) = (Scope::new(), Scope::new());
    let _kept = outer.measure(|| {
        let blocks = make(1, 10);
        let (again, inside) = (outer.enter(), inner.enter());
        // Guards may go in any order.
        drop(again);
        let more = make(2, 20);
        drop(inside);
        (blocks, more, make(1, 30))
    });
    assert_eq!(outer.stats().bytes, list(1) + 10 + list(2) + 40 + list(1) + 30, "once, though entered twice");
    assert_eq!(inner.stats().bytes, list(2) + 40);
}

#[test]
fn threads_are_in_a_scope_while_they_say_so() {
    let scope = Scope::new();
    thread::scope(|threads| {
        for number in 1..=4 {
            let scope = scope.clone();
            threads.spawn(move || {
                drop(make(9, 9));
                let blocks = scope.measure(|| make(number, 50));
                // Passed on and freed in the scope on yet another thread.
                thread::spawn(move || scope.measure(|| drop(blocks))).join().expect("it frees");
            });
        }
    });
    let stats = scope.stats();
    assert_eq!((stats.allocations, stats.frees), (4 + 10, 4 + 10));
    assert_eq!((stats.bytes, stats.live_bytes), ((1..=4).map(list).sum::<u64>() + 500, 0));
}

/// Allocates at its first poll, frees at its second.
struct TwoSteps(Option<Box<[u8]>>);

impl Future for TwoSteps {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        match self.0.take() {
            None => {
                self.0 = Some(vec![0; 77].into_boxed_slice());
                Poll::Pending
            }
            Some(_) => Poll::Ready(()),
        }
    }
}

#[test]
fn tasks_are_in_a_scope_wherever_they_run() {
    let scope = Scope::new();
    let mut task = Box::pin(scope.attach(TwoSteps(None)));
    assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    drop(make(1, 1));
    assert_eq!(scope.stats().live_bytes, 77);
    let done = thread::spawn(move || task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    assert!(done.join().expect("it runs"));
    let stats = scope.stats();
    assert_eq!((stats.allocations, stats.frees, stats.live_bytes), (1, 1, 0));
    // One that is dropped half-way frees in the scope too.
    {
        let mut task = pin!(scope.attach(TwoSteps(None)));
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!((scope.stats().allocations, scope.stats().live_bytes), (2, 0));
}

#[test]
fn reallocations_are_a_free_and_an_allocation() {
    let scope = Scope::new();
    let layout = Layout::from_size_align(100, 8).expect("a layout");
    scope.measure(|| {
        // SAFETY: blocks are used with the layouts they have, and freed once.
        unsafe {
            let block = realloc(alloc(layout), layout, 4_000);
            // So much there is not: the block lives on.
            let huge = realloc(block, Layout::from_size_align_unchecked(4_000, 8), isize::MAX as usize - 4_096);
            assert!(huge.is_null(), "{huge:?}");
            assert_eq!(scope.stats().live_bytes, 4_000);
            assert_eq!(scope.stats().frees, 1);
            dealloc(block, Layout::from_size_align_unchecked(4_000, 8));
        }
    });
    let stats = scope.stats();
    assert_eq!((stats.allocations, stats.frees, stats.reallocations), (2, 2, 1));
    assert_eq!((stats.bytes, stats.freed_bytes, stats.live_bytes, stats.peak_live_bytes), (4_100, 4_100, 0, 4_000));
}

#[test]
fn going_over_names_limits_and_sites() {
    let text = said(|| {
        drop(assert_heap!(max_allocations = 4, max_bytes = 100_000, max_peak_live_bytes = 2_000, { make(3, 1_000) }));
    });
    assert!(text.starts_with("over the heap budget:\n"), "{text}");
    let line = |name: &str| text.lines().find(|line| line.contains(name)).unwrap_or_else(|| panic!("{name}: {text}"));
    assert_eq!(line("peak live bytes"), "  ! peak live bytes            3,048 of        2,000");
    assert_eq!(line("allocations  "), "    allocations                    4 of            4");
    assert!(line("1. ").starts_with("  1. 3,000 bytes in 3 allocations, 3,000 bytes live"), "{text}");
    assert!(text.contains("scope::make"), "{text}");
    assert!(text.contains("scope.rs:"), "{text}");
    assert!(!text.contains("alloc::") && !text.contains("plimsoll::"), "only the program's own calls: {text}");
}

#[test]
fn a_panic_in_a_scope_leaves_it() {
    let scope = Scope::new();
    let text = said(|| scope.measure(|| panic!("{} blocks", make(2, 10).len())));
    assert_eq!(text, "2 blocks");
    let stats = scope.stats();
    drop(make(4, 40));
    assert_eq!(scope.stats(), stats);
}

#[test]
fn the_processs_own_totals_stay_right() {
    let scope = Scope::new();
    let before = plimsoll::thread_stats();
    let blocks = scope.measure(|| make(6, 60));
    drop(blocks);
    let report = scope.report();
    drop(scope);
    let after = plimsoll::thread_stats();
    // The books' own memory is the agent's; the text is the program's.
    assert_eq!(after.allocations - before.allocations, 7 + 1);
    assert_eq!(after.bytes - before.bytes, list(6) + 360 + report.len() as u64);
    assert_eq!(after.frees - before.frees, 7);
}

#[test]
#[ignore = "run by the next test"]
fn in_a_session() {
    let session = plimsoll::Session::from_env().expect("a session");
    let scope = Scope::new();
    for turn in 0..2_000 {
        let blocks = scope.measure(|| make(3, 100 + turn % 7));
        drop(blocks);
    }
    std::mem::forget(scope.measure(|| black_box(vec![1u8; 77_777])));
    assert_eq!(scope.stats().allocations, 2_000 * 4 + 1);
    session.finish().expect("written");
    drop(make(1, 1));
    assert_eq!(scope.stats().allocations, 2_000 * 4 + 1);
}

#[test]
fn a_session_records_what_it_would_without_scopes() {
    let directory = tempfile::tempdir().expect("a directory");
    for mode in ["exact", "sampled"] {
        let path = directory.path().join(mode);
        let variables = [("PLIMSOLL_OUTPUT", path.to_str().expect("UTF-8")), ("PLIMSOLL_MODE", mode)];
        let output = support::run_child("in_a_session", &[&variables[..], &[("PLIMSOLL_INTERVAL", "4096")]].concat());
        assert!(output.status.success(), "{mode}: {}", String::from_utf8_lossy(&output.stderr));
        let capture = support::read(&path);
        let of_size = |size: std::ops::Range<u64>| {
            capture.events.iter().filter(|event| event.kind.is_alloc() && size.contains(&event.size_bytes)).count()
        };
        let large = capture.events.iter().filter(|event| event.size_bytes == 77_777);
        assert!(large.clone().all(|event| event.kind.is_alloc()) && large.count() == 1, "{mode}");
        if mode == "exact" {
            assert_eq!(of_size(100..107), 6_000);
        } else {
            // 6,000 blocks of 103 bytes are 151 intervals: within 6 standard deviations.
            assert!((77..=225).contains(&of_size(100..107)), "{}", of_size(100..107));
        }
    }
}

#[test]
fn a_limit_can_be_asked_for_without_a_panic() {
    let scope = Scope::new();
    scope.measure(|| drop(make(1, 500)));
    assert!(Budget::new().max_bytes(600).check(&scope).is_ok());
    let over = Budget::new().max_bytes(400).max_live_bytes(0).check(&scope).expect_err("over");
    assert!(over.to_string().contains("! bytes"), "{over}");
}
