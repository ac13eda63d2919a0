//! A service that does little but allocate: tokio tasks, each the work of one request.

use std::io;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

use super::random::mix;
use super::{Job, Outcome, Workload, requests};
use crate::clock;

pub(super) const TASKS: Workload = Workload {
    name: "tasks",
    unit: "request",
    units: 8_000,
    recorded_units: 400,
    peers: true,
    tolerance: 0.001,
    about: "tokio tasks on one thread: parse JSON, fill a map, serialize it; about 1,000 allocations each",
    prepare: |requests| prepare(requests, Builder::new_current_thread().build()),
};

pub(super) const TASKS_2: Workload = Workload {
    name: "tasks-2",
    about: "tasks on a tokio runtime of two threads",
    prepare: |requests| prepare(requests, Builder::new_multi_thread().worker_threads(2).build()),
    ..TASKS
};

/// Tasks that wait at a time.
const BATCH: u64 = 64;

async fn serve(requests: u64, body: &'static str) -> u64 {
    let mut checksum = 0;
    let mut waiting: Vec<JoinHandle<u64>> = Vec::with_capacity(BATCH as usize);
    let mut left = requests;
    while left > 0 {
        let batch = left.min(BATCH);
        waiting.extend((0..batch).map(|_| tokio::spawn(async move { requests::checksum(&requests::answer(body)) })));
        for task in waiting.drain(..) {
            // A task that panicked is missing in the checksum.
            checksum = mix(checksum, task.await.unwrap_or_default());
        }
        left -= batch;
    }
    checksum
}

fn prepare(requests: u64, runtime: io::Result<Runtime>) -> Job {
    let body: &'static str = requests::body().leak();
    Box::new(move || {
        let Ok(runtime) = &runtime else { return Outcome::default() };
        let before = clock::process_cpu_ns();
        let checksum = runtime.block_on(serve(requests, body));
        // Threads of the runtime are not this one. Those of a profiler are in it too.
        let several = runtime.metrics().num_workers() > 1;
        Outcome { own_ns: several.then(|| clock::process_cpu_ns() - before), ..Outcome::of(checksum) }
    })
}
