//! What a session costs in memory: resident and anonymous, everything of the agent counted.

mod support;

use std::hint::black_box;
use std::sync::Barrier;

use support::{Switched, measure, memory, read, start};

#[global_allocator]
static ALLOC: Switched = Switched::new();

const MIB: i64 = 1 << 20;
const THREADS: usize = 16;

/// Random allocations and frees of 16 to 512 B over 256 slots, which stay.
fn churn(pairs: u64, seed: u64) -> Vec<Option<Vec<u8>>> {
    let mut slots: Vec<Option<Vec<u8>>> = (0..256).map(|_| None).collect();
    let mut state = 88_172_645_463_325_252 ^ seed;
    for _ in 0..pairs {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = 16 + (state >> 20) as usize % 497;
        slots[(state & 255) as usize] = Some(black_box(vec![1; size]));
    }
    slots
}

/// One of two calls at each step, as the bits of `path` say, so that every path is a stack of its own.
#[inline(never)]
fn branch(path: u64, depth: u32) -> u64 {
    if depth == 0 {
        drop(black_box(vec![1u8; 64]));
        path
    } else if path & 1 == 0 {
        black_box(branch(path >> 1, depth - 1)) + 1
    } else {
        // Other arguments, or the compiler makes one call of the two.
        black_box(branch(black_box(path >> 1), black_box(depth - 1))) * 3
    }
}

/// Runs `work` on all threads at once, and prints the memory of the process while all of them still live.
fn on_all_threads(work: impl Fn(u64) -> Vec<Option<Vec<u8>>> + Sync) {
    let session = start();
    let (done, measured) = (Barrier::new(THREADS + 1), Barrier::new(THREADS + 1));
    std::thread::scope(|scope| {
        for thread in 0..THREADS as u64 {
            let (work, done, measured) = (&work, &done, &measured);
            scope.spawn(move || {
                let kept = work(thread);
                done.wait();
                measured.wait();
                drop(kept);
            });
        }
        done.wait();
        // Two ticks: what the writer does at one of them is done.
        std::thread::sleep(std::time::Duration::from_millis(2200));
        println!("\nanonymous={} peak={}", memory("smaps_rollup", "Anonymous"), memory("status", "VmHWM"));
        measured.wait();
    });
    if let Some((session, directory)) = session {
        session.finish().expect("written");
        let capture = read(&directory.path().join("run.plim"));
        println!("\nnodes={}", capture.counters.last().expect("counters").stack_nodes);
    }
}

#[test]
#[ignore = "run by the other tests"]
fn threads() {
    on_all_threads(|thread| churn(200_000, thread));
}

#[test]
#[ignore = "run by the other tests"]
fn stacks() {
    on_all_threads(|thread| {
        (0..1 << 13).for_each(|path| _ = black_box(branch(thread | path << 4, 17)));
        churn(20_000, thread)
    });
}

/// 300 MB in blocks of 16 to 512 B.
#[test]
#[ignore = "run by the other tests"]
fn heap() {
    let session = start();
    let mut blocks: Vec<Vec<u8>> = Vec::with_capacity(2_000_000);
    let (mut bytes, mut state) = (0, 88_172_645_463_325_252_u64);
    while bytes < 300_000_000 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = 16 + (state >> 20) as usize % 497;
        bytes += size;
        blocks.push(vec![1; size]);
    }
    std::thread::sleep(std::time::Duration::from_millis(2200));
    println!("\nanonymous={}", memory("smaps_rollup", "Anonymous"));
    drop((session, blocks));
}

const RUNS: usize = 3;

/// The median of some runs: which arena of the C library a thread gets is chance.
fn anonymous(name: &str, way: &str) -> i64 {
    let mut runs: Vec<i64> = (0..RUNS).map(|_| measure(name, way)["anonymous"]).collect();
    runs.sort_unstable();
    runs[RUNS / 2]
}

#[test]
fn a_sampled_session_with_16_threads_costs_less_than_2_mib() {
    let added = anonymous("threads", "sampled") - anonymous("threads", "idle");
    println!("sampled, 16 threads: {added} bytes more than idle");
    assert!(added < 2 * MIB, "{added}");
}

#[test]
fn a_sampled_session_on_a_large_heap_costs_a_hundredth_and_2_mib() {
    let idle = anonymous("heap", "idle");
    let added = anonymous("heap", "sampled") - idle;
    println!("sampled, 300 MB live: {added} bytes more than {idle}");
    assert!(added <= idle / 100 + 2 * MIB, "{added} more than {idle}");
}

/// 8 MiB of chunks, 40 MiB of stacks, 7 MiB of last walks, 1 MiB of rules, 1 MiB of marks, 2 MiB of ring, 1 MiB of contexts
/// and 2 MiB of the writer's buffers make 62 MiB when all is full; what the C library keeps of freed memory, and threads' stacks, come on top.
#[test]
fn an_exact_session_stays_below_its_cap() {
    let (exact, idle) = (measure("stacks", "exact"), measure("stacks", "idle"));
    let added = exact["peak"] - idle["peak"];
    println!("exact, 16 threads, {} nodes: {added} bytes more than idle at their peaks", exact["nodes"]);
    // 2^17 paths of 17 calls share their outer parts: 2^18 nodes and a few for what lies outside and inside.
    assert!(exact["nodes"] > 1 << 18, "{exact:?}");
    assert!(added < 64 * MIB, "{added}");
}
