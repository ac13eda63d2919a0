//! A leak in a C library: 120,000 blocks of 1,000 bytes from C's malloc, which no Rust allocator sees.
//!
//! What `plimsoll rss` must say: `c-heap`, about 121 MB (each block takes 1,008 bytes).

use std::hint::black_box;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

const BLOCKS: usize = 120_000;
const BLOCK_BYTES: usize = 1_000;

/// As a binding would: the library allocates, and nobody calls its free function.
#[inline(never)]
fn parse_with_c_library(number: usize) {
    // SAFETY: the block is as long as asked for, or null, which is looked at.
    unsafe {
        let block = libc::malloc(BLOCK_BYTES);
        if !block.is_null() {
            libc::memset(block, number as i32, BLOCK_BYTES);
        }
        black_box(block);
    }
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let own = vec![1u8; 4 << 20];
    (0..BLOCKS).for_each(parse_with_c_library);
    println!("{} bytes of its own", black_box(&own).len());
    session.finish().expect("the capture is written");
}
