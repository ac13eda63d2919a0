//! Workloads under dial9's allocator, with its table of live samples, into one file.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::Duration;

use dial9_core::buffer::SegmentWriter;
use dial9_core::recorder::recorder;
use dial9_perf_self_profile::memory_profiling::{Dial9Allocator, MemoryProfiler, MemoryProfilingConfig};
use plimsoll_benches::runner::{self, Failure, Finish, Mode, Request, Subject, Written};

#[global_allocator]
static ALLOC: Dial9Allocator = Dial9Allocator::system();

fn sampled(request: &Request<'_>) -> Result<Finish, Failure> {
    start(request, request.interval_bytes)
}

/// An interval of one byte means every allocation; what its rings cannot hold is dropped.
fn every(request: &Request<'_>) -> Result<Finish, Failure> {
    start(request, 1)
}

fn start(request: &Request<'_>, interval_bytes: u64) -> Result<Finish, Failure> {
    let writer = SegmentWriter::single_file(request.directory.join("dial9.trace"))?;
    let recorder = recorder(writer).build();
    let config = MemoryProfilingConfig::builder().sample_rate_bytes(interval_bytes).track_liveset(true).build();
    let guard = MemoryProfiler::from_config(config).install(recorder.handle().clone())?;
    Ok(Box::new(move || {
        drop(guard);
        recorder.graceful_shutdown(Duration::from_secs(10));
        Ok(Written::default())
    }))
}

fn main() -> ExitCode {
    let modes = &[Mode { name: "sampled", start: sampled }, Mode { name: "every", start: every }];
    runner::main(Subject { allocator: "dial9", modes, allocations: || None })
}
