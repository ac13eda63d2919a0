//! The replay against a plain model: random operations of several threads, written in chunks of any order.

use std::collections::{BTreeMap, HashMap};

use plimsoll_format::{Event, EventKind};
use proptest::prelude::*;

use crate::capture::{self, LoadOptions};
use crate::testing::{CaptureBuilder, START, alloc, as_kind, free, on};

use super::{Heap, ReplayOptions};

const THREADS: u32 = 3;
const STACKS: u32 = 4;
/// Few addresses, so that they are handed on often.
const ADDRESSES: u64 = 8;
/// Time between two operations.
const STEP: u64 = 10;

#[derive(Debug, Clone, Copy)]
pub(super) enum Action {
    Alloc,
    Free,
    Realloc {
        fails: bool,
    },
    /// Writes the thread's events so far.
    Flush,
    /// Writes all but the thread's events, then a watermark: the thread is the straggler.
    Watermark,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Operation {
    action: Action,
    thread: u32,
    choice: u64,
}

pub(super) fn operation() -> impl Strategy<Value = Operation> {
    let action = prop_oneof![
        6 => Just(Action::Alloc),
        5 => Just(Action::Free),
        2 => any::<bool>().prop_map(|fails| Action::Realloc { fails }),
        1 => Just(Action::Flush),
        1 => Just(Action::Watermark),
    ];
    (action, 1..=THREADS, any::<u64>()).prop_map(|(action, thread, choice)| Operation { action, thread, choice })
}

#[derive(Debug, Clone, Copy)]
struct Block {
    size: u64,
    site: (u32, u32),
    /// Allocations of its thread so far, this one included; none when it can't be temporary.
    number: Option<u64>,
}

/// What a site should show, in bytes and blocks.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
struct Expected {
    total: (u64, u64),
    freed: (u64, u64),
    temporary: (u64, u64),
}

#[derive(Default)]
pub(super) struct Model {
    pub(super) now: u64,
    live: BTreeMap<u64, Block>,
    /// Old blocks of reallocations under way, by thread: address, block, whether it will fail.
    held: HashMap<u32, (u64, Block, bool)>,
    sites: BTreeMap<(u32, u32), Expected>,
    allocations: HashMap<u32, u64>,
    live_bytes: u64,
    peak_bytes: u64,
    reallocations: u64,
    pub(super) written: Vec<Written>,
}

pub(super) enum Written {
    Event(Event),
    Flush(u32),
    Watermark { straggler: u32, ticks: u64 },
}

impl Model {
    fn emit(&mut self, event: Event) {
        self.written.push(Written::Event(event));
    }

    fn run(&mut self, operation: Operation) {
        self.now += STEP;
        let thread = operation.thread;
        if self.held.contains_key(&thread) && !matches!(operation.action, Action::Flush | Action::Watermark) {
            return self.complete(thread, operation.choice);
        }
        match operation.action {
            Action::Alloc => self.alloc(thread, operation.choice, EventKind::Alloc),
            Action::Free => self.free(thread, operation.choice),
            Action::Realloc { fails } => {
                let Some(address) = self.pick_live(operation.choice) else { return };
                let block = self.take(address);
                self.emit(on(thread, as_kind(EventKind::ReallocFree, free(self.now, address))));
                self.held.insert(thread, (address, block, fails));
            }
            Action::Flush => self.written.push(Written::Flush(thread)),
            Action::Watermark => self.written.push(Written::Watermark { straggler: thread, ticks: self.now }),
        }
    }

    fn pick_live(&self, choice: u64) -> Option<u64> {
        let position = choice.checked_rem(self.live.len() as u64)?;
        self.live.keys().nth(position as usize).copied()
    }

    fn take(&mut self, address: u64) -> Block {
        let block = self.live.remove(&address).expect("it was picked among the living");
        self.live_bytes -= block.size;
        block
    }

    fn retire(&mut self, block: Block, is_temporary: bool) {
        let site = self.sites.entry(block.site).or_default();
        site.freed = (site.freed.0 + block.size, site.freed.1 + 1);
        if is_temporary {
            site.temporary = (site.temporary.0 + block.size, site.temporary.1 + 1);
        }
    }

    /// Addresses that an allocation can get: the old block of a reallocation that fails keeps its own.
    fn free_addresses(&self) -> Vec<u64> {
        let kept: Vec<u64> = self.held.values().filter(|held| held.2).map(|held| held.0).collect();
        let is_free = |address: &u64| !self.live.contains_key(address) && !kept.contains(address);
        (1..=ADDRESSES).map(|number| number * 16).filter(is_free).collect()
    }

