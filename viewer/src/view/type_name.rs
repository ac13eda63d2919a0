//! Which type a block is of, read from the library's functions that asked for it: `Vec<u32>` from `RawVec<u32>::grow_one`
//! below `Vec<u32>::push`.
//!
//! The innermost function that belongs to a type begins, and functions around it go on as long as they belong to a type that is made of
//! the one so far: `RawVec` in `Vec` in `String`. What a type is generic over stands in its path with the newer of Rust's two
//! manglings, and in the debug information's own names with both.

use regex::Regex;
use std::sync::LazyLock;

use crate::symbolize::Frame;

use super::crate_name::{crate_of, is_library};
use super::trim::is_allocator_door;

/// What stands for a type that cannot be told.
pub(crate) const UNKNOWN: &str = "[type not told]";
/// Longest name of a type, in characters.
const MAX_CHARS: usize = 200;

/// A type of the library.
struct Container {
    /// What its functions' paths hold.
    path: &'static str,
    /// What their source files' paths hold: short debug information leaves the path of a function out.
    file: &'static str,
    name: &'static str,
    /// Generic arguments that are shown; the others are allocators and hashers.
    arguments: usize,
    /// What it is made of.
    made_of: &'static [&'static str],
}

const fn container(
    path: &'static str,
    file: &'static str,
    name: &'static str,
    arguments: usize,
    made_of: &'static [&'static str],
) -> Container {
    Container { path, file, name, arguments, made_of }
}

/// Longer paths before those that they begin with.
const CONTAINERS: [Container; 26] = [
    container("alloc::raw_vec::RawVec<", "alloc/src/raw_vec/", "RawVec", 1, &["RawVec"]),
    container("alloc::vec::Vec<", "alloc/src/vec/", "Vec", 1, &["RawVec"]),
    container("alloc::vec::", "alloc/src/vec/", "Vec", 1, &["RawVec"]),
    container("alloc::slice::", "alloc/src/slice.rs", "Vec", 1, &["RawVec"]),
    container("<[", "", "Vec", 1, &["RawVec"]),
    container(
        "alloc::collections::vec_deque::VecDeque<",
        "alloc/src/collections/vec_deque/",
        "VecDeque",
        1,
        &["RawVec", "Vec"],
    ),
    container(
        "alloc::collections::binary_heap::BinaryHeap<",
        "alloc/src/collections/binary_heap/",
        "BinaryHeap",
        1,
        &["RawVec", "Vec"],
    ),
    container("alloc::string::", "alloc/src/string.rs", "String", 0, &["RawVec", "Vec"]),
    container("alloc::str::", "alloc/src/str.rs", "String", 0, &["RawVec", "Vec"]),
    container("<str>::", "", "String", 0, &["RawVec", "Vec"]),
    container("alloc::fmt::format", "alloc/src/fmt.rs", "String", 0, &["RawVec", "Vec"]),
    container("alloc::ffi::c_str::CString", "alloc/src/ffi/c_str.rs", "CString", 0, &["RawVec", "Vec", "Box"]),
    container("std::ffi::os_str::OsString", "std/src/ffi/os_str.rs", "OsString", 0, &["RawVec", "Vec", "String"]),
    container("std::path::PathBuf", "std/src/path.rs", "PathBuf", 0, &["RawVec", "Vec", "OsString"]),
    container("alloc::boxed::Box<", "alloc/src/boxed", "Box", 1, &["RawVec", "Vec"]),
    container("alloc::sync::Arc<", "alloc/src/sync.rs", "Arc", 1, &["Box"]),
    container("alloc::rc::Rc<", "alloc/src/rc.rs", "Rc", 1, &["Box"]),
    container(
        "alloc::collections::linked_list::LinkedList<",
        "alloc/src/collections/linked_list",
        "LinkedList",
        1,
        &["Box"],
    ),
    container(
        "alloc::collections::btree::set::",
        "alloc/src/collections/btree/set",
        "BTreeSet",
        1,
        &["BTreeMap", "BTree node"],
    ),
    container("alloc::collections::btree::map::", "alloc/src/collections/btree/map", "BTreeMap", 2, &["BTree node"]),
    container("alloc::collections::btree::node::", "alloc/src/collections/btree/node.rs", "BTree node", 2, &["Box"]),
    container(
        "std::collections::hash::set::HashSet<",
        "std/src/collections/hash/set.rs",
        "HashSet",
        1,
        &["RawTable", "HashMap"],
    ),
    container("std::collections::hash::map::HashMap<", "std/src/collections/hash/map.rs", "HashMap", 2, &["RawTable"]),
    container("hashbrown::set::HashSet<", "/hashbrown/src/set.rs", "HashSet", 1, &["RawTable", "HashMap"]),
    container("hashbrown::map::HashMap<", "/hashbrown/src/map.rs", "HashMap", 2, &["RawTable"]),
    container("hashbrown::raw::", "/hashbrown/src/raw", "RawTable", 1, &[]),
];

