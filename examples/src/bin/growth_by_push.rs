//! Growth by push: five series that grow one sample at a time, and are copied each time they outgrow their room.
//!
//! Each series ends with 2^20 samples of 8 bytes. `Vec` starts with room for 4 and doubles: rooms of 2^2, 2^3 … 2^20
//! samples, so one allocation and 18 reallocations, which count as one free and one allocation each: 19
//! allocations. Their bytes are 8 × (2^2 + … + 2^20) = 8 × (2^21 − 4) = 16,777,184, twice what is needed.
//!
//! What must be seen at the end, five times 19 = 95, 16,777,184 = 83,885,920 and 8 × 2^20 = 41,943,040:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `collect_samples` | total_allocations | 95 |
//! | `collect_samples` | total_bytes | 83885920 |
//! | `collect_samples` | live_allocations | 5 |
//! | `collect_samples` | live_bytes | 41943040 |
//! | `collect_samples` | temporary_allocations | 0 |

use std::alloc::System;
use std::hint::black_box;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const SERIES: u64 = 5;
const SAMPLES: u64 = 1 << 20;

/// The problem: the number of samples is known, and `with_capacity` would take it.
#[inline(never)]
fn collect_samples(series: u64) -> Vec<u64> {
    let mut samples = Vec::new();
    for number in 0..SAMPLES {
        samples.push(black_box(number ^ series));
    }
    samples
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let mut all = Vec::with_capacity(SERIES as usize);
    all.extend((0..SERIES).map(collect_samples));
    println!("{} series of {SAMPLES} samples", black_box(&all).len());
    plimsoll_examples::finish(session);
    // A program that runs on never drops them.
    std::mem::forget(all);
}
