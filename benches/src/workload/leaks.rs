//! Three known leaks in a little ordinary work: does a profiler name the functions, and to the byte?

use std::hint::black_box;
use std::mem;

use super::{Outcome, Workload, requests};

/// A function that leaks, how many blocks, and how many bytes.
#[derive(Debug, Clone, Copy)]
pub struct Leak {
    /// The function's name.
    pub function: &'static str,
    /// Blocks it leaks.
    pub blocks: u64,
    /// Bytes of each.
    pub block_bytes: u64,
}

/// What leaks.
pub const KNOWN: [Leak; 3] = [
    Leak { function: "leak_documents", blocks: 40, block_bytes: 123_456 },
    Leak { function: "leak_sessions", blocks: 2_000, block_bytes: 1_000 },
    Leak { function: "leak_names", blocks: 5_000, block_bytes: 112 },
];

pub(super) const LEAKS: Workload = Workload {
    name: "leaks",
    unit: "run",
    units: 1,
    recorded_units: 0,
    peers: true,
    tolerance: 0.0,
    about: "40 × 123,456 B, 2,000 × 1,000 B and 5,000 × 112 B are leaked beside 100 requests that are not",
    prepare: |runs| {
        let body = requests::body();
        Box::new(move || Outcome::of((0..runs).map(|_| run(&body)).fold(0, u64::wrapping_add)))
    },
};

#[inline(never)]
fn leak_documents() {
    let document: Vec<u8> = Vec::with_capacity(black_box(123_456));
    mem::forget(black_box(document));
}

#[inline(never)]
fn leak_sessions() {
    mem::forget(black_box(Box::new([1_u8; 1_000])));
}

#[inline(never)]
fn leak_names() {
    let name: String = String::with_capacity(black_box(112));
    mem::forget(black_box(name));
}

fn run(body: &str) -> u64 {
    for step in 0..5_000 {
        leak_names();
        if step % 5 < 2 {
            leak_sessions();
        }
        if step % 125 == 0 {
            leak_documents();
        }
    }
    (0..100).map(|_| requests::checksum(&requests::answer(body))).fold(0, u64::wrapping_add)
}
