//! Workloads under dhat.

use std::process::ExitCode;

use plimsoll_benches::runner::{self, Failure, Finish, Mode, Request, Subject, Written};

#[global_allocator]
static ALLOC: dhat::Alloc = dhat::Alloc;

fn exact(request: &Request<'_>) -> Result<Finish, Failure> {
    let path = request.directory.join("dhat-heap.json");
    let profiler = dhat::Profiler::builder().file_name(&path).build();
    Ok(Box::new(move || {
        drop(profiler);
        Ok(Written { capture_bytes: Some(std::fs::metadata(&path)?.len()), ..Written::default() })
    }))
}

fn main() -> ExitCode {
    runner::main(Subject { allocator: "dhat", modes: &[Mode { name: "exact", start: exact }], allocations: || None })
}
