//! Workloads under tracking-allocator, installed and off, or with a tracker that counts.

use std::alloc::System;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

use plimsoll_benches::runner::{self, Failure, Finish, Mode, Request, Subject, Written};
use tracking_allocator::{AllocationGroupId, AllocationRegistry, AllocationTracker, Allocator};

#[global_allocator]
static ALLOC: Allocator<System> = Allocator::system();

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static LIVE_BYTES: AtomicU64 = AtomicU64::new(0);

/// The least that a tracker can do.
struct Counter;

impl AllocationTracker for Counter {
    fn allocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId) {
        ALLOCATIONS.fetch_add(1, Relaxed);
        LIVE_BYTES.fetch_add(size as u64, Relaxed);
    }

    fn deallocated(&self, _: usize, size: usize, _: usize, _: AllocationGroupId, _: AllocationGroupId) {
        LIVE_BYTES.fetch_sub(size as u64, Relaxed);
    }
}

fn counting(_: &Request<'_>) -> Result<Finish, Failure> {
    // Only the first tracker is taken; later rounds go on with it.
    let _ = AllocationRegistry::set_global_tracker(Counter);
    AllocationRegistry::enable_tracking();
    COUNTS.store(true, Relaxed);
    Ok(Box::new(|| {
        AllocationRegistry::disable_tracking();
        Ok(Written::default())
    }))
}

const ALL: [Mode; 2] = [Mode::silent("off"), Mode { name: "counting", start: counting }];

fn main() -> ExitCode {
    let allocations = || COUNTS.load(Relaxed).then(|| ALLOCATIONS.load(Relaxed));
    runner::main(Subject { allocator: "tracking-allocator", modes: &ALL, allocations })
}
