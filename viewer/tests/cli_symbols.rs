//! Names come from the right binary or not at all: this test program stands for the profiled one.
#![forbid(unsafe_code)]
#![cfg(unix)]

#[path = "cli_support/mod.rs"]
mod cli_support;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cli_support::plimsoll;
use object::{Object, ObjectSymbol};
use plimsoll_format::{Module, Record, StackNode};
use plimsoll_viewer::follow::{Look, LookOptions};
use plimsoll_viewer::view::GroupBy;
use serde_json::Value;
use support::{CaptureBuilder, START, alloc};

/// The line of the function below.
const LANDMARK_LINE: u32 = line!() + 4;

/// The function to be named.
#[inline(never)]
fn landmark(number: u32) -> u32 {
    std::hint::black_box(number) + 1
}

/// Where the module is in memory, minus where it is in its file.
const BIAS: u64 = 0x5555_0000_0000;

/// A capture with one block whose stack is the landmark, in a module at `path`.
struct Profiled {
    folder: tempfile::TempDir,
    build_id: Vec<u8>,
    /// First address behind the function, in its file.
    landmark_end: u64,
}

impl Profiled {
    fn new() -> Profiled {
        assert_eq!(landmark(1), 2, "the function is in the binary");
        let bytes = fs::read(std::env::current_exe().unwrap()).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        let symbol = file.symbols().find(|symbol| symbol.name().is_ok_and(|name| name.contains("8landmark")));
        Profiled {
            folder: tempfile::tempdir().unwrap(),
            build_id: file.build_id().unwrap().expect("the linker writes build ids").to_vec(),
            landmark_end: symbol.map(|symbol| symbol.address() + symbol.size()).expect("it has a symbol"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts this program there.
    fn link(&self, path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(std::env::current_exe().unwrap(), path).unwrap();
    }

    fn capture(&self, module: &Path, build_id: &[u8]) -> String {
        let mut builder = CaptureBuilder::exact();
        builder.record(Record::Module(Module {
            id: 1,
            ticks: START,
            bias: BIAS,
            start: BIAS,
            end: BIAS + (1 << 40),
            path: module.to_str().unwrap().into(),
            build_id: build_id.to_vec(),
        }));
        // A return address lies behind its call, and so, where a call comes last, behind the function that made it.
        let address = BIAS + self.landmark_end;
        builder.record(Record::StackNodes(vec![StackNode { id: 1, parent: 0, address }]));
        builder.events(&[alloc(START + 10, 0x10_0000, 64, 1)]).watermark(START + 20).end(START + 20);
        builder.save(self.folder.path(), "a.plim").to_str().unwrap().to_owned()
    }
}

fn leaks(arguments: &[&str]) -> Value {
    let output = plimsoll(&[&["leaks", "--json"], arguments].concat());
    assert_eq!(output.code, 0, "{}", output.stderr);
    serde_json::from_str(&output.stdout).unwrap()
}

fn check_named(json: &Value) {
    let frame = &json["sites"][0]["frames"][0];
    assert_eq!(frame["function"], "cli_symbols::landmark", "{json}");
    assert!(frame["file"].as_str().unwrap().ends_with("tests/cli_symbols.rs"), "{frame}");
    let line = frame["line"].as_u64().unwrap();
    assert!((LANDMARK_LINE..=LANDMARK_LINE + 2).contains(&(line as u32)), "{frame}");
    assert_eq!(json["warnings"], serde_json::json!([]), "{json}");
}

/// Neither a name nor silence.
fn check_unnamed(json: &Value, reason: &str) {
    assert_eq!(json["sites"][0]["frames"][0]["function"], Value::Null, "{json}");
    let warnings = json["warnings"].to_string();
    assert!(warnings.contains(reason), "{warnings}");
}

#[test]
fn the_binary_at_its_path_is_used() {
    let profiled = Profiled::new();
    let module = profiled.path("service");
    profiled.link(&module);
    check_named(&leaks(&[&profiled.capture(&module, &profiled.build_id)]));
}

#[test]
fn another_build_gives_no_names() {
    let profiled = Profiled::new();
    let module = profiled.path("service");
    profiled.link(&module);
    let capture = profiled.capture(&module, &[7; 20]);
    check_unnamed(&leaks(&[&capture]), "build id differs");
    let text = plimsoll(&["leaks", &capture]).stdout;
    // The offset of the return address in the file.
    assert!(text.contains(&format!("service+{:#x}", profiled.landmark_end)), "{text}");
}

#[test]
fn a_module_without_a_build_id_is_used_with_a_warning() {
    let profiled = Profiled::new();
    let module = profiled.path("service");
    profiled.link(&module);
    let json = leaks(&[&profiled.capture(&module, &[])]);
    assert_eq!(json["sites"][0]["frames"][0]["function"], "cli_symbols::landmark");
    assert!(json["warnings"].to_string().contains("no build id"), "{json}");
}

/// A server looks at a capture again and again, and opens binaries for what is new only.
#[test]
fn what_a_look_has_found_later_ones_know_without_the_binary() {
    let profiled = Profiled::new();
    let module = profiled.path("service");
    let capture = profiled.capture(&module, &profiled.build_id);
    let options = LookOptions::default();
    let look = |options: &LookOptions| {
        let look = Look::at(Path::new(&capture), options).unwrap();
        let name = |by| look.grouping(by).unwrap().1.groups[0].name.clone();
        (name(GroupBy::Site), name(GroupBy::Type), look.warnings.clone())
    };
    // What was not found is looked for again, and said again.
    for _ in 0..2 {
        let (name, _, warnings) = look(&options);
        assert!(name.starts_with("service+0x") && warnings.len() == 2, "{name} {warnings:?}");
    }
    profiled.link(&module);
    let found = look(&options);
    assert!(found.0.contains("landmark") && found.2.is_empty(), "{found:?}");
    fs::remove_file(&module).unwrap();
    assert_eq!(look(&options), found);
    assert_ne!(look(&LookOptions::default()), found, "others know nothing");
}

#[test]
fn directories_are_searched_by_name_and_by_build_id() {
    let profiled = Profiled::new();
    let capture = profiled.capture(Path::new("/nowhere/service"), &profiled.build_id);
    check_unnamed(&leaks(&[&capture]), "--symbols");
    let hex: String = profiled.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let by_id = format!("three/.build-id/{}/{}.debug", &hex[..2], &hex[2..]);
    for (folder, file) in [("one", "one/service"), ("two", "two/service.debug"), ("three", by_id.as_str())] {
        profiled.link(&profiled.path(file));
        check_named(&leaks(&[&capture, "--symbols", profiled.path(folder).to_str().unwrap()]));
    }
}

#[test]
fn a_packed_capture_needs_no_binary() {
    let profiled = Profiled::new();
    let module = profiled.path("service");
    profiled.link(&module);
    let capture = profiled.capture(&module, &profiled.build_id);
    fs::set_permissions(&capture, fs::Permissions::from_mode(0o640)).unwrap();
    let copy = profiled.path("copy.plim");
    let copy = copy.to_str().unwrap();
    let original = fs::read(&capture).unwrap();
    assert_eq!(plimsoll(&["pack", &capture, "-o", copy]).code, 0);
    assert_eq!(fs::read(&capture).unwrap(), original, "-o leaves the capture as it is");
    assert_eq!(plimsoll(&["pack", &capture, "-o", copy]).code, 2, "and never replaces a file");
    assert_eq!(plimsoll(&["pack", &capture]).code, 0);
    fs::remove_file(&module).unwrap();
    check_named(&leaks(&[&capture]));
    check_named(&leaks(&[copy]));
    assert_eq!(leaks(&[&capture])["capture"]["end"], "clean", "the end is still the end");
    assert_eq!(fs::metadata(&capture).unwrap().permissions().mode() & 0o777, 0o640);
    let packed = fs::read(&capture).unwrap();
    assert_eq!(plimsoll(&["pack", &capture]).code, 0);
    assert_eq!(fs::read(&capture).unwrap(), packed, "there is nothing new to pack");
}

#[test]
fn hurt_binaries_give_addresses() {
    let profiled = Profiled::new();
    let module = profiled.path("service");
    let whole = fs::read(std::env::current_exe().unwrap()).unwrap();
    let capture = profiled.capture(&module, &[]);
    for cut in [0, 1, 63, 64, 1_000, whole.len() / 2, whole.len() - 1] {
        fs::write(&module, &whole[..cut]).unwrap();
        let output = plimsoll(&["leaks", &capture]);
        assert_eq!(output.code, 0, "cut at {cut}: {}", output.stderr);
    }
    // A byte in every 251 turned around, in the headers at the front and the section table at the back.
    for range in [0..4_096, whole.len() - 65_536..whole.len(), 64..whole.len()] {
        let mut hurt = whole.clone();
        hurt[range].iter_mut().step_by(251).for_each(|byte| *byte = !*byte);
        fs::write(&module, &hurt).unwrap();
        let output = plimsoll(&["leaks", &capture]);
        assert_eq!(output.code, 0, "{}", output.stderr);
    }
}
