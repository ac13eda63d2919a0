//! One address handed to and fro: each of two threads frees the block that it is given and at once allocates another,
//! which its allocator cuts from the same memory, for the other thread.
//!
//! A first argument gives the number of hand-overs (default 1,000,000). All of them are allocations of 64 bytes by
//! `next_block`, and none is live at the end. It is the hardest case for a profiler that sees events of two threads: whether the
//! free or the allocation of an address came first.

use std::alloc::System;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

type Block = [u8; 64];

/// The block on its way, and how often it was handed over: even numbers are the first thread's turn.
static BLOCK: Mutex<Option<Box<Block>>> = Mutex::new(None);
static TURN: AtomicU64 = AtomicU64::new(0);

#[inline(never)]
fn next_block() -> Box<Block> {
    Box::new(black_box([0; 64]))
}

/// Takes every second turn, from `first` to `turns`.
fn take_turns(first: u64, turns: u64) {
    for turn in (first..turns).step_by(2) {
        while TURN.load(Ordering::Acquire) != turn {
            thread::yield_now();
        }
        if let Ok(mut block) = BLOCK.lock() {
            *block = None;
            *block = Some(next_block());
        }
        TURN.store(turn + 1, Ordering::Release);
    }
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let turns = std::env::args().nth(1).and_then(|turns| turns.parse().ok()).unwrap_or(1_000_000);
    // Joined one by one: the end of a scope does not wait for what its threads free when they end.
    let threads = [0, 1].map(|first| thread::spawn(move || take_turns(first, turns)));
    let ended = threads.into_iter().filter_map(|thread| thread.join().ok()).count();
    drop(BLOCK.lock().map(|mut block| block.take()));
    println!("{turns} hand-overs between {ended} threads");
    plimsoll_examples::finish(session);
}
