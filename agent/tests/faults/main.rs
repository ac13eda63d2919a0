//! Faults made on purpose, one a run: the n-th allocation of the agent's fails, the n-th system call, every k-th
//! allocation of the program's. The program's own output and exit status never change.
//!
//! Each test runs this binary again, once for each n, with the variable `FAULT` saying which; see `docs/faults.md`.
#![cfg(target_os = "linux")]

#[path = "../support/mod.rs"]
mod support;

mod allocations;
mod heap;
mod program;
mod system_calls;

use heap::Heap;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Heap> = plimsoll::Allocator::new(Heap);
