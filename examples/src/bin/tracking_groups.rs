//! A program that already uses tracking-allocator: it keeps that allocator and its groups, and Plimsoll records what
//! it reports. The groups arrive as tags.
//!
//! Group `parser` keeps 300 documents of 8 KiB, each parsed with a scratch buffer of 2 KiB that is dropped; group `cache`
//! keeps 100 entries of 64 KiB.
//!
//! What must be seen at the end, 300 × 8,192 = 2,457,600, 300 × (8,192 + 2,048) = 3,072,000 and 100 × 65,536 =
//! 6,553,600:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `parse_document` | live_bytes | 2457600 |
//! | `parse_document` | total_bytes | 3072000 |
//! | `fill_cache` | live_bytes | 6553600 |
//! | `fill_cache` | live_allocations | 100 |

use std::alloc::System;
use std::error::Error;
use std::hint::black_box;

use plimsoll::tracking::{Tracker, name_group};
use tracking_allocator::{AllocationGroupToken, AllocationRegistry, Allocator};

#[global_allocator]
static ALLOC: Allocator<System> = Allocator::system();

const DOCUMENTS: usize = 300;
const DOCUMENT_BYTES: usize = 8 << 10;
const SCRATCH_BYTES: usize = 2 << 10;
const ENTRIES: usize = 100;
const ENTRY_BYTES: usize = 64 << 10;

#[inline(never)]
fn parse_document(number: usize) -> Vec<u8> {
    let scratch = black_box(vec![number as u8; SCRATCH_BYTES]);
    black_box(vec![scratch[0]; DOCUMENT_BYTES])
}

#[inline(never)]
fn fill_cache(number: usize) -> Vec<u8> {
    black_box(vec![number as u8; ENTRY_BYTES])
}

/// A group of this name.
fn group(name: &str) -> Result<AllocationGroupToken, Box<dyn Error>> {
    let token = AllocationGroupToken::register().ok_or("no group is left")?;
    name_group(&token.id(), name);
    Ok(token)
}

fn main() -> Result<(), Box<dyn Error>> {
    AllocationRegistry::set_global_tracker(Tracker::new())?;
    AllocationRegistry::enable_tracking();
    let session = plimsoll::Session::from_env_or_idle();
    let (mut parser, mut cache) = (group("parser")?, group("cache")?);

    let mut documents = Vec::with_capacity(DOCUMENTS);
    let parsing = parser.enter();
    documents.extend((0..DOCUMENTS).map(parse_document));
    drop(parsing);

    let mut entries = Vec::with_capacity(ENTRIES);
    let filling = cache.enter();
    entries.extend((0..ENTRIES).map(fill_cache));
    drop(filling);

    println!("{} documents, {} cache entries", black_box(&documents).len(), black_box(&entries).len());
    session.finish()?;
    Ok(())
}
