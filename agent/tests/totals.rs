//! Totals equal an independent count by the inner allocator, to the byte, with 1 to 16 threads in both modes, across
//! sessions, pauses and failing reallocations.

mod support;

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::atomic::Ordering::SeqCst;

use support::{FAILING_SIZE, Oracle, assert_totals_agree, read};

#[global_allocator]
static ALLOC: plimsoll::Allocator<Oracle> = plimsoll::Allocator::new(Oracle);

/// Allocates, frees, grows and zeroes, deterministically by `seed`; everything is freed at the end but `kept` bytes.
fn work(seed: u64) -> Vec<Vec<u8>> {
    let mut state = seed;
    let mut blocks: Vec<Vec<u8>> = Vec::new();
    for _ in 0..3000 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let size = (state >> 33) as usize % 3000;
        match state >> 61 {
            0 => blocks.push(vec![0; size]),
            1 | 2 => blocks.push(Vec::with_capacity(size)),
            3 => drop(blocks.pop()),
            4 => blocks.iter_mut().for_each(|block| block.reserve(1)),
            _ => blocks.truncate(50),
        }
    }
    blocks.truncate(10);
    black_box(blocks)
}

/// A growth that the inner allocator refuses must leave the block, the counters and the capture as they were.
fn failing_realloc() {
    const REFUSED: usize = 123_457;
    let layout = Layout::from_size_align(4321, 1).expect("a layout");
    // SAFETY: the block is allocated, reallocated and freed with the same layout, as the trait asks.
    unsafe {
        let block = ALLOC.alloc(layout);
        FAILING_SIZE.store(REFUSED as u64, SeqCst);
        assert!(ALLOC.realloc(block, layout, REFUSED).is_null());
        assert!(ALLOC.alloc(Layout::from_size_align(REFUSED, 1).expect("a layout")).is_null());
        FAILING_SIZE.store(0, SeqCst);
        ALLOC.dealloc(block, layout);
    }
}

#[test]
fn totals_agree_to_the_byte() {
    let directory = tempfile::tempdir().expect("a directory");
    for (mode, exact) in [("exact", true), ("sampled", false)] {
        for threads in [1, 2, 4, 16] {
            let path = directory.path().join(format!("{mode}-{threads}.plim"));
            let builder = plimsoll::Session::builder().output(&path);
            let builder = if exact { builder.exact() } else { builder.sampled(4096) };
            let session = builder.start().expect("a session");
            let kept: Vec<_> = std::thread::scope(|scope| {
                let threads: Vec<_> = (0..threads).map(|seed| scope.spawn(move || work(seed))).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            failing_realloc();
            session.pause();
            drop(work(99));
            session.resume();
            drop(black_box(kept));
            drop(work(100));
            let summary = session.finish().expect("written");
            assert_eq!((summary.lost_allocations, summary.lost_frees), (0, 0));
            assert_totals_agree();
            let capture = read(&path);
            let end = capture.counters.last().expect("counters");
            assert!(end.exact, "nothing ran at the end");
            // What was live at the end of the session is live in the replay: in exact mode every byte of it (nothing
            // that was allocated while paused outlived the pause).
            let before = capture.headers[0].before;
            let lived: u64 = capture.live().values().map(|block| block.size_bytes).sum();
            if exact {
                // The builder's copy of the path is older than the session and freed by `start`.
                let builders_path = path.as_os_str().len() as i64;
                assert_eq!(lived as i64, end.program.live_bytes() - before.live_bytes() + builders_path);
                let undone =
                    capture.events.iter().filter(|event| event.kind == plimsoll_format::EventKind::ReallocUndo);
                assert_eq!(undone.count(), 1);
            }
        }
    }
}