    fn alloc(&mut self, thread: u32, choice: u64, kind: EventKind) {
        let free = self.free_addresses();
        let Some(position) = choice.checked_rem(free.len() as u64) else { return };
        let (address, size) = (free[position as usize], 1 + choice % 100);
        let site = (1 + (choice >> 32) as u32 % STACKS, thread);
        let number = self.allocations.entry(thread).or_default();
        *number += 1;
        let number = (kind == EventKind::Alloc).then_some(*number);
        self.live.insert(address, Block { size, site, number });
        let expected = self.sites.entry(site).or_default();
        expected.total = (expected.total.0 + size, expected.total.1 + 1);
        self.live_bytes += size;
        self.peak_bytes = self.peak_bytes.max(self.live_bytes);
        self.emit(on(thread, as_kind(kind, alloc(self.now, address, size, site.0))));
    }

    fn free(&mut self, thread: u32, choice: u64) {
        let Some(address) = self.pick_live(choice) else { return };
        let block = self.take(address);
        let now = self.allocations.get(&thread).copied().unwrap_or(0);
        let is_temporary = block.site.1 == thread && block.number.is_some_and(|number| now - number <= 1);
        self.retire(block, is_temporary);
        self.emit(on(thread, free(self.now, address)));
    }

    fn complete(&mut self, thread: u32, choice: u64) {
        if !self.held.get(&thread).is_some_and(|held| held.2) && self.free_addresses().is_empty() {
            // No room for the new block: another thread frees one first.
            return self.free(thread % THREADS + 1, choice);
        }
        let Some((address, block, fails)) = self.held.remove(&thread) else { return };
        if fails {
            self.live_bytes += block.size;
            self.live.insert(address, block);
            return self.emit(on(thread, as_kind(EventKind::ReallocUndo, free(self.now, address))));
        }
        self.alloc(thread, choice, EventKind::ReallocAlloc);
        self.retire(block, false);
        self.reallocations += 1;
    }

