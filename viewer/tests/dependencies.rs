//! Holds the arrows between the packages: agent → format ← viewer; examples → agent; benches → all three.
#![forbid(unsafe_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const AGENT: &str = "plimsoll";
const FORMAT: &str = "plimsoll-format";
const VIEWER: &str = "plimsoll-viewer";
const EXAMPLES: &str = "plimsoll-examples";
const BENCHES: &str = "plimsoll-benches";

/// What the agent may ask for itself. It is linked into other people's services: an addition is a decision.
const OF_THE_AGENT: [&str; 12] = [
    "backtrace",
    "crossbeam-channel",
    "framehop",
    "libc",
    "libmimalloc-sys",
    "mimalloc",
    FORMAT,
    "sysinfo",
    "tikv-jemalloc-ctl",
    "tikv-jemalloc-sys",
    "tikv-jemallocator",
    "tracking-allocator",
];

/// What must not come into a profiled program by any way.
const NEVER_IN_THE_AGENT: [&str; 8] =
    [VIEWER, "clap", "inferno", "parking_lot", "rayon", "serde", "serde_json", "tokio"];

/// Names of packages, and which ones each depends on.
struct Graph {
    licences: BTreeMap<String, String>,
    /// Dependencies of the built package, by package.
    normal: BTreeMap<String, BTreeSet<String>>,
    /// Those and the ones of its tests.
    all: BTreeMap<String, BTreeSet<String>>,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value[key].as_array().into_iter().flatten()
}

/// What cargo prints.
fn cargo(arguments: &[&str]) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the viewer lies in the workspace");
    let output = Command::new(env!("CARGO")).args(arguments).current_dir(root).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

/// Names of everything that is linked into `package` with all of its features, here and by itself: in a build of the
/// whole workspace, crates have features that only others ask for.
fn linked_into(package: &str) -> BTreeSet<String> {
    let tree = ["tree", "--locked", "--all-features", "--edges=normal", "--prefix=none", "--package", package];
    let names = cargo(&tree).lines().filter_map(|line| line.split(' ').next()).map(String::from).collect();
    assert!(BTreeSet::contains(&names, "bincode"), "the tree of {package} goes down to the format's crates: {names:?}");
    names
}

/// What cargo resolved for the whole workspace, with every feature.
fn graph() -> Graph {
    let printed = cargo(&["metadata", "--format-version=1", "--all-features", "--locked"]);
    let metadata: Value = serde_json::from_str(&printed).expect("cargo metadata prints JSON");
    let packages: Vec<&Value> = list(&metadata, "packages").collect();
    let names: BTreeMap<&str, &str> =
        packages.iter().map(|package| (text(package, "id"), text(package, "name"))).collect();
    let licences =
        packages.iter().map(|package| (text(package, "name").into(), text(package, "license").into())).collect();
    let mut graph = Graph { licences, normal: BTreeMap::new(), all: BTreeMap::new() };
    for node in list(&metadata["resolve"], "nodes") {
        for dependency in list(node, "deps") {
            let (from, to) = (names[text(node, "id")].to_owned(), names[text(dependency, "pkg")].to_owned());
            if list(dependency, "dep_kinds").any(|kind| kind["kind"] != "dev") {
                graph.normal.entry(from.clone()).or_default().insert(to.clone());
            }
            graph.all.entry(from).or_default().insert(to);
        }
    }
    graph
}

impl Graph {
    /// The packages of this workspace that `package` names, its tests included.
    fn arrows(&self, package: &str) -> Vec<&str> {
        let own = [AGENT, FORMAT, VIEWER, EXAMPLES, BENCHES];
        self.all.get(package).into_iter().flatten().map(String::as_str).filter(|name| own.contains(name)).collect()
    }
}

#[test]
fn arrows_between_the_packages_are_the_agreed_ones() {
    let graph = graph();
    assert_eq!(graph.arrows(FORMAT), [""; 0]);
    assert_eq!(graph.arrows(AGENT), [FORMAT]);
    assert_eq!(graph.arrows(VIEWER), [FORMAT]);
    assert_eq!(graph.arrows(EXAMPLES), [AGENT]);
    assert!(graph.arrows(BENCHES).iter().all(|name| [AGENT, FORMAT, VIEWER].contains(name)));
}

#[test]
fn the_agent_brings_little_and_nothing_of_the_viewer() {
    let graph = graph();
    let direct: Vec<&str> = graph.normal[AGENT].iter().map(String::as_str).collect();
    assert_eq!(direct, OF_THE_AGENT);
    let brought = linked_into(AGENT);
    let found: Vec<&&str> = NEVER_IN_THE_AGENT.iter().filter(|name| brought.contains(**name)).collect();
    assert!(found.is_empty(), "the agent brings {found:?}");
}

#[test]
fn the_viewer_never_links_the_agent() {
    let brought = linked_into(VIEWER);
    assert!(!brought.contains(AGENT) && brought.contains("inferno"));
}

#[test]
fn the_format_needs_two_crates_and_one_more_to_compress() {
    let graph = graph();
    assert!(graph.normal[FORMAT].iter().eq(["bincode", "crc32fast", "zstd-safe"]));
    let plain = cargo(&["tree", "--locked", "--edges=normal", "--prefix=none", "--package", AGENT]);
    assert!(plain.contains("bincode") && !plain.contains("zstd-"), "an agent without features brings no zstd: {plain}");
}

/// Whether the list allows the expression: of each part that is joined by AND, one of its alternatives.
fn is_allowed(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    let any = |part: &str| part.split(" OR ").any(|licence| allowed.contains(&licence.trim()));
    expression.split(" AND ").all(any)
}

#[test]
fn every_licence_is_on_the_list() {
    let deny = include_str!("../../deny.toml");
    let list = deny.split("\nallow = [").nth(1).and_then(|rest| rest.split("\n]").next()).expect("a list of licences");
    let allowed: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    let graph = graph();
    let odd: Vec<_> = graph.licences.iter().filter(|(_, licence)| !is_allowed(licence, &allowed)).collect();
    assert!(odd.is_empty(), "not allowed by deny.toml: {odd:?}");
    let used = |licence: &&&str| graph.licences.values().any(|expression| expression.contains(**licence));
    let unused: Vec<_> = allowed.iter().filter(|licence| !used(licence)).collect();
    assert!(unused.is_empty(), "deny.toml allows what nothing uses: {unused:?}");
}
