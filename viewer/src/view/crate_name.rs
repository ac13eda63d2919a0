//! Which crate a function belongs to, read from its demangled name and its source file.

use crate::symbolize::Frame;

/// Crates of the toolchain. `__rustc` holds the allocator's shims; hashbrown is the map inside of std.
const LIBRARY_CRATES: [&str; 6] = ["std", "core", "alloc", "hashbrown", "test", "__rustc"];

/// Whether a crate is part of the toolchain.
pub fn is_library(name: &str) -> bool {
    LIBRARY_CRATES.contains(&name)
}

/// The crate of a frame; for a C function its module; `None` when nothing is known.
pub fn crate_of(frame: &Frame) -> Option<&str> {
    if frame.is_marker() {
        return None;
    }
    let file = frame.file.as_deref();
    file.and_then(library_of_file)
        .or_else(|| frame.function.as_deref().and_then(crate_of_name))
        .or_else(|| file.and_then(package_of_file))
        .or(frame.module.as_deref())
}

/// The toolchain crate that a source file belongs to. A name alone can mislead: `<my::T as alloc::string::ToString>`
/// names `my`, though the code is alloc's.
fn library_of_file(file: &str) -> Option<&str> {
    if file.contains("/deps/hashbrown-") {
        return Some("hashbrown");
    }
    let (before, after) = file.split_once("/library/")?;
    let name = after.split('/').next()?;
    let ours = before.contains("/rustc/") || before.starts_with("/rustc") || before.ends_with("rustlib/src/rust");
    (ours && after.contains("/src/")).then_some(if is_library(name) { name } else { "std" })
}

/// The folder of the package that a Rust source file belongs to, as registries name it: `bytes` of
/// `bytes-1.5.0/src/lib.rs`. Short debug information names inlined functions without their crate.
fn package_of_file(file: &str) -> Option<&str> {
    let (package, _) = file.strip_suffix(".rs")?.rsplit_once("/src/")?;
    let folder = package.rsplit('/').next()?;
    let is_version = |text: &str| text.starts_with(|first: char| first.is_ascii_digit()) && text.contains('.');
    let versioned = folder.match_indices('-').find(|(at, _)| is_version(&folder[at + 1..]));
    let name = versioned.map_or(folder, |(at, _)| &folder[..at]);
    (!name.is_empty()).then_some(name)
}

/// The crate that a demangled name begins with. In `<T as Trait>::f` it is that of the type, unless that is the
/// toolchain's or has none (a primitive, a parameter), then that of the trait.
fn crate_of_name(name: &str) -> Option<&str> {
    // Made by the compiler around a user's closure.
    if name.contains("{shim:") || name.contains("{{vtable.shim}}") {
        return Some("core");
    }
    let Some(inner) = name.strip_prefix('<') else { return first_segment(name) };
    let (of_type, of_trait) = split_as(inner);
    let of_type = first_segment(of_type);
    match (of_type, of_trait.and_then(first_segment)) {
        (Some(of_type), _) if !is_library(of_type) => Some(of_type),
        (_, Some(of_trait)) => Some(of_trait),
        (Some(of_type), None) => Some(of_type),
        // `<[T]>::to_vec`, `<str>::to_owned`: methods of primitive types are the toolchain's.
        (None, None) => Some("core"),
    }
}

/// Splits `T as Trait>::f` at the ` as ` that is not inside of deeper brackets.
fn split_as(inner: &str) -> (&str, Option<&str>) {
    let mut depth = 0usize;
    for (at, character) in inner.char_indices() {
        match character {
            '<' | '(' | '[' => depth += 1,
            // The arrow of `fn() -> T` closes nothing.
            '>' if inner[..at].ends_with('-') => {}
            '>' if depth == 0 => return (&inner[..at], None),
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ' ' if depth == 0 && inner[at..].starts_with(" as ") => return (&inner[..at], Some(&inner[at + 4..])),
            _ => {}
        }
    }
    (inner, None)
}

/// `serde` of `&mut serde::de::X`; `None` where no path begins.
fn first_segment(path: &str) -> Option<&str> {
    let mut path = path.trim_start_matches(['<', '&', '*', '(', '[', ' ']);
    for prefix in ["mut ", "const ", "dyn ", "impl "] {
        path = path.strip_prefix(prefix).unwrap_or(path).trim_start_matches(['<', '&', '*', '(', '[', ' ']);
    }
    let end = path.find("::")?;
    let name = &path[..end];
    let is_name = !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || character == '_');
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<&str>) {
        assert_eq!(crate_of_name(name), expected, "{name}");
    }

    #[test]
    fn crates_of_names() {
        check("outsider::outsider_leak_large", Some("outsider"));
        check("alloc::vec::Vec<T,A>::push", Some("alloc"));
        check("<alloc::vec::Vec<outsider::Session>>::push", Some("alloc"));
        check("<serde_json::Value as core::clone::Clone>::clone", Some("serde_json"));
        check("<alloc::vec::Vec<T> as my::Trait>::f", Some("my"));
        check("<T as core::convert::Into<U>>::into", Some("core"));
        check("<&mut my::Thing as core::iter::Iterator>::next", Some("my"));
        check("<dyn my::Trait>::f", Some("my"));
        check("<[u8]>::to_vec", Some("core"));
        check("<str as my::Ext>::f", Some("my"));
        check("<(my::A, u8) as my2::T>::f", Some("my"));
        check("<fn() -> my::A as my2::T>::f", Some("my2"));
        check("<my::main::{closure#0} as core::ops::function::FnOnce<()>>::call_once::{shim:vtable#0}", Some("core"));
        check("main", None);
        check("__rustc::__rust_alloc", Some("__rustc"));
    }

    #[test]
    fn files_tell_more_than_names() {
        let mut frame = Frame { address: 1, ..Frame::marker("<my::T as alloc::string::SpecToString>::spec_to_string") };
        assert_eq!(crate_of(&frame), Some("my"));
        frame.file = Some("/rustc/0123abcd/library/alloc/src/string.rs".into());
        assert_eq!(crate_of(&frame), Some("alloc"));
        frame.file = Some("/home/me/.rustup/toolchains/x/lib/rustlib/src/rust/library/core/src/iter.rs".into());
        assert_eq!(crate_of(&frame), Some("core"));
        frame.file = Some("/home/me/library/src/alloc/src/lib.rs".into());
        assert_eq!(crate_of(&frame), Some("my"));
    }

    #[test]
    fn short_names_are_placed_by_their_package() {
        let registry = "/home/me/.cargo/registry/src/index-1949cf8c6b5b557f/http-body-1.0.1/src/lib.rs";
        assert_eq!(package_of_file(registry), Some("http-body"));
        assert_eq!(package_of_file("/home/me/service/crates/cache/src/deep/mod.rs"), Some("cache"));
        assert_eq!(package_of_file("src/main.rs"), None);
        assert_eq!(package_of_file("/usr/src/sqlite/src/main.c"), None);
        let short = Frame { address: 1, file: Some(registry.into()), ..Frame::marker("poll<std::vec::Vec<u8>>") };
        assert_eq!(crate_of(&short), Some("http-body"));
    }

    #[test]
    fn a_c_function_belongs_to_its_module() {
        let frame = Frame { address: 1, module: Some("libsqlite3.so.0".into()), ..Frame::marker("sqlite3Malloc") };
        assert_eq!(crate_of(&frame), Some("libsqlite3.so.0"));
    }
}
