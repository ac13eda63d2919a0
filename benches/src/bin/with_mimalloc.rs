//! Workloads under mimalloc.

use std::process::ExitCode;

use mimalloc::MiMalloc;
use plimsoll_benches::runner::{self, Mode, Subject};

#[global_allocator]
static ALLOC: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    runner::main(Subject { allocator: "mimalloc", modes: &[Mode::BARE], allocations: || None })
}
