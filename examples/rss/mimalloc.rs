//! Pages that mimalloc cannot give back: of 200,000 records of 1,000 bytes one in 64 stays, so that each of its pages of
//! 64 KiB holds a live block.
//!
//! What `plimsoll rss` must say: `retention`, about 200 MB.

use std::hint::black_box;

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOC: plimsoll::Allocator<MiMalloc> = plimsoll::Allocator::with_stats(MiMalloc);

const RECORDS: usize = 200_000;
const RECORD_BYTES: usize = 1_000;
/// One of these stays.
const KEPT: usize = 64;

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let mut records: Vec<Option<Vec<u8>>> = Vec::with_capacity(RECORDS);
    records.extend((0..RECORDS).map(|record| Some(vec![record as u8; RECORD_BYTES])));
    records.iter_mut().enumerate().filter(|(number, _)| number % KEPT != 0).for_each(|(_, record)| *record = None);
    println!("{} records stay", black_box(&records).iter().flatten().count());
    session.finish().expect("the capture is written");
}
