//! Workloads under jemalloc, which the environment tells to sample or not.

use std::process::ExitCode;

use plimsoll_benches::runner::{self, Failure, Finish, Mode, Request, Subject, Written};
use tikv_jemallocator::Jemalloc;

#[global_allocator]
static ALLOC: Jemalloc = Jemalloc;

/// jemalloc reads its options before `main`.
const OPTIONS: &str = "_RJEM_MALLOC_CONF";

fn sampled(request: &Request<'_>) -> Result<Finish, Failure> {
    let wanted = format!("prof:true,lg_prof_sample:{}", request.interval_bytes.ilog2());
    if std::env::var(OPTIONS).as_deref() != Ok(wanted.as_str()) {
        return Err(format!("sampling is decided before the program starts: run it with {OPTIONS}={wanted}").into());
    }
    Ok(Box::new(|| Ok(Written::default())))
}

const ALL: [Mode; 2] = [Mode::BARE, Mode { name: "sampled", start: sampled }];

fn main() -> ExitCode {
    runner::main(Subject { allocator: "jemalloc", modes: &ALL, allocations: || None })
}
