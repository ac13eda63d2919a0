//! Threads with stacks of 16 KiB, and how much of a stack the hooks use: the stack is painted, the hooks run, and what is
//! no longer painted was used. The same without Plimsoll tells what of it is the hooks' own.

use std::alloc::{GlobalAlloc, Layout};
use std::hint::black_box;
use std::sync::mpsc;

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult};

use crate::job::{Figures, Job, Mode, RECORDED, finish};
use crate::judge::Expected;
use crate::os::{self, Thread};
use crate::page::Page;
use crate::witness::ALLOC;

/// Below this much room stacks are not walked.
const LEAST_ROOM: f64 = 24576.0;
/// The same for stacks that are not the thread's own.
const PORTABLE_ROOM: f64 = 12288.0;
/// What hooks may use on a stack that is too small to walk. Code that is not optimised takes more.
const MOST_WITHOUT_WALK: f64 = if cfg!(debug_assertions) { 3072.0 } else { 1536.0 };
const PAINT: u64 = 0x5AFE_57AC_5AFE_57AC;
const SMALL: usize = 16 << 10;
const LARGE: usize = 256 << 10;

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Arguments {}

pub(crate) fn judge(_: &Arguments, page: &mut Page) {
    let job = |mode| Job::new("small-stacks", mode).count(64);
    let Some(bare) = page.run(&job(Mode::Bare), &Expected::default()) else { return };
    for mode in RECORDED {
        let Some(ended) = page.run(&Job { interval_bytes: 64, ..job(mode) }, &Expected::default()) else { continue };
        let own = |name: &str| ended.figure(name) - bare.figure(name);
        let (small, large, elsewhere) = (own("small"), own("large"), own("elsewhere"));
        page.line(
            &ended,
            &format!(
                "hooks use {small} B of 16 KiB, {large} B of a stack with room to walk, {elsewhere} B of a coroutine's"
            ),
        );
        page.at_most("bytes of a coroutine's stack", elsewhere, PORTABLE_ROOM);
        page.at_most("bytes of a small stack", small, MOST_WITHOUT_WALK);
        page.at_most("bytes of a large stack", large, LEAST_ROOM);
    }
}

/// All that reaches hooks, with no frame in between; past what the standard library's own paths use of the stack.
#[inline(never)]
fn call_hooks() {
    let layout = |size| Layout::from_size_align(size, 8).expect("a layout");
    // SAFETY: each block is used with the layout that it was allocated with, and freed once.
    unsafe {
        for size in [24, 100, 3000, 200_000] {
            let block = black_box(ALLOC.alloc(layout(size)));
            let block = black_box(ALLOC.realloc(block, layout(size), size * 2));
            ALLOC.dealloc(block, layout(size * 2));
            ALLOC.dealloc(black_box(ALLOC.alloc_zeroed(layout(size))), layout(size));
        }
    }
}

/// Paints the stack below the caller and gives the lowest painted address and how many words there are.
#[inline(never)]
fn paint(start: usize) -> (usize, usize) {
    let here = 0u64;
    // Not this frame, nor the lowest page, which a guard may have been cut from.
    let words = ((&raw const here as usize) - 1024 - start) / 8;
    for word in 0..words {
        // SAFETY: the words lie on this thread's own stack, below everything in use.
        unsafe { ((start + word * 8) as *mut u64).write_volatile(PAINT) };
    }
    (start, words)
}

/// How many bytes of what was painted have been used since.
#[inline(never)]
fn used((start, words): (usize, usize)) -> usize {
    // SAFETY: as in `paint`; the words are only read.
    let is_painted = |word: &usize| unsafe { ((start + word * 8) as *const u64).read_volatile() } == PAINT;
    (words - (0..words).take_while(is_painted).count()) * 8
}

/// The most that the hooks use of a stack of so many bytes, in this many threads, from their first event on.
fn measure(stack_bytes: usize, threads: u64) -> usize {
    let (sender, receiver) = mpsc::channel();
    let run = || {
        let sender = sender.clone();
        Thread::spawn(stack_bytes, move || {
            let painted = paint(os::stack_bounds().0);
            (0..20).for_each(|_| call_hooks());
            let used = used(painted);
            // Sending takes more of the stack than hooks do, but after they were measured.
            let _ = sender.send(used);
        })
        .join();
    };
    (0..threads).for_each(|_| run());
    receiver.try_iter().max().unwrap_or(0)
}

/// The same on the stack of a coroutine.
fn measure_elsewhere() -> usize {
    let stack = DefaultStack::new(LARGE).expect("a stack");
    // The lowest page is one that nobody may touch.
    let start = stack.limit().get() + 4096;
    let mut coroutine: Coroutine<(), (), usize, DefaultStack> = Coroutine::with_stack(stack, move |_, ()| {
        let painted = paint(start);
        (0..20).for_each(|_| call_hooks());
        used(painted)
    });
    match coroutine.resume(()) {
        CoroutineResult::Return(used) => used,
        CoroutineResult::Yield(()) => 0,
    }
}

pub(crate) fn child(job: &Job) {
    let session = job.start();
    let mut figures = Figures::new();
    for (name, stack_bytes) in [("small", SMALL), ("large", LARGE)] {
        figures.insert(name.to_owned(), measure(stack_bytes, job.count) as f64);
    }
    figures.insert("elsewhere".to_owned(), measure_elsewhere() as f64);
    finish(session, figures);
}
