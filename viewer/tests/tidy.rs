//! Keeps the habits of this code base true: module docs, short files and functions, `unsafe` in named places only,
//! nothing left unfinished.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

/// Folders with Rust code.
const FOLDERS: [&str; 4] = ["agent", "viewer", "examples", "benches"];
const MAX_FILE_LINES: usize = 500;
const MAX_FUNCTION_LINES: usize = 70;

/// The only files that may hold `unsafe`. Everything else is free of it.
const UNSAFE_FILES: &[&str] = &[
    "agent/src/agent_side.rs",
    "agent/src/allocator.rs",
    "agent/src/allocator_stats/glibc.rs",
    "agent/src/allocator_stats/jemalloc.rs",
    "agent/src/allocator_stats/mimalloc.rs",
    "agent/src/arena.rs",
    "agent/src/chunk.rs",
    "agent/src/clock.rs",
    "agent/src/hook.rs",
    "agent/src/live_table.rs",
    "agent/src/modules.rs",
    "agent/src/own_file.rs",
    "agent/src/own_pages.rs",
    "agent/src/recorder/current.rs",
    "agent/src/reserve.rs",
    "agent/src/ring.rs",
    "agent/src/scope/task.rs",
    "agent/src/session.rs",
    "agent/src/session/launch.rs",
    "agent/src/slot.rs",
    "agent/src/slot/count.rs",
    "agent/src/slot/slabs.rs",
    "agent/src/stack_table.rs",
    "agent/src/sys.rs",
    "agent/src/unwind/cfi.rs",
    "agent/src/unwind/frame_pointer.rs",
    "agent/src/unwind/mod.rs",
    "agent/src/unwind/portable.rs",
    "agent/src/unwind/registers.rs",
    "agent/src/unwind/room.rs",
    "agent/src/unwind/threads.rs",
    "agent/tests/control.rs",
    "agent/tests/disk.rs",
    "agent/tests/ends.rs",
    "agent/tests/faults/heap.rs",
    "agent/tests/faults/system_calls.rs",
    "agent/tests/hand_over.rs",
    "agent/tests/large_blocks.rs",
    "agent/tests/loom/arena.rs",
    "agent/tests/scope.rs",
    "agent/tests/session.rs",
    "agent/tests/support/mod.rs",
    "agent/tests/totals.rs",
    "benches/src/bin/kills/witness.rs",
    "benches/src/switched.rs",
    "benches/src/bin/torture/inner.rs",
    "benches/src/bin/torture/os/clock.rs",
    "benches/src/bin/torture/os/limits.rs",
    "benches/src/bin/torture/os/mod.rs",
    "benches/src/bin/torture/os/modules.rs",
    "benches/src/bin/torture/os/processes.rs",
    "benches/src/bin/torture/os/signals.rs",
    "benches/src/bin/torture/os/threads.rs",
    "benches/src/bin/torture/small_stacks.rs",
    "benches/src/bin/torture/witness.rs",
    "examples/rss/c_leak.rs",
    "examples/rss/file.rs",
    "examples/rss/mmap.rs",
    "examples/src/counted.rs",
];

struct Source {
    /// Relative to the root of the workspace, with `/`.
    path: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the viewer lies in the workspace").to_owned()
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("a folder can be listed").path();
        if path.is_dir() {
            collect(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let path =
                path.strip_prefix(root()).expect("it lies in the workspace").to_string_lossy().replace('\\', "/");
            found.push(Source { path, text });
        }
    }
}

fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    FOLDERS.iter().for_each(|folder| collect(&root().join(folder), &mut found));
    assert!(found.len() > 50, "only {} files were found", found.len());
    found
}

/// Fails with every complaint at once.
fn judge(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}", complaints.join("\n"));
}

#[test]
fn every_file_says_what_it_is() {
    let silent = sources().into_iter().filter(|source| !source.text.starts_with("//! "));
    judge(silent.map(|source| format!("{}: begins without a `//!` line", source.path)).collect());
}

