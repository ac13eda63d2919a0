//! Workloads under heapscope.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use plimsoll_benches::runner::{self, Failure, Finish, Mode, Request, Subject, Written};

#[global_allocator]
static ALLOC: heapscope::Alloc = heapscope::Alloc::system();

fn exact(request: &Request<'_>) -> Result<Finish, Failure> {
    let path = request.directory.join("dhat-heap.json");
    let profiler = heapscope::Profiler::builder().output(heapscope::Output::dhat_v2(&path)).build()?;
    Ok(Box::new(move || {
        drop(profiler);
        Ok(Written { capture_bytes: Some(std::fs::metadata(&path)?.len()), ..Written::default() })
    }))
}

fn main() -> ExitCode {
    runner::main(Subject {
        allocator: "heapscope",
        modes: &[Mode { name: "exact", start: exact }],
        allocations: || None,
    })
}