/// The type of a stack's block: frames innermost first, each with its short name where that is known.
pub(crate) fn type_name<'a>(frames: impl Iterator<Item = (&'a Frame, Option<&'a str>)>) -> String {
    let mut found: Option<(&Container, Vec<String>)> = None;
    for (frame, short) in library_part(frames) {
        let Some(function) = frame.function.as_deref() else { continue };
        let Some(container) = container_of(function, frame.file.as_deref()) else { continue };
        let goes_on = found
            .as_ref()
            .is_none_or(|(inner, _)| inner.name == container.name || container.made_of.contains(&inner.name));
        if !goes_on {
            break;
        }
        let arguments = arguments(container, function, short);
        // What all element types share, such as `RawVecInner`, says of which kind it is by its file alone.
        if arguments.is_empty() && found.is_none() && is_short(function) && container.arguments > 0 {
            continue;
        }
        found = match found.take() {
            // The same type again may know more: `Arc<str>` is made by `Arc<[u8]>`.
            Some((inner, known)) if inner.name == container.name => {
                let is_better = known.is_empty() || known == ["[u8]"] && arguments == ["str"];
                Some((inner, if is_better { arguments } else { known }))
            }
            // Elements are the same in both.
            Some((inner, known)) if inner.name == "RawVec" && arguments.is_empty() && container.arguments == 1 => {
                Some((container, known))
            }
            _ => Some((container, arguments)),
        };
    }
    found.map_or_else(|| UNKNOWN.to_owned(), |(container, arguments)| written(container, &arguments))
}

/// The frames between the allocator's door and the program's first own one.
fn library_part<'a>(
    frames: impl Iterator<Item = (&'a Frame, Option<&'a str>)>,
) -> impl Iterator<Item = (&'a Frame, Option<&'a str>)> {
    let frames: Vec<_> = frames.collect();
    let inside = frames.iter().rposition(|(frame, _)| is_allocator_door(frame)).map_or(0, |door| door + 1);
    let library = |frame: &Frame| crate_of(frame).is_some_and(|name| is_library(name) || name == "plimsoll");
    frames.into_iter().skip(inside).take_while(move |(frame, _)| library(frame))
}

/// The type whose function this is. Of `<A as B>::f` it is A's when that is one of ours, else B's.
fn container_of(function: &str, file: Option<&str>) -> Option<&'static Container> {
    if is_short(function) {
        let file = without_version(file?);
        return CONTAINERS.iter().find(|container| !container.file.is_empty() && file.contains(container.file));
    }
    let by_path = |path: &str| {
        CONTAINERS.iter().find(|container| match container.path.strip_prefix('<') {
            Some(primitive) => function.starts_with('<') && path.starts_with(primitive),
            None => path.starts_with(container.path),
        })
    };
    let of_trait = || by_path(function.strip_prefix('<')?.split_once(" as ")?.1);
    by_path(function.trim_start_matches('<')).or_else(of_trait)
}

/// Whether a function's name has no path: `push<u8, alloc::alloc::Global>`.
fn is_short(function: &str) -> bool {
    !function.starts_with('<') && !function.split('<').next().is_some_and(|start| start.contains("::"))
}

/// A source file's path with `hashbrown` for `hashbrown-0.16.1`.
fn without_version(file: &str) -> String {
    static VERSION: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"/hashbrown-[0-9][^/]*/").ok());
    VERSION.as_ref().map_or_else(|| file.to_owned(), |regex| regex.replace(file, "/hashbrown/").into_owned())
}

