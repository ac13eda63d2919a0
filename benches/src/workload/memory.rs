//! Workloads whose resident set is what counts: a large heap of small blocks, and a process of many threads.

use std::sync::{Arc, Barrier};
use std::thread;

use super::random::{Random, mix};
use super::{Job, Outcome, Workload};
use crate::clock;

pub(super) const HEAP_300: Workload = Workload {
    name: "heap-300",
    unit: "run",
    units: 1,
    recorded_units: 1,
    peers: true,
    tolerance: 0.0,
    about: "300 MB live in blocks of 16–512 B, all touched: the resident set",
    prepare: |runs| {
        let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(2 << 20);
        Box::new(move || Outcome::of((0..runs).fold(0, |sum, _| mix(sum, fill(&mut blocks)))))
    },
};

pub(super) const CREW: Workload = Workload {
    name: "crew",
    unit: "run",
    units: 1,
    recorded_units: 1,
    peers: true,
    tolerance: 0.001,
    about: "16 threads alive at once, each with 200,000 pairs of 16–512 B over 64 slots: the resident set",
    prepare: |_| Box::new(crew) as Job,
};

const HEAP_BYTES: usize = 300_000_000;
const THREADS: u64 = 16;

fn fill(blocks: &mut Vec<Vec<u8>>) -> u64 {
    blocks.clear();
    let mut random = Random::new(5);
    let mut live = 0;
    while live < HEAP_BYTES {
        let size = random.size();
        live += size;
        blocks.push(vec![1; size]);
    }
    blocks.len() as u64
}

fn crew() -> Outcome {
    let all_done = Arc::new(Barrier::new(THREADS as usize));
    let member = |seed: u64| {
        let all_done = Arc::clone(&all_done);
        thread::spawn(move || {
            let (mut random, mut checksum) = (Random::new(seed), 0);
            let mut slots: [Vec<u8>; 64] = std::array::from_fn(|_| Vec::new());
            for _ in 0..200_000 {
                let block = vec![1; random.size()];
                checksum = mix(checksum, block.len() as u64);
                slots[random.next() as usize % 64] = block;
            }
            all_done.wait();
            (checksum, clock::thread_cpu_ns())
        })
    };
    let threads: Vec<_> = (1..=THREADS).map(member).collect();
    let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_default());
    let (checksum, own_ns) =
        ended.fold((0_u64, 0), |(sum, total), (part, time)| (sum.wrapping_add(part), total + time));
    Outcome { own_ns: Some(own_ns), ..Outcome::of(checksum) }
}
