//! A spike that is gone at the end: an archive is unpacked whole, looked at, and dropped.
//!
//! 220 parts of 1 MiB are live together for a moment, beside an index of 10 MiB that stays. A report of what is live
//! at the end shows the index only; the peak shows the archive.
//!
//! What must be seen, 220 × 1,048,576 = 230,686,720 and 10 × 1,048,576 = 10,485,760:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `unpack_archive` | peak_live_bytes | 230686720 |
//! | `unpack_archive` | total_allocations | 220 |
//! | `unpack_archive` | live_bytes | 0 |
//! | `hold_index` | live_bytes | 10485760 |

use std::alloc::System;
use std::hint::black_box;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const PARTS: usize = 220;
const INDEX_PARTS: usize = 10;
const PART_BYTES: usize = 1 << 20;

/// The problem: all parts at once, where one after the other would do.
#[inline(never)]
fn unpack_archive(archive: &mut Vec<Vec<u8>>) {
    archive.extend((0..PARTS).map(|part| vec![part as u8; PART_BYTES]));
}

#[inline(never)]
fn hold_index(index: &mut Vec<Vec<u8>>) {
    index.extend((0..INDEX_PARTS).map(|part| vec![part as u8; PART_BYTES]));
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let mut index = Vec::with_capacity(INDEX_PARTS);
    hold_index(&mut index);
    // The lists of parts are made here, so that the functions hold the parts' bytes alone.
    let mut archive = Vec::with_capacity(PARTS);
    unpack_archive(&mut archive);
    let sum: usize =
        archive.iter().map(|part| part.iter().step_by(4096).map(|byte| usize::from(*byte)).sum::<usize>()).sum();
    drop(archive);
    println!("checksum {sum}, {} parts of index", black_box(&index).len());
    plimsoll_examples::finish(session);
}
