//! What Plimsoll adds to an allocation and its free: churn of 16–512 B over 256 slots, four ways in one binary.
//!
//! An allocator that can be switched at run time goes to the system's allocator directly or through Plimsoll, so that
//! code layout is the same for all ways. Rounds are interleaved; medians and the whole spread are printed.
//!
//! `cargo run --release -p plimsoll-benches --bin churn [ROUNDS] [PAIRS]`

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Instant;

/// The system's allocator, through Plimsoll or not.
struct Switched(plimsoll::Allocator);

static THROUGH_PLIMSOLL: AtomicBool = AtomicBool::new(true);

// SAFETY: both ways end in the same system allocator, so a block may be freed the other way than it was allocated.
unsafe impl GlobalAlloc for Switched {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations.
        if THROUGH_PLIMSOLL.load(Relaxed) { unsafe { self.0.alloc(layout) } } else { unsafe { System.alloc(layout) } }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if THROUGH_PLIMSOLL.load(Relaxed) {
            // SAFETY: the caller's obligations.
            unsafe { self.0.dealloc(block, layout) }
        } else {
            // SAFETY: the caller's obligations.
            unsafe { System.dealloc(block, layout) }
        }
    }
}

#[global_allocator]
static ALLOC: Switched = Switched(plimsoll::Allocator::system());

#[derive(Clone, Copy)]
enum Way {
    System,
    Idle,
    Sampled,
    Exact,
}

const WAYS: [(&str, Way); 4] =
    [("system", Way::System), ("idle", Way::Idle), ("sampled", Way::Sampled), ("exact", Way::Exact)];

/// Nanoseconds per pair.
fn churn(pairs: u64) -> f64 {
    let mut slots: Vec<Option<Vec<u8>>> = (0..256).map(|_| None).collect();
    let mut state = 88_172_645_463_325_252_u64;
    let start = Instant::now();
    for _ in 0..pairs {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = 16 + (state >> 20) as usize % 497;
        slots[(state & 255) as usize] = Some(black_box(Vec::with_capacity(size)));
    }
    let elapsed = start.elapsed();
    black_box(slots);
    elapsed.as_nanos() as f64 / pairs as f64
}

/// One round of one way.
fn round(way: Way, pairs: u64) -> Result<f64, Box<dyn std::error::Error>> {
    let directory = tempfile::tempdir()?;
    let builder = plimsoll::Session::builder().output(directory.path().join("run.plim"));
    let session = match way {
        Way::System | Way::Idle => None,
        Way::Sampled => Some(builder.start()?),
        Way::Exact => Some(builder.exact().start()?),
    };
    THROUGH_PLIMSOLL.store(!matches!(way, Way::System), Relaxed);
    let result = churn(pairs);
    THROUGH_PLIMSOLL.store(true, Relaxed);
    if let Some(session) = session {
        session.finish()?;
    }
    Ok(result)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u64>());
    let rounds = arguments.next().transpose()?.unwrap_or(7);
    let pairs = arguments.next().transpose()?.unwrap_or(3_000_000);
    let mut results = WAYS.map(|_| Vec::new());
    for _ in 0..rounds {
        for ((_, way), results) in WAYS.iter().zip(&mut results) {
            results.push(round(*way, pairs)?);
        }
    }
    println!("way      median ns/pair     min     max  added");
    let mut base = 0.0;
    for ((name, way), results) in WAYS.iter().zip(&mut results) {
        results.sort_by(f64::total_cmp);
        let [median, min, max] = [results[results.len() / 2], results[0], results[results.len() - 1]];
        if matches!(way, Way::System) {
            base = median;
        }
        println!("{name:<8} {median:>14.2} {min:>7.2} {max:>7.2} {:>+6.2}", median - base);
    }
    Ok(())
}
