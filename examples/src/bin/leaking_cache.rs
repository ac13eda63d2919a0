//! A cache that never forgets: every page that was ever asked for stays in memory.
//!
//! 10,000 requests ask for 2,560 different pages of 16 KiB; each page is rendered once and kept for good. The
//! log line of each request is a temporary, and no problem.
//!
//! What must be seen at the end, 2,560 × 16,384 = 41,943,040:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `remember_page` | live_bytes | 41943040 |
//! | `remember_page` | live_allocations | 2560 |
//! | `remember_page` | total_bytes | 41943040 |
//! | `handle_request` | live_bytes | 41943040 |

use std::alloc::System;
use std::collections::HashMap;
use std::hint::black_box;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const REQUESTS: u64 = 10_000;
const PAGES: u64 = 2_560;
const PAGE_BYTES: usize = 16 << 10;

type Cache = HashMap<u64, Box<[u8]>>;

/// The problem: nothing ever removes a page.
#[inline(never)]
fn remember_page(cache: &mut Cache, page: u64) {
    cache.insert(page, vec![page as u8; PAGE_BYTES].into_boxed_slice());
}

#[inline(never)]
fn handle_request(cache: &mut Cache, page: u64) -> usize {
    if !cache.contains_key(&page) {
        remember_page(cache, page);
    }
    black_box(format!("GET /page/{page}")).len()
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    // The table itself is made once and large enough, so that what grows is only pages.
    let mut cache = Cache::with_capacity(PAGES as usize);
    let logged: usize = (0..REQUESTS).map(|request| handle_request(&mut cache, request * 7 % PAGES)).sum();
    println!("{} pages in the cache, {logged} bytes of log", cache.len());
    plimsoll_examples::finish(session);
    // A service runs on here: its cache is never dropped.
    std::mem::forget(cache);
}
