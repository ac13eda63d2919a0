//! The agent of Plimsoll, a heap profiler for Rust services: linked into the program, left on in production.
//!
//! Two lines adopt it:
//!
//! ```no_run
//! #[global_allocator]
//! static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();
//!
//! fn main() {
//!     let _session = plimsoll::Session::from_env_or_idle();
//!     // the service
//! }
//! ```
//!
//! Without further ado the program counts ([`stats`]) and nothing else: no thread, no file. With
//! `PLIMSOLL_OUTPUT=run.plim` (or `captures/`, for a new file at each start) it records: by default one sample per
//! 512 KiB allocated, with its stack, until it is freed; with `PLIMSOLL_MODE=exact` every allocation, free and
//! reallocation. `plimsoll report run.plim`, the viewer's command, shows what holds the memory. Build with
//! `debug = 1` for file and line in stacks. With `PLIMSOLL_CONTROL=1` it listens to `plimsoll ctl`, which starts and stops
//! recording, names moments, and has the allocator give memory back, while the program runs.
//!
//! # What it promises
//!
//! - Totals are counted on every call, in both modes and without a session, and never drop an event.
//! - A failure of the agent is never one of the program: an error in starting is a value or one line, a disk that is
//!   full makes a counted gap, and a hook waits for the writer for 100 ms at most.
//! - Hooks never allocate, print, panic or wait for a lock; no names are looked up in the program. (Tests that count with a
//!   [`Scope`] do: it is not for production.)
//! - A process that exits in any orderly way leaves a whole capture. One that is killed loses no recorded event either: what
//!   was not written yet stays in shared memory ([`KeepIn`]), where the viewer finds it.
//! - What the agent uses of the allocator itself is counted apart ([`Stats::agent_bytes`]).
//!
//! # What it does not see
//!
//! Memory that does not come from the global allocator: C libraries, `mmap`, `std::alloc::System` used directly, and
//! stacks. Captures hold the resident set beside the heap, so that the difference shows.
//!
//! # Modes, and what they cost in memory
//!
//! | | sampled | exact |
//! |---|---|---|
//! | stacks | one per `PLIMSOLL_INTERVAL` bytes | every allocation |
//! | sites' bytes | estimate with its error | exact |
//! | totals, live, sizes | exact | exact |
//! | tables, at most | 2 MiB of live samples, 1.3 MiB of stacks, 1.5 MiB of filter, 0.1 MiB of journal | 8 MiB of chunks, 1 MiB of journal, 40 MiB of stacks, 8 MiB of last walks and rules, 2 MiB of ring, 1 MiB of marks |
//! | per thread | 1.3 KiB | 1.3 KiB |
//!
//! Tables are touched as they fill up; [`Session`]s write their actual size into the capture.
//!
//! # Budgets in tests
//!
//! [`assert_heap!`] fails a test that allocates more than it may, and names the sites; [`Scope`] counts what threads and
//! tasks do that are put into it. Tests that run side by side do not see each other.
//!
//! ```
//! # #[global_allocator]
//! # static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();
//! let line = plimsoll::assert_heap!(max_allocations = 1, { "a,b,c".replace(',', " ") });
//! assert_eq!(line, "a b c");
//! ```
//!
//! # Features
//!
//! - `zstd`: captures are compressed with zstd at level 1 on the writer thread, which then holds about 1 MiB more and
//!   takes three to nine times its CPU time ([`Compression`]). Builds C code.
//! - `tracking-allocator`: an adapter for programs that use that crate.
//! - `jemalloc`, `mimalloc`: [`AllocatorStats`] of that allocator (what it holds, and how it gives memory back), for [`Allocator::with_stats`].
//!
//! # Platforms
//!
//! Linux on x86_64; the code for aarch64 is there and has not been run. `unsafe` is needed to be an allocator, and
//! stands in few files, each with its reason; `docs/architecture.md` beside this crate lists them.

#[macro_use]
mod kill_point;

mod agent_side;
mod allocator;
mod allocator_stats;
mod arena;
mod byte_counter;
mod chunk;
mod clock;
mod config;
mod control;
mod dead_arenas;
mod error;
mod filter;
mod hook;
mod last_threads;
mod live_table;
mod loss;
mod memory;
mod modules;
mod own_file;
mod own_pages;
mod recorder;
mod reserve;
mod ring;
mod sampler;
mod scope;
mod session;
mod shared_arena;
mod slot;
mod stack_table;
mod stats;
mod sync;
mod sys;
mod tag;
#[cfg(feature = "tracking-allocator")]
pub mod tracking;
mod unwind;
mod watcher;
mod writer;

pub use allocator::Allocator;
pub use allocator_stats::{AllocatorStats, HeapStats};
pub use config::{Compression, KeepIn, Unwinder};
pub use error::Error;
pub use scope::{Budget, Entered, InScope, OverBudget, Scope, ScopeStats};
pub use session::{Builder, Session, Summary};
pub use stats::{SizeClass, Stats, stats, thread_stats};
pub use tag::{Tag, tag};

/// Whether what the calling thread does now is work of the agent's. For tests that make it fail.
#[doc(hidden)]
pub fn is_agents_work() -> bool {
    hook::is_agents()
}

/// Whether the tracking-allocator adapter has seen an allocation.
fn adapter_is_installed() -> bool {
    #[cfg(feature = "tracking-allocator")]
    return tracking::is_installed();
    #[cfg(not(feature = "tracking-allocator"))]
    false
}
