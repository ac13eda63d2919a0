//! Hides what allocators, the toolchain's library and the runtime put around a program's own frames.
//!
//! The innermost frame shown is the first that is neither the toolchain's nor an allocator's; the outermost one is the
//! last that is not the runtime's. Library frames between the two stay: they say how one calls the other. A stack with
//! nothing else stays whole.

use crate::symbolize::Frame;

use super::crate_name::{crate_of, is_library};

/// Crates that pass allocations on.
const ALLOCATOR_CRATES: [&str; 10] = [
    "plimsoll",
    "tracking_allocator",
    "mimalloc",
    "libmimalloc_sys",
    "tikv_jemallocator",
    "tikv_jemalloc_sys",
    "jemallocator",
    "snmalloc_rs",
    "rpmalloc",
    "tcmalloc",
];

/// Functions without a crate that start threads and programs, or hand out memory.
const RUNTIME_FUNCTIONS: [&str; 20] = [
    "main",
    "_start",
    "_start_c",
    "libc_start_main_stage2",
    "start_thread",
    "thread_start",
    "clone",
    "clone3",
    "__clone",
    "__clone3",
    "__rust_try",
    "__rust_begin_short_backtrace",
    "malloc",
    "calloc",
    "realloc",
    "aligned_alloc",
    "posix_memalign",
    "memalign",
    "call_init",
    "__rust_no_alloc_shim_is_unstable",
];

/// What such functions may begin with.
const RUNTIME_PREFIXES: [&str; 2] = ["__libc_start", "_dl_"];

/// The doors into the global allocator: what they call is the allocator, whatever its name.
const ALLOCATOR_DOORS: [&str; 9] = [
    "__rust_alloc",
    "__rust_alloc_zeroed",
    "__rust_realloc",
    "__rg_alloc",
    "__rg_alloc_zeroed",
    "__rg_realloc",
    "__rdl_alloc",
    "__rdl_alloc_zeroed",
    "__rdl_realloc",
];

/// Modules of the C library, which start threads and programs.
const RUNTIME_MODULES: [&str; 5] = ["libc.so", "libc-", "libpthread", "ld-linux", "ld-musl"];

/// The part of a stack, innermost first, that is the program's.
pub fn trim(frames: &[Frame]) -> &[Frame] {
    let own = |frame: &Frame| !frame.is_marker() && !is_runtime(frame);
    let inside = frames.iter().rposition(is_allocator_door).map_or(0, |door| door + 1);
    let first = frames.iter().skip(inside).position(own).map(|at| at + inside);
    let last = frames.iter().rposition(own);
    match (first, last) {
        // Missing outer frames are told, or the stack would look complete.
        (Some(first), Some(_)) if frames.last().is_some_and(Frame::is_marker) => frames.get(first..).unwrap_or(frames),
        (Some(first), Some(last)) => frames.get(first..=last).unwrap_or(frames),
        _ => frames,
    }
}

/// Whether a frame is the entry of the global allocator.
pub(super) fn is_allocator_door(frame: &Frame) -> bool {
    let function = frame.function.as_deref().unwrap_or_default();
    ALLOCATOR_DOORS.contains(&function.rsplit("::").next().unwrap_or(function))
}

/// Whether a frame belongs to the toolchain, an allocator or the C runtime.
fn is_runtime(frame: &Frame) -> bool {
    let module = frame.module.as_deref().unwrap_or_default();
    if RUNTIME_MODULES.iter().any(|runtime| module.starts_with(runtime)) {
        return true;
    }
    if crate_of(frame).is_some_and(|name| is_library(name) || ALLOCATOR_CRATES.contains(&name)) {
        return true;
    }
    let Some(function) = frame.function.as_deref() else { return false };
    RUNTIME_FUNCTIONS.contains(&function)
        || RUNTIME_PREFIXES.iter().any(|prefix| function.starts_with(prefix))
        // A program's own allocator wrapper.
        || function.contains(" as core::alloc::global::GlobalAlloc>::")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str) -> Frame {
        Frame { address: 0x1000, module: Some("service".into()), ..Frame::marker(function) }
    }

    /// Checks the functions left over of a stack.
    fn check(stack: &[&str], expected: &[&str]) {
        let frames: Vec<Frame> = stack.iter().map(|function| frame(function)).collect();
        let left: Vec<String> = trim(&frames).iter().map(Frame::name).collect();
        assert_eq!(left, expected);
    }

    #[test]
    fn allocator_and_runtime_frames_go() {
        check(
            &[
                "<plimsoll::allocator::Allocator<A> as core::alloc::global::GlobalAlloc>::alloc",
                "__rustc::__rust_alloc",
                "alloc::alloc::alloc",
                "alloc::raw_vec::RawVecInner<A>::try_allocate_in",
                "alloc::vec::Vec<T>::with_capacity",
                "service::cache::fill",
                "service::main",
                "core::ops::function::FnOnce::call_once",
                "std::sys::backtrace::__rust_begin_short_backtrace",
                "std::rt::lang_start_internal",
                "main",
                "__libc_start_call_main",
                "_start",
            ],
            &["service::cache::fill", "service::main"],
        );
    }

    #[test]
    fn library_frames_between_own_ones_stay() {
        check(
            &[
                "alloc::alloc::alloc",
                "my::f::{closure#0}",
                "core::iter::Iterator::fold",
                "my::f",
                "std::rt::lang_start",
            ],
            &["my::f::{closure#0}", "core::iter::Iterator::fold", "my::f"],
        );
    }

    #[test]
    fn crates_that_merely_sound_alike_stay() {
        check(&["plimsoll_examples::leak", "main"], &["plimsoll_examples::leak"]);
        check(&["allocator_api2::vec::grow", "stdx::run"], &["allocator_api2::vec::grow", "stdx::run"]);
    }

    #[test]
    fn what_the_allocator_calls_is_hidden_by_its_door() {
        // Short debug information: names of inlined functions have no crate.
        check(&["allocated", "alloc<std::alloc::System>", "__rust_alloc", "my::f"], &["my::f"]);
        check(&["my_alloc::refill", "my_alloc::alloc", "__rustc::__rust_alloc_zeroed", "my::f"], &["my::f"]);
    }

    #[test]
    fn a_wrapper_of_the_program_is_an_allocator_too() {
        check(&["<my::Counting as core::alloc::global::GlobalAlloc>::alloc", "my::f"], &["my::f"]);
    }

    #[test]
    fn a_stack_of_nothing_else_stays_whole() {
        check(&["alloc::alloc::alloc", "std::rt::init"], &["alloc::alloc::alloc", "std::rt::init"]);
        check(&[], &[]);
    }

    #[test]
    fn missing_outer_frames_are_told() {
        let cut = Frame::marker("[outer frames cut off]");
        let frames = [frame("alloc::alloc::alloc"), frame("my::f"), frame("std::thread::local::with"), cut];
        assert_eq!(trim(&frames), &frames[1..]);
    }

    #[test]
    fn unnamed_frames_of_the_c_library_go() {
        let unnamed = Frame { function: None, module: Some("libc.so.6".into()), ..frame("") };
        let frames = [frame("my::f"), unnamed];
        assert_eq!(trim(&frames).len(), 1);
    }
}
