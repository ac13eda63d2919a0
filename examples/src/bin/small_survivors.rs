//! Many small blocks that live long: half a million symbols of 24 bytes, each in a block of its own.
//!
//! No block is large and none is forgotten by mistake; together they are 12 MB of requests, and more with what the
//! allocator adds to each.
//!
//! What must be seen at the end, 500,000 × 24 = 12,000,000:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `intern_symbol` | live_bytes | 12000000 |
//! | `intern_symbol` | live_allocations | 500000 |
//! | `intern_symbol` | total_allocations | 500000 |

use std::alloc::System;
use std::hint::black_box;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const SYMBOLS: u64 = 500_000;

/// A symbol: three words.
type Symbol = [u64; 3];

/// The problem: one block for each symbol, where an arena would do.
#[inline(never)]
fn intern_symbol(number: u64) -> Box<Symbol> {
    Box::new(black_box([number, number + 1, number + 2]))
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let mut symbols = Vec::with_capacity(SYMBOLS as usize);
    symbols.extend((0..SYMBOLS).map(intern_symbol));
    println!("{} symbols", black_box(&symbols).len());
    plimsoll_examples::finish(session);
    // A program that runs on never drops them.
    std::mem::forget(symbols);
}
