//! Workloads under an allocator that goes to the system's directly or through Plimsoll, as is chosen at run time: code
//! layout is the same for all modes, which run in turns in one process.

use std::process::ExitCode;

use plimsoll_benches::plimsoll_modes::MODES;
use plimsoll_benches::row::BARE;
use plimsoll_benches::runner::{self, Mode, Subject, Written};
use plimsoll_benches::switched::Switched;

#[global_allocator]
static ALLOC: Switched = Switched::new();

/// Goes past Plimsoll until the run is over.
const PAST: Mode = Mode {
    name: BARE,
    start: |_| {
        Switched::through_plimsoll(false);
        Ok(Box::new(|| {
            Switched::through_plimsoll(true);
            Ok(Written::default())
        }))
    },
};

const ALL: [Mode; 4] = [PAST, MODES[0], MODES[1], MODES[2]];

fn main() -> ExitCode {
    runner::main(Subject { allocator: "switched", modes: &ALL, allocations: || None })
}
