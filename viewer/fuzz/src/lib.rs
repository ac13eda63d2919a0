//! What each fuzz target does with its bytes. Plain functions, so that tests on a stable compiler replay the inputs too.
#![forbid(unsafe_code)]

mod targets;

pub use targets::{capture, control, frames, names, records};
