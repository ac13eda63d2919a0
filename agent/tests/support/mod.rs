//! What the scenarios share: an independent counting allocator below Plimsoll, and a small reader of captures.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each scenario uses a part of this, and nobody else does")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};

use plimsoll_format::{Counters, End, Event, EventKind, Header, Item, Loss, Reader, Record, unpack};

/// Plimsoll over the system's allocator, or that one alone: as the variable `WAY` of a child says, see [`start`].
pub struct Switched(plimsoll::Allocator);

static THROUGH_PLIMSOLL: AtomicBool = AtomicBool::new(true);

impl Switched {
    pub const fn new() -> Switched {
        Switched(plimsoll::Allocator::system())
    }

    fn way(&self) -> &dyn GlobalAlloc {
        if THROUGH_PLIMSOLL.load(SeqCst) { &self.0 } else { &System }
    }
}

// SAFETY: both ways end in the same system allocator, so a block may be freed the other way than it was allocated.
unsafe impl GlobalAlloc for Switched {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's obligations, here and below.
        unsafe { self.way().alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.way().alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { self.way().dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        unsafe { self.way().realloc(block, layout, size) }
    }
}

/// The ways in which [`Switched`] can be used.
pub const WAYS: [&str; 4] = ["bare", "idle", "sampled", "exact"];

/// Begins what the variable `WAY` asks for, in a child that [`measure`] started.
pub fn start() -> Option<(plimsoll::Session, tempfile::TempDir)> {
    let way = std::env::var("WAY").expect("set by the parent");
    THROUGH_PLIMSOLL.store(way != "bare", SeqCst);
    let directory = tempfile::tempdir().expect("a directory");
    let builder = plimsoll::Session::builder().output(directory.path().join("run.plim"));
    let builder = match way.as_str() {
        "sampled" => builder,
        "exact" => builder.exact(),
        _ => return None,
    };
    Some((builder.start().expect("a session"), directory))
}

/// Runs the test `name` of this file in a process of its own, in one of the [`WAYS`]; the numbers it prints as
/// `NAME=NUMBER`.
pub fn measure(name: &str, way: &str) -> HashMap<String, i64> {
    let output = run_child(name, &[("WAY", way)]);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name} {way}: {text}");
    let numbers: HashMap<String, i64> = text
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .filter_map(|(name, number)| Some((name.to_owned(), number.parse().ok()?)))
        .collect();
    println!("{name:<10} {way:<8} {numbers:?}");
    numbers
}

/// A line of `/proc/self/<file>` in bytes; both files give KiB.
pub fn memory(file: &str, line: &str) -> i64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).expect("Linux");
    let rest = text.lines().find_map(|found| found.strip_prefix(line)).expect("a line of that name");
    rest.trim_matches([':', ' ', '\t']).trim_end_matches(" kB").parse::<i64>().expect("a number") << 10
}

/// Counts every call that reaches it, with plain atomics and nothing of Plimsoll's.
pub struct Oracle;

pub static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
pub static BYTES: AtomicU64 = AtomicU64::new(0);
pub static FREES: AtomicU64 = AtomicU64::new(0);
pub static FREED_BYTES: AtomicU64 = AtomicU64::new(0);
/// While not zero, every allocation and reallocation of exactly this size fails.
pub static FAILING_SIZE: AtomicU64 = AtomicU64::new(0);

impl Oracle {
    fn fails(size: usize) -> bool {
        size as u64 == FAILING_SIZE.load(SeqCst) && size != 0
    }

    fn count(block: *mut u8, size: usize) -> *mut u8 {
        if !block.is_null() {
            ALLOCATIONS.fetch_add(1, SeqCst);
            BYTES.fetch_add(size as u64, SeqCst);
        }
        block
    }
}

