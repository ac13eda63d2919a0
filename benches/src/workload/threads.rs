//! Threads that start, allocate a little and end.

use std::hint::black_box;
use std::thread;

use super::{Job, Outcome, Workload};
use crate::clock;

pub(super) const THREADS: Workload = Workload {
    name: "threads",
    unit: "thread",
    units: 4_000,
    recorded_units: 2_000,
    peers: true,
    tolerance: 0.001,
    about: "threads one after the other, each with ten allocations",
    prepare: |threads| Box::new(move || run(threads)) as Job,
};

fn run(threads: u64) -> Outcome {
    let before = clock::process_cpu_ns();
    let work = |number: u64| {
        (0..10).map(|block| black_box(vec![1_u8; 16 + (number + block) as usize % 497]).len() as u64).sum()
    };
    let checksum = (0..threads)
        .map(|number| thread::spawn(move || work(number)).join().unwrap_or_default())
        .fold(0_u64, u64::wrapping_add);
    // Starting and ending a thread costs on both sides, and partly in no thread at all.
    Outcome { own_ns: Some(clock::process_cpu_ns() - before), ..Outcome::of(checksum) }
}
