//! A user's program: allocates 16–512 B into 256 places at random, each of which frees what it held. Without the feature
//! `plimsoll` it has the toolchain's own allocator.
#![forbid(unsafe_code)]

use std::hint::black_box;

#[cfg(feature = "plimsoll")]
#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

/// What is counted: one allocation and one free per pair.
#[inline(never)]
fn churn_pairs(pairs: u64) {
    let mut places: Vec<Vec<u8>> = (0..256).map(|_| Vec::new()).collect();
    let mut state = 88_172_645_463_325_252_u64;
    for _ in 0..pairs {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = 16 + (state >> 20) as usize % 497;
        places[(state & 255) as usize] = black_box(Vec::with_capacity(size));
    }
}

fn main() {
    #[cfg(feature = "plimsoll")]
    let _session = plimsoll::Session::from_env_or_idle();
    let number = |at| std::env::args().nth(at).and_then(|text| text.parse().ok()).unwrap_or(0);
    // Blocks that are held meanwhile and never touched: as many live samples as are asked for.
    let held: Vec<Vec<u8>> = (0..number(2)).map(|_| Vec::with_capacity(512 << 10)).collect();
    churn_pairs(number(1));
    black_box(held);
}
