//! The sites of a scope as text. Names are looked up here, after the fact and on behalf of a test that failed: never in
//! a hook.

use std::ffi::c_void;
use std::fmt::Write;

use super::books::{Books, SiteCount};

/// Return addresses kept of a stack.
pub(super) const FRAMES: usize = 64;
/// Sites shown.
const SHOWN_SITES: usize = 10;
/// Calls shown of each.
const SHOWN_CALLS: usize = 5;

/// Crates whose calls say nothing about who allocated.
const LIBRARIES: [&str; 9] =
    ["plimsoll", "alloc", "core", "std", "hashbrown", "backtrace", "test", "__rustc", "rust_begin_unwind"];

/// The sites that allocated most, with their calls.
pub(super) fn text(books: &Books) -> String {
    let mut sites: Vec<(&[u64], SiteCount)> = books.sites().collect();
    sites.sort_by_key(|(stack, count)| (std::cmp::Reverse((count.bytes, count.allocations)), *stack));
    let mut text = String::new();
    for (number, (stack, count)) in sites.iter().take(SHOWN_SITES).enumerate() {
        let plural = if count.allocations == 1 { "" } else { "s" };
        let _ = writeln!(
            text,
            "  {}. {} bytes in {} allocation{plural}, {} bytes live",
            number + 1,
            grouped(count.bytes),
            grouped(count.allocations),
            grouped(count.live_bytes)
        );
        for (at, call) in calls(stack).into_iter().enumerate() {
            let _ = writeln!(text, "     {} {call}", if at == 0 { " " } else { "←" });
        }
    }
    if sites.len() > SHOWN_SITES {
        let _ = writeln!(text, "  … and {} more sites", grouped((sites.len() - SHOWN_SITES) as u64));
    }
    text
}

/// Calls of the program, innermost first: `name  file:line`.
fn calls(stack: &[u64]) -> Vec<String> {
    let (mut own, mut all) = (Vec::new(), Vec::new());
    for address in stack {
        // The function looks at the instruction before the return address.
        backtrace::resolve(*address as usize as *mut c_void, |symbol| {
            let Some(name) = symbol.name().map(|name| format!("{name:#}")) else { return };
            let place = symbol.filename().zip(symbol.lineno());
            let place = place.map(|(file, line)| format!("  {}:{line}", file.display())).unwrap_or_default();
            // The toolchain's own sources, whatever type the function is of.
            let is_toolchains = symbol.filename().is_some_and(|file| file.starts_with("/rustc/"));
            let is_own = !is_toolchains && !is_library(&name);
            all.push(format!("{name}{place}"));
            if is_own && own.len() < SHOWN_CALLS {
                own.push(format!("{name}{place}"));
            }
        });
    }
    match (own.is_empty(), all.is_empty()) {
        (false, _) => own,
        (true, false) => all.into_iter().take(SHOWN_CALLS).collect(),
        (true, true) => vec!["at an unknown place".to_owned()],
    }
}

/// Whether a function is of a crate that passes allocations on, or of the runtime. `<Type as Trait>::f` is the type's, and
/// the trait's when the type has no crate.
fn is_library(name: &str) -> bool {
    let path = name.trim_start_matches(['<', '&', '(', '[', '*']);
    let parts = path.split(" as ").map(|part| part.trim_start_matches("dyn ").trim_start_matches("mut "));
    let crates = parts.filter_map(|part| part.split_once("::"));
    // Without a path it is C's, or the runtime's.
    crates.map(|(name, _)| name).next().is_none_or(|name| LIBRARIES.contains(&name))
}

/// `1,234,567`.
pub(super) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_libraries_are_told_from_the_programs() {
        for name in [
            "alloc::vec::Vec<T>::push",
            "<alloc::string::String as core::clone::Clone>::clone",
            "<u8 as alloc::vec::spec_from_elem::SpecFromElem>::from_elem",
            "__rust_alloc",
            "main",
        ] {
            assert!(is_library(name), "{name}");
        }
        for name in ["service::load", "<service::Cache as core::default::Default>::default", "stdout_tools::write"] {
            assert!(!is_library(name), "{name}");
        }
    }
}