    /// Ends every reallocation under way.
    fn settle(&mut self) {
        for thread in 1..=THREADS {
            while self.held.contains_key(&thread) {
                self.now += STEP;
                self.complete(thread, 0);
            }
        }
    }
}

/// Inverts stamps of two threads, as two CPUs' clocks may, where each thread's own order allows it: every other time a
/// free gets a stamp after the allocation that takes its address over, or one before the allocation of its own block.
fn invert_clocks(written: &mut [Written]) {
    let events: Vec<(usize, Event)> = written
        .iter()
        .enumerate()
        .filter_map(|(at, item)| if let Written::Event(event) = item { Some((at, *event)) } else { None })
        .collect();
    let mut touched: HashMap<u64, usize> = HashMap::new();
    for (position, (at, event)) in events.iter().enumerate() {
        let earlier = || events.iter().take(position).rev().map(|(_, event)| event);
        let later = || events.iter().skip(position + 1).map(|(_, event)| event);
        let near = |other: &&Event| {
            other.kind.is_alloc() && other.thread != event.thread && other.ticks.abs_diff(event.ticks) <= 2 * STEP
        };
        let own_before = earlier().find(|other| other.thread == event.thread).map_or(0, |own| own.ticks);
        let own_after = later().find(|other| other.thread == event.thread).map_or(u64::MAX, |own| own.ticks);
        let taken = later().find(|other| other.address == event.address).filter(near);
        let given = earlier().find(|other| other.address == event.address).filter(near);
        // Half a step off: nothing else happens to the address in between.
        let late = taken.map(|taken| taken.ticks + STEP / 2).filter(|stamp| *stamp < own_after);
        let early = given.map(|given| given.ticks - STEP / 2).filter(|stamp| *stamp > own_before + STEP);
        let stamp = if event.thread % 2 == 0 { late } else { early };
        // Two inversions in a row of one address look like a free of a block from before: leave two whole lives between.
        let lives = touched.get(&event.address).map_or(usize::MAX, |last| {
            earlier().take(position - last).filter(|other| other.address == event.address).count() / 2
        });
        let is_apart = lives >= 3;
        if let (EventKind::Free, true, Some(stamp)) = (event.kind, is_apart, stamp)
            && let Written::Event(event) = &mut written[*at]
        {
            event.ticks = stamp;
            touched.insert(event.address, position);
        }
    }
}

/// Writes the events in chunks, each thread's own in order.
fn capture_of(written: &[Written]) -> CaptureBuilder {
    let mut builder = CaptureBuilder::exact();
    let chunk = |builder: &mut CaptureBuilder, events: &[Event]| {
        builder.events(events).block();
    };
    write_chunks(&mut builder, written, &chunk);
    builder
}

/// The same into `builder`, each chunk as `write_chunk` does it.
pub(super) fn write_chunks(
    builder: &mut CaptureBuilder,
    written: &[Written],
    write_chunk: &dyn Fn(&mut CaptureBuilder, &[Event]),
) {
    builder.stacks(STACKS);
    let mut last_watermark = 0;
    let mut chunks: BTreeMap<u32, Vec<Event>> = (1..=THREADS).map(|thread| (thread, Vec::new())).collect();
    let write = |builder: &mut CaptureBuilder, events: &mut Vec<Event>| {
        if !events.is_empty() {
            write_chunk(builder, &std::mem::take(events));
        }
    };
    for item in written {
        match item {
            Written::Event(event) => chunks.entry(event.thread).or_default().push(*event),
            Written::Flush(thread) => write(builder, chunks.entry(*thread).or_default()),
            Written::Watermark { straggler, ticks } => {
                // Only what is newer than the watermark before may be late; it comes before the next one.
                let late = chunks.entry(*straggler).or_default();
                let cut = late.partition_point(|event| event.ticks < last_watermark);
                let kept = late.split_off(cut);
                chunks.values_mut().for_each(|events| write(builder, events));
                chunks.insert(*straggler, kept);
                builder.watermark(*ticks);
                last_watermark = *ticks;
            }
        }
    }
    // The last thread's chunk comes first: the file's order says nothing.
    chunks.values_mut().rev().for_each(|events| write(builder, events));
}

fn replay(builder: &mut CaptureBuilder) -> Heap {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = builder.save(folder.path(), "model.plim");
    let capture = capture::open(path, &LoadOptions::default()).expect("it is a capture");
    capture.replay(&ReplayOptions::default()).expect("the file is still there")
}

pub(super) fn run(operations: &[Operation]) -> Model {
    let mut model = Model { now: START, ..Model::default() };
    operations.iter().for_each(|operation| model.run(*operation));
    model.settle();
    model
}

/// Everything but peak and temporary blocks, which depend on the exact order in time.
fn check_sites(heap: &Heap, model: &Model, exact_times: bool) {
    for (key, expected) in &model.sites {
        let found = heap.sites.iter().find(|site| (site.stack.0, site.thread.0) == *key).expect("the site is there");
        assert_eq!((found.total.bytes, found.total.blocks), expected.total, "total of {key:?}");
        assert_eq!((found.freed.bytes, found.freed.blocks), expected.freed, "freed of {key:?}");
        let temporary = found.temporary.expect("exact captures know");
        if exact_times {
            assert_eq!((temporary.bytes, temporary.blocks), expected.temporary, "temporary of {key:?}");
        }
        let live = (expected.total.0 - expected.freed.0, expected.total.1 - expected.freed.1);
        assert_eq!((found.live.bytes, found.live.blocks), live, "live of {key:?}");
    }
    assert_eq!(heap.sites.len(), model.sites.len());
    assert_eq!(heap.reallocations, model.reallocations);
    assert_eq!((heap.repairs.unseen_frees, heap.repairs.unknown_frees), (0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn replays_like_a_plain_map(operations in prop::collection::vec(operation(), 1..200)) {
        let model = run(&operations);
        let heap = replay(capture_of(&model.written).end(model.now + STEP));
        check_sites(&heap, &model, true);
        prop_assert_eq!(heap.peak.live_bytes.value, model.peak_bytes);
        prop_assert_eq!(heap.sum(|site| site.at_peak).bytes, model.peak_bytes);
        prop_assert_eq!(heap.repairs.pulled_frees, 0);
        prop_assert_eq!(heap.repairs.late_events, 0);
    }

    #[test]
    fn inverted_clocks_leave_no_false_live_block(operations in prop::collection::vec(operation(), 1..200)) {
        let mut model = run(&operations);
        invert_clocks(&mut model.written);
        let heap = replay(capture_of(&model.written).end(model.now + 4 * STEP));
        check_sites(&heap, &model, false);
    }
}
