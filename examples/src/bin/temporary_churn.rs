//! Temporary churn: a buffer is made and thrown away for every line, where one could be used again.
//!
//! 200,000 lines, each with a buffer of 256 bytes that is freed before the next allocation of the thread. Nothing
//! is live at the end; the allocator's time is what it costs.
//!
//! What must be seen at the end, 200,000 × 256 = 51,200,000:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `parse_line` | total_bytes | 51200000 |
//! | `parse_line` | total_allocations | 200000 |
//! | `parse_line` | temporary_allocations | 200000 |
//! | `parse_line` | live_bytes | 0 |

use std::alloc::System;
use std::hint::black_box;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const LINES: usize = 200_000;
const BUFFER_BYTES: usize = 256;

/// The problem: the buffer could live outside the loop.
#[inline(never)]
fn parse_line(line: usize) -> usize {
    let buffer = black_box(vec![line as u8; BUFFER_BYTES]);
    buffer.iter().filter(|byte| **byte == b',').count()
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let commas: usize = (0..LINES).map(parse_line).sum();
    println!("{commas} commas in {LINES} lines");
    plimsoll_examples::finish(session);
}