/// What a type is generic over; empty when it is not told.
fn arguments(container: &Container, function: &str, short: Option<&str>) -> Vec<String> {
    let wanted = container.arguments;
    if wanted == 0 {
        return Vec::new();
    }
    // A short name is all there is.
    let short = if is_short(function) { Some(function) } else { short };
    let in_path = function
        .find(container.path)
        .filter(|_| container.path.ends_with('<') || container.path == "<[")
        .and_then(|at| {
            let open =
                if container.path.starts_with("<[") { at + 1 } else { at + container.path.len().checked_sub(1)? };
            bracketed(function.get(open..)?)
        });
    let is_slice = in_path.as_ref().is_some_and(|path| path.first().is_some_and(|first| first.starts_with('[')));
    let in_short = || {
        let mut arguments = bracketed(short?.get(short?.find('<')?..)?)?;
        if is_slice && let Some(first) = arguments.first_mut() {
            *first = format!("[{first}]");
        }
        Some(arguments)
    };
    let is_told = |argument: &String| !is_parameter(argument) && !argument.ends_with("alloc::Global");
    let told = |arguments: &Vec<String>| arguments.len() >= wanted && arguments.iter().take(wanted).all(is_told);
    let mut arguments = in_path.filter(told).or_else(|| in_short().filter(told)).unwrap_or_default();
    arguments.truncate(wanted);
    arguments.iter().map(|argument| shortened(argument)).collect()
}

/// Whether a generic argument is a parameter's name: `T`, `K`, `impl [T]`.
fn is_parameter(argument: &str) -> bool {
    let name = argument.trim_start_matches(['[', '&', '*']).trim_end_matches(']').trim_start_matches("impl ");
    name.trim_start_matches('[').chars().count() <= 1
}

/// The arguments in the brackets that a text begins with: `<u8, Vec<(A, B)>>…` gives `u8` and `Vec<(A, B)>`. `None` when
/// they do not match.
fn bracketed(text: &str) -> Option<Vec<String>> {
    let (mut depth, mut start, mut arguments) = (0usize, 1, Vec::new());
    for (at, character) in text.char_indices() {
        match character {
            '<' | '(' | '[' | '{' => depth += 1,
            // The arrow of `fn() -> T` closes nothing.
            '>' if text[..at].ends_with('-') => {}
            '>' | ')' | ']' | '}' => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    arguments.push(text.get(start..at)?.trim().to_owned());
                    return Some(arguments);
                }
            }
            ',' if depth == 1 => {
                arguments.push(text.get(start..at)?.trim().to_owned());
                start = at + 1;
            }
            _ if depth == 0 => return None,
            _ => {}
        }
    }
    None
}

/// As a programmer writes it: paths of the library by their last name, allocators and hashers left out.
fn shortened(argument: &str) -> String {
    static PATH: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\b(?:alloc|core|std|hashbrown)::(?:\w+::)*(\w+)").ok());
    static EXTRA: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r", ?(?:Global|RandomState)\b").ok());
    let replace = |text: &str, regex: &LazyLock<Option<Regex>>, by: &str| {
        regex.as_ref().map_or_else(|| text.to_owned(), |regex| regex.replace_all(text, by).into_owned())
    };
    let text = replace(&replace(argument, &PATH, "$1"), &EXTRA, "");
    let mut spaced = String::with_capacity(text.len());
    for character in text.chars() {
        if spaced.ends_with(',') && character != ' ' {
            spaced.push(' ');
        }
        spaced.push(character);
    }
    match spaced.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => format!("{}…", &spaced[..at]),
        None => spaced,
    }
}

