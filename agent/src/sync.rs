//! The atomics of what several threads share without locks. `tests/loom` puts loom's in their place and includes the same
//! source files, to try the ways in which threads can meet.

pub(crate) use std::sync::atomic;
