//! What a heap profiler costs: workloads, and the programs that run them under one allocator each.
//!
//! - [`workload`]: what is done, the same work under every allocator.
//! - [`runner`]: the `main` of the `with_*` programs: starts a profiler, runs a workload, prints one [`row::Row`].
//! - [`judged`]: programs whose leaks are known, for `src/bin/judge` to hold the verdicts of `plimsoll leaks` against.
//! - [`switched`]: the system's allocator with or without Plimsoll, as is chosen at run time.
//! - [`turns`]: any number of allocation sites, told apart by the way to them.
//! - `src/bin/costs`: runs these programs in turns and makes tables of their rows.

pub mod clock;
pub mod judged;
pub mod plimsoll_modes;
pub mod row;
pub mod runner;
pub mod switched;
pub mod turns;
pub mod workload;
