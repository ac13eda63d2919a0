//! A large mapping past every allocator: 192 MiB of anonymous memory, touched.
//!
//! What `plimsoll rss` must say: `anonymous`, 192 MiB.

use std::hint::black_box;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

const BYTES: usize = 192 << 20;

/// The problem: memory that no allocator knows of.
#[inline(never)]
fn map_cache() -> &'static mut [u8] {
    let (rights, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: an anonymous private mapping at an address of the kernel's choice touches no existing memory; it is zeroed
    // and never unmapped.
    unsafe {
        let start = libc::mmap(std::ptr::null_mut(), BYTES, rights, kind, -1, 0);
        assert!(start != libc::MAP_FAILED, "192 MiB can be mapped");
        std::slice::from_raw_parts_mut(start.cast::<u8>(), BYTES)
    }
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let cache = map_cache();
    cache.fill(1);
    println!("{} bytes mapped", black_box(cache).len());
    session.finish().expect("the capture is written");
}
