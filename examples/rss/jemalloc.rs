//! jemalloc's freed pages: 192 MiB are freed at once, and jemalloc gives pages back over ten seconds.
//!
//! What `plimsoll rss` must say: `dirty-pages`, most of 192 MiB.

use std::hint::black_box;

use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Jemalloc> = plimsoll::Allocator::with_stats(Jemalloc);

const BLOCKS: usize = 3_072;
const BLOCK_BYTES: usize = 64 << 10;

#[inline(never)]
fn answer_burst() -> usize {
    let answers: Vec<Vec<u8>> = (0..BLOCKS).map(|block| vec![block as u8; BLOCK_BYTES]).collect();
    black_box(&answers).len()
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    println!("{} answers", answer_burst());
    session.finish().expect("the capture is written");
}
