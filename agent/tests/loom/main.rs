//! The agent's lock-free parts under loom, which runs each small scene in every order that threads can meet in.
//!
//! The files themselves are included, over loom's atomics and tables on the heap. One command:
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test --release -p plimsoll --test loom`.
#![cfg(loom)]

/// Steps at which other tests kill the process: none here.
macro_rules! kill_point {
    ($step:literal) => {};
}

mod arena;
#[allow(dead_code, reason = "a scene uses a part of it")]
#[path = "../../src/live_table.rs"]
mod live_table;
mod phases;
#[allow(dead_code, reason = "a scene uses a part of it")]
#[path = "../../src/ring.rs"]
mod ring;
mod scenes;
mod shared_arena;
#[allow(dead_code, reason = "a scene uses a part of it")]
#[path = "../../src/stack_table.rs"]
mod stack_table;

mod sync {
    pub(crate) use loom::sync::atomic;
}
