//! placeholder
mod agent_side;
mod allocator;
mod arena;
mod chunk;
mod clock;
mod config;
mod error;
mod filter;
mod hook;
mod live_table;
mod loss;
mod memory;
mod modules;
mod recorder;
mod ring;
mod sampler;
mod session;
mod slot;
mod stack_table;
mod stats;
mod sys;
mod tag;
#[cfg(feature = "tracking-allocator")]
pub mod tracking;
mod unwind;
mod watcher;
mod writer;

pub use allocator::Allocator;
pub use config::Unwinder;
pub use error::Error;
pub use session::{Builder, Session, Summary};
pub use stats::{SizeClass, Stats, stats, thread_stats};
pub use tag::{Tag, tag};

/// Whether the tracking-allocator adapter has seen an allocation.
fn adapter_is_installed() -> bool {
    #[cfg(feature = "tracking-allocator")]
    return tracking::is_installed();
    #[cfg(not(feature = "tracking-allocator"))]
    false
}
