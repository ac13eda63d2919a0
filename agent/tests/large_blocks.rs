//! What an allocator does for large blocks it still does under Plimsoll: zeroed ones cost no page before they are touched,
//! growing ones stay where they are or move without a copy.

mod support;

use std::hint::black_box;

use support::{Switched, WAYS, measure, memory, start};

#[global_allocator]
static ALLOC: Switched = Switched::new();

const MIB: i64 = 1 << 20;

/// Pages of a block that are in memory.
fn resident_pages(block: &[u8]) -> usize {
    let page = 4096;
    let first = block.as_ptr() as usize / page * page;
    let length = (block.as_ptr() as usize + block.len()) - first;
    let mut pages = vec![0u8; length.div_ceil(page)];
    // SAFETY: the range is the mapped block's, from the beginning of a page, and the vector has a byte for each page.
    let result = unsafe { libc::mincore(first as *mut libc::c_void, length, pages.as_mut_ptr()) };
    assert_eq!(result, 0);
    pages.iter().filter(|page| **page & 1 != 0).count()
}

#[test]
#[ignore = "run by the other tests"]
fn zeroed() {
    let _session = start();
    let before = memory("status", "VmRSS");
    let block = black_box(vec![0u8; 256 << 20]);
    let grown = memory("status", "VmRSS") - before;
    println!("\ngrown={grown} pages={}", resident_pages(&block));
    assert!(block.iter().step_by(4096).all(|byte| *byte == 0));
}

#[test]
fn a_zeroed_block_costs_nothing_before_it_is_touched() {
    let bare = measure("zeroed", "bare");
    // The page of the allocator's own header may be in, no other.
    assert!(bare["pages"] <= 1 && bare["grown"] < MIB, "{bare:?}");
    for way in &WAYS[1..] {
        let numbers = measure("zeroed", way);
        assert!(numbers["pages"] <= bare["pages"], "{way}: {numbers:?}, bare {bare:?}");
        assert!(numbers["grown"] <= bare["grown"] + 2 * MIB, "{way}: {numbers:?}, bare {bare:?}");
    }
}

/// Grows a vector to 512 MiB by a MiB at a time and touches every page.
#[test]
#[ignore = "run by the other tests"]
fn growth() {
    let _session = start();
    let before = memory("status", "VmRSS");
    let mut vector: Vec<u8> = Vec::new();
    let (mut moved, mut at) = (0, vector.as_ptr());
    for _ in 0..512 {
        vector.reserve_exact(1 << 20);
        vector.resize(vector.len() + (1 << 20), 1);
        moved += i64::from(at != vector.as_ptr());
        at = vector.as_ptr();
    }
    black_box(&vector);
    println!("\nmoved={moved} peak={}", memory("status", "VmHWM") - before);
}

#[test]
fn a_growing_block_is_moved_no_more_often_and_never_copied() {
    let bare = measure("growth", "bare");
    // 512 MiB of content; a copy of the whole would need as much again.
    assert!(bare["peak"] < 640 * MIB, "{bare:?}");
    for way in WAYS {
        let numbers = measure("growth", way);
        // Whether the addresses behind a block are free depends on where the system maps: the bare allocator moved
        // between 10 and 40 times in 512 in its runs. An allocator that copies moves every time.
        assert!(numbers["moved"] <= 64, "{way}: {numbers:?}, bare {bare:?}");
        assert!(numbers["peak"] <= bare["peak"] + 16 * MIB, "{way}: {numbers:?}, bare {bare:?}");
    }
}
