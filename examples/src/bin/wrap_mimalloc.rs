//! Another allocator below: Plimsoll wraps mimalloc, and page-aligned blocks keep their alignment.
//!
//! 1,000 rows of 4 KiB, aligned to 4 KiB, stay; each was written through a scratch buffer of 1 KiB that does not.
//!
//! What must be seen at the end, 1,000 × 4,096 = 4,096,000 and 1,000 × 1,024 = 1,024,000:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `hold_row` | live_bytes | 4096000 |
//! | `hold_row` | live_allocations | 1000 |
//! | `fill_row` | total_bytes | 1024000 |
//! | `fill_row` | live_bytes | 0 |

use std::hint::black_box;

use mimalloc::MiMalloc;
use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<MiMalloc>> = plimsoll::Allocator::new(Counted::new(MiMalloc));

const ROWS: usize = 1_000;
const ROW_BYTES: usize = 4 << 10;
const SCRATCH_BYTES: usize = 1 << 10;

/// A row on a page of its own.
#[repr(align(4096))]
struct Row([u8; ROW_BYTES]);

#[inline(never)]
fn hold_row() -> Box<Row> {
    Box::new(Row(black_box([0; ROW_BYTES])))
}

#[inline(never)]
fn fill_row(row: &mut Row, number: usize) {
    let scratch = black_box(vec![number as u8; SCRATCH_BYTES]);
    row.0.chunks_exact_mut(SCRATCH_BYTES).for_each(|part| part.copy_from_slice(&scratch));
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let mut rows = Vec::with_capacity(ROWS);
    rows.extend((0..ROWS).map(|_| hold_row()));
    rows.iter_mut().enumerate().for_each(|(number, row)| fill_row(row, number));
    let aligned = rows.iter().filter(|row| (&raw const ***row).addr().is_multiple_of(ROW_BYTES)).count();
    println!("{aligned} of {ROWS} rows are aligned");
    plimsoll_examples::finish(session);
}