#[test]
fn files_are_short() {
    let length = |source: &Source| source.text.lines().count();
    let long = sources().into_iter().filter(|source| length(source) > MAX_FILE_LINES);
    judge(
        long.map(|source| format!("{}: {} lines, more than {MAX_FILE_LINES}", source.path, length(&source))).collect(),
    );
}

/// Functions longer than a screen: from the line with `fn` to the closing brace of the same indentation, as rustfmt
/// sets it.
fn long_functions(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut complaints = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let begins = code.starts_with("fn ")
            || (PREFIXES.iter().any(|prefix| code.starts_with(prefix)) && code.contains(" fn "));
        if !begins || code.ends_with('}') || code.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[number..].iter().position(|line| *line == end).map_or(0, |last| last + 1);
        if length > MAX_FUNCTION_LINES {
            complaints.push(format!("{}:{}: a function of {length} lines", source.path, number + 1));
        }
    }
    complaints
}

/// What may stand before `fn`.
const PREFIXES: [&str; 6] = ["pub ", "pub(", "const ", "async ", "unsafe ", "extern "];

#[test]
fn functions_fit_a_screen() {
    judge(sources().iter().flat_map(long_functions).collect());
}

#[test]
fn nothing_is_left_unfinished() {
    // Written in two parts, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("db", "g!(")];
    let mut complaints = Vec::new();
    for source in sources() {
        for (number, line) in source.text.lines().enumerate() {
            if let Some(mark) = marks.iter().find(|mark| line.contains(**mark)) {
                complaints.push(format!("{}:{}: {mark}", source.path, number + 1));
            }
            if line.ends_with([' ', '\t']) {
                complaints.push(format!("{}:{}: ends in a space", source.path, number + 1));
            }
        }
    }
    judge(complaints);
}

/// Whether `line` is code that is unsafe; comments, texts and lint names are not.
fn is_unsafe(line: &str) -> bool {
    let code = line.split("//").next().unwrap_or("");
    ["unsafe {", "unsafe fn ", "unsafe impl", "unsafe extern", "unsafe trait", "#[unsafe("]
        .iter()
        .any(|form| code.contains(form) && !code.contains(&format!("\"{form}")))
}

#[test]
fn unsafe_code_lives_in_named_files() {
    let found: Vec<String> =
        sources().into_iter().filter(|source| source.text.lines().any(is_unsafe)).map(|source| source.path).collect();
    let stray = found.iter().filter(|path| !UNSAFE_FILES.contains(&path.as_str()));
    let mut complaints: Vec<String> = stray.map(|path| format!("{path}: holds unsafe code")).collect();
    let stale = UNSAFE_FILES.iter().filter(|path| !found.iter().any(|found| found == *path));
    complaints.extend(stale.map(|path| format!("{path}: is listed, and holds no unsafe code")));
    judge(complaints);
}

#[test]
fn every_unsafe_block_has_its_reason() {
    let mut complaints = Vec::new();
    for source in sources() {
        let lines: Vec<&str> = source.text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let asks = is_unsafe(line) && (line.contains("unsafe {") || line.contains("unsafe impl"));
            let near = &lines[number.saturating_sub(10)..=number];
            if asks && !near.iter().any(|line| line.contains("SAFETY:")) {
                complaints.push(format!("{}:{}: unsafe without a SAFETY note", source.path, number + 1));
            }
        }
    }
    judge(complaints);
}

#[test]
fn the_format_page_names_every_record_kind() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    let (page, records) = (read("agent/format/FORMAT.md"), read("agent/format/src/record.rs"));
    let kinds = records.split("pub enum Record {").nth(1).and_then(|rest| rest.split("\n}").next());
    let kinds: Vec<&str> = kinds
        .expect("record.rs defines Record")
        .lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()))
        .map(|line| line.trim_end_matches([',', '{', ' ']).split('(').next().unwrap_or(""))
        .collect();
    assert!(kinds.len() >= 20, "found {kinds:?}");
    let missing =
        kinds.iter().filter(|kind| !page.contains(&format!(" {kind}(")) && !page.contains(&format!(" {kind} {{")));
    judge(missing.map(|kind| format!("FORMAT.md does not list {kind}")).collect());
}