fn written(container: &Container, arguments: &[String]) -> String {
    match (container.name, container.arguments, arguments) {
        (name, 0, _) => name.to_owned(),
        (name, wanted, []) => format!("{name}<{}>", vec!["_"; wanted].join(", ")),
        (name, _, arguments) => format!("{name}<{}>", arguments.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(function: &str) -> Frame {
        Frame { address: 1, ..Frame::marker(function) }
    }

    fn check(stack: &[(&str, &str)], expected: &str) {
        let frames: Vec<Frame> = stack.iter().map(|(function, _)| frame(function)).collect();
        let shorts = stack.iter().map(|(_, short)| Some(*short).filter(|short| !short.is_empty()));
        assert_eq!(type_name(frames.iter().zip(shorts)), expected);
    }

    #[test]
    fn types_are_read_from_short_names() {
        let own = ("service::run", "run");
        check(
            &[
                ("__rustc::__rust_alloc", ""),
                ("alloc::raw_vec::RawVecInner<A>::grow_one", "grow_one<alloc::alloc::Global>"),
                ("alloc::raw_vec::RawVec<T,A>::grow_one", "grow_one<u32, alloc::alloc::Global>"),
                ("alloc::vec::Vec<T,A>::push", "push<u32, alloc::alloc::Global>"),
                own,
            ],
            "Vec<u32>",
        );
        check(
            &[
                ("hashbrown::raw::RawTableInner::reserve_rehash_inner", ""),
                ("hashbrown::raw::RawTable<T,A>::reserve", "reserve<(u64, service::Session), alloc::alloc::Global>"),
                (
                    "std::collections::hash::map::HashMap<K,V,S,A>::insert",
                    "insert<u64, alloc::vec::Vec<service::Session, alloc::alloc::Global>, std::hash::random::RandomState, alloc::alloc::Global>",
                ),
                own,
            ],
            "HashMap<u64, Vec<service::Session>>",
        );
        check(&[("alloc::vec::Vec<T>::with_capacity", "with_capacity"), own], "Vec<_>");
        check(
            &[
                (
                    "alloc::raw_vec::RawVec<T,A>::with_capacity_zeroed_in",
                    "with_capacity_zeroed_in<u8, alloc::alloc::Global>",
                ),
                ("<u8 as alloc::vec::spec_from_elem::SpecFromElem>::from_elem", "from_elem<alloc::alloc::Global>"),
                own,
            ],
            "Vec<u8>",
        );
        check(
            &[
                ("alloc::sync::Arc<[T]>::allocate_for_slice", "allocate_for_slice<u8>"),
                ("<alloc::sync::Arc<str> as core::convert::From<&str>>::from", ""),
                own,
            ],
            "Arc<str>",
        );
        check(&[own], UNKNOWN);
        check(&[], UNKNOWN);
    }

    #[test]
    fn types_are_read_from_paths_that_hold_them() {
        check(&[("<alloc::vec::Vec<my::T>>::push", ""), ("my::f", "")], "Vec<my::T>");
        check(&[("<alloc::sync::Arc<str> as core::convert::From<&str>>::from", "")], "Arc<str>");
        check(&[("<alloc::boxed::Box<fn(u8) -> (u8, u16)>>::new", "")], "Box<fn(u8) -> (u8, u16)>");
    }

    #[test]
    fn files_tell_what_short_names_do_not() {
        let short = |name: &str, file: &str| Frame { file: Some(file.into()), ..frame(name) };
        let frames = [
            short("grow_one<u16, alloc::alloc::Global>", "/rustc/0123/library/alloc/src/raw_vec/mod.rs"),
            short("push<u16, alloc::alloc::Global>", "/rustc/0123/library/alloc/src/vec/mod.rs"),
        ];
        assert_eq!(type_name(frames.iter().map(|frame| (frame, None))), "Vec<u16>");
        let table = short("insert<u8, u16, S, A>", "/rust/deps/hashbrown-0.16.1/src/map.rs");
        assert_eq!(type_name([(&table, None)].into_iter()), "HashMap<u8, u16>");
    }

    #[test]
    fn a_block_inside_of_another_type_is_its_own() {
        // Cloning a map of strings: the block is a string's.
        check(
            &[
                ("<alloc::vec::Vec<u8>>::with_capacity_in", ""),
                ("<alloc::string::String as core::clone::Clone>::clone", ""),
                ("<hashbrown::map::HashMap<u8, alloc::string::String> as core::clone::Clone>::clone", ""),
            ],
            "String",
        );
        // A closure of the program's ends the library's part.
        check(&[("my::f::{{closure}}", ""), ("alloc::vec::Vec<T>::push", "push<u8>")], UNKNOWN);
    }

    #[test]
    fn hostile_names_are_only_names() {
        for name in
            ["alloc::vec::Vec<", "alloc::vec::Vec<>>>", "<alloc::vec::Vec<((((", "alloc::vec::Vec<é,", "<[", "<"]
        {
            let _ = type_name([(&frame(name), Some("<<<"))].into_iter());
        }
        let huge = format!("<alloc::vec::Vec<{}>>::push", "é".repeat(5_000));
        assert!(type_name([(&frame(&huge), None)].into_iter()).chars().count() < MAX_CHARS + 10);
    }
}
