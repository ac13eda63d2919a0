//! Blocks that another thread frees than the one that allocated them.

use std::sync::mpsc::sync_channel;
use std::thread;

use super::random::{Random, mix};
use super::{Job, Outcome, Workload};
use crate::clock;

pub(super) const ONE: Workload = Workload {
    name: "cross-thread-1",
    unit: "pair",
    units: 8_000_000,
    recorded_units: 800_000,
    peers: true,
    tolerance: 0.0,
    about: "the work of cross-thread-8 in one thread, which frees what it allocated",
    prepare: |pairs| Box::new(move || alone(pairs)),
};

pub(super) const EIGHT: Workload = Workload {
    name: "cross-thread-8",
    tolerance: 0.001,
    about: "four threads allocate batches of 128 blocks of 16–512 B, four others free them",
    prepare: |pairs| Box::new(move || handed_over(pairs)) as Job,
    ..ONE
};

const BATCH: u64 = 128;
const COUPLES: u64 = 4;
/// Batches that wait between two threads.
const WAITING: usize = 16;

type Batch = Vec<Vec<u8>>;

fn fill(random: &mut Random) -> Batch {
    (0..BATCH).map(|_| Vec::with_capacity(random.size())).collect()
}

fn empty(batch: Batch) -> u64 {
    batch.iter().fold(0, |sum, block| mix(sum, block.capacity() as u64))
}

fn alone(pairs: u64) -> Outcome {
    let batches = pairs / BATCH / COUPLES;
    let couple = |seed| {
        let mut random = Random::new(seed);
        (0..batches).fold(0_u64, |sum, _| sum.wrapping_add(empty(fill(&mut random))))
    };
    Outcome::of((1..=COUPLES).map(couple).fold(0, u64::wrapping_add))
}

fn handed_over(pairs: u64) -> Outcome {
    let batches = pairs / BATCH / COUPLES;
    let mut threads = Vec::new();
    for seed in 1..=COUPLES {
        let (sender, receiver) = sync_channel::<Batch>(WAITING);
        threads.push(thread::spawn(move || {
            let mut random = Random::new(seed);
            // Sending fails only when the other thread has panicked; then the checksum tells.
            let _ = (0..batches).try_for_each(|_| sender.send(fill(&mut random)));
            (0, clock::thread_cpu_ns())
        }));
        threads.push(thread::spawn(move || {
            let sum = receiver.iter().fold(0_u64, |sum, batch| sum.wrapping_add(empty(batch)));
            (sum, clock::thread_cpu_ns())
        }));
    }
    let ended = threads.into_iter().map(|thread| thread.join().unwrap_or_default());
    let (checksum, own_ns) =
        ended.fold((0_u64, 0), |(sum, total), (part, time)| (sum.wrapping_add(part), total + time));
    Outcome { own_ns: Some(own_ns), ..Outcome::of(checksum) }
}
