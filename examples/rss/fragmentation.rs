//! Fragmentation pinned by survivors: of 200,000 records of 1,000 bytes every fourth one stays, so that each page that
//! was taken still holds a live block. 50 MB of live heap need 200 MB of RSS.
//!
//! What `plimsoll rss` must say: `pinned-pages`, about 150 MB.

use std::hint::black_box;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

const RECORDS: usize = 200_000;
const RECORD_BYTES: usize = 1_000;
/// One of these stays.
const KEPT: usize = 4;

#[inline(never)]
fn load_records(records: &mut Vec<Option<Vec<u8>>>) {
    records.extend((0..RECORDS).map(|record| Some(vec![record as u8; RECORD_BYTES])));
}

#[inline(never)]
fn drop_most(records: &mut [Option<Vec<u8>>]) {
    records.iter_mut().enumerate().filter(|(number, _)| number % KEPT != 0).for_each(|(_, record)| *record = None);
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let mut records = Vec::with_capacity(RECORDS);
    load_records(&mut records);
    drop_most(&mut records);
    println!("{} records stay", black_box(&records).iter().flatten().count());
    session.finish().expect("the capture is written");
}
