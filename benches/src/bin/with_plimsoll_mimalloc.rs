//! Workloads under Plimsoll around mimalloc.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use plimsoll_benches::plimsoll_modes::{MODES, allocations};
use plimsoll_benches::runner::{self, Subject};

#[global_allocator]
static ALLOC: plimsoll::Allocator<MiMalloc> = plimsoll::Allocator::new(MiMalloc);

fn main() -> ExitCode {
    runner::main(Subject { allocator: "plimsoll/mimalloc", modes: &MODES, allocations })
}