// SAFETY: forwards to the system's allocator; a refused call returns null, as the trait allows.
unsafe impl GlobalAlloc for Oracle {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if Oracle::fails(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's obligations.
        Oracle::count(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if Oracle::fails(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's obligations.
        Oracle::count(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        FREES.fetch_add(1, SeqCst);
        FREED_BYTES.fetch_add(layout.size() as u64, SeqCst);
        // SAFETY: the caller's obligations.
        unsafe { System.dealloc(block, layout) };
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if Oracle::fails(size) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's obligations.
        let new = Oracle::count(unsafe { System.realloc(block, layout, size) }, size);
        if !new.is_null() {
            FREES.fetch_add(1, SeqCst);
            FREED_BYTES.fetch_add(layout.size() as u64, SeqCst);
        }
        new
    }
}

/// The oracle's counts less what the agent used itself must be the program's, each to the unit. Call it while no
/// other thread allocates.
pub fn assert_totals_agree() {
    // Read everything before anything is formatted.
    let stats = plimsoll::stats();
    let (allocations, bytes) = (ALLOCATIONS.load(SeqCst), BYTES.load(SeqCst));
    let (frees, freed) = (FREES.load(SeqCst), FREED_BYTES.load(SeqCst));
    assert_eq!(stats.allocations + stats.agent_allocations, allocations, "allocations");
    assert_eq!(stats.bytes + stats.agent_bytes, bytes, "bytes");
    assert_eq!(stats.live_bytes + stats.agent_live_bytes, bytes - freed, "live bytes");
    assert!(stats.frees <= frees);
    let classes: u64 = stats.size_classes.iter().map(|class| class.allocations).sum();
    assert_eq!(classes, stats.allocations, "size classes");
}

/// What a capture holds, as far as the scenarios ask.
#[derive(Debug, Default)]
pub struct Capture {
    pub headers: Vec<Header>,
    pub events: Vec<Event>,
    pub counters: Vec<Counters>,
    pub losses: Vec<Loss>,
    pub others: Vec<Record>,
    pub end: Option<End>,
    pub nodes: HashMap<u32, (u32, u64)>,
}

/// Reads a whole capture file and insists that nothing in it is damaged.
pub fn read(path: &Path) -> Capture {
    let mut reader = Reader::new();
    reader.feed(&std::fs::read(path).expect("a capture"));
    reader.end();
    let mut capture = Capture::default();
    while let Some(item) = reader.next_item() {
        let Item::Block(block) = item else { panic!("damage: {item:?}") };
        for record in block.try_records().expect("a readable block") {
            match record.expect("a known record") {
                Record::Header(header) => capture.headers.push(header),
                Record::Events(events) => {
                    let before = capture.events.len();
                    capture.events.extend(unpack(events.state, &events.packed).map(|event| event.expect("valid")));
                    assert_eq!(capture.events.len() - before, events.count as usize);
                }
                Record::Counters(counters) => capture.counters.push(counters),
                Record::Loss(loss) => capture.losses.push(loss),
                Record::End(end) => capture.end = Some(end),
                Record::StackNodes(nodes) => {
                    capture.nodes.extend(nodes.iter().map(|node| (node.id, (node.parent, node.address))));
                }
                other => capture.others.push(other),
            }
        }
    }
    capture
}

impl Capture {
    /// Blocks live at the end, by address: replays the events in the order of time, with the rule that allocations
    /// and frees of one address alternate.
    pub fn live(&self) -> HashMap<u64, Event> {
        let mut events = self.events.clone();
        events.sort_by_key(|event| event.ticks);
        let mut live: HashMap<u64, Event> = HashMap::new();
        let mut early_frees: HashMap<u64, u32> = HashMap::new();
        let mut retired: HashMap<u32, Event> = HashMap::new();
        for event in events {
            match event.kind {
                EventKind::Alloc | EventKind::ReallocAlloc => {
                    retired.remove(&event.thread);
                    if live.insert(event.address, event).is_some() {
                        // Its free is still to come: that one must not take the new block.
                        *early_frees.entry(event.address).or_default() += 1;
                    }
                }
                EventKind::Free | EventKind::ReallocFree => {
                    let pulled = early_frees.get_mut(&event.address).filter(|count| **count > 0);
                    if let Some(count) = pulled {
                        *count -= 1;
                    } else if let Some(block) = live.remove(&event.address) {
                        retired.insert(event.thread, block);
                    }
                }
                EventKind::ReallocUndo => {
                    let block = retired.remove(&event.thread).expect("a retired block");
                    live.insert(event.address, block);
                }
            }
        }
        live
    }

    /// Depth of a stack.
    pub fn depth(&self, mut stack: u32) -> usize {
        let mut depth = 0;
        while let Some((parent, _)) = self.nodes.get(&stack) {
            assert!(*parent < stack, "a parent comes before its children");
            stack = *parent;
            depth += 1;
        }
        depth
    }
}

/// Runs the test `name` of this very file again in a process of its own, with `variables` set, and returns its output.
pub fn run_child(name: &str, variables: &[(&str, &str)]) -> std::process::Output {
    child(name, variables).output().expect("the child runs")
}

/// As [`run_child`], not started yet.
pub fn child(name: &str, variables: &[(&str, &str)]) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", name, "--nocapture", "--ignored", "--test-threads=1"]).envs(variables.iter().copied());
    command
}
