//! Retention in the arenas of threads: eight threads fill their arenas with 24 MiB each at the same time, and free all of
//! it but the last block, which keeps the arena's top from going back.
//!
//! What `plimsoll rss` must say: `arenas`, about 190 MiB.

use std::hint::black_box;
use std::sync::Barrier;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

const THREADS: usize = 8;
const BLOCKS: usize = 384;
/// Below the size from which glibc maps blocks one by one.
const BLOCK_BYTES: usize = 64 << 10;

/// What a thread leaves: the newest of its blocks.
#[inline(never)]
fn work(together: &Barrier) -> Vec<u8> {
    let mut blocks: Vec<Vec<u8>> = (0..BLOCKS).map(|block| vec![block as u8; BLOCK_BYTES]).collect();
    together.wait();
    let last = blocks.pop().unwrap_or_default();
    drop(blocks);
    last
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let together = Barrier::new(THREADS);
    let kept: Vec<Vec<u8>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| work(&together))).collect();
        threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    println!("{} blocks stay", black_box(&kept).len());
    session.finish().expect("the capture is written");
}
