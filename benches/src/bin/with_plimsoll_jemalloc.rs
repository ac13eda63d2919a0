//! Workloads under Plimsoll around jemalloc.

use std::process::ExitCode;

use plimsoll_benches::plimsoll_modes::{MODES, allocations};
use plimsoll_benches::runner::{self, Subject};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Jemalloc> = plimsoll::Allocator::new(Jemalloc);

fn main() -> ExitCode {
    runner::main(Subject { allocator: "plimsoll/jemalloc", modes: &MODES, allocations })
}
