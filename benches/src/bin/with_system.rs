//! Workloads under the system's allocator.

use std::process::ExitCode;

use plimsoll_benches::runner::{self, Mode, Subject};

fn main() -> ExitCode {
    runner::main(Subject { allocator: "system", modes: &[Mode::BARE], allocations: || None })
}
