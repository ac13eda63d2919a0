//! Workloads under Plimsoll around the system's allocator.

use std::process::ExitCode;

use plimsoll_benches::plimsoll_modes::{MODES, allocations};
use plimsoll_benches::runner::{self, Subject};

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

fn main() -> ExitCode {
    runner::main(Subject { allocator: "plimsoll", modes: &MODES, allocations })
}
