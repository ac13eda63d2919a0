//! What Plimsoll can do, for the programs that install it around one allocator or another.

use plimsoll::{Builder, Session};

use crate::runner::{Failure, Finish, Mode, Request, Written};

/// Counting only; a sample per interval; everything.
pub const MODES: [Mode; 3] = [
    Mode::silent("idle"),
    Mode { name: "sampled", start: |request| start(Session::builder().sampled(request.interval_bytes), request) },
    Mode { name: "exact", start: |request| start(Session::builder().exact(), request) },
];

fn start(builder: Builder, request: &Request<'_>) -> Result<Finish, Failure> {
    let session = builder.seed(request.seed).output(request.directory.join("run.plim")).start()?;
    Ok(Box::new(move || {
        let summary = session.finish()?;
        Ok(Written {
            capture_bytes: Some(summary.written_bytes),
            events: Some(summary.events),
            lost: Some(summary.lost_allocations + summary.lost_frees),
        })
    }))
}

/// Allocations that the program has made so far.
pub fn allocations() -> Option<u64> {
    Some(plimsoll::stats().allocations)
}
