//! Runs the real `plimsoll` on captures made by hand.
// Each test binary uses a part of this.
#![allow(dead_code)]

use std::path::Path;
use std::process::{Command, Stdio};

use plimsoll_format::*;

use crate::support::{CaptureBuilder, START, alloc, counters, free};

/// What a run left.
pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `plimsoll` with everything in pipes.
pub(crate) fn plimsoll(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("plimsoll runs");
    Output {
        code: output.status.code().expect("it exits"),
        stdout: String::from_utf8(output.stdout).expect("it prints UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("it prints UTF-8"),
    }
}

/// A module at 0x1000 to 0x2000 with the given functions packed for the addresses of stacks 1, 2, ….
pub(crate) fn named(builder: &mut CaptureBuilder, functions: &[&str]) {
    builder.record(Record::Module(Module {
        id: 1,
        ticks: START,
        bias: 0,
        start: 0x1000,
        end: 0x2000,
        path: "/nowhere/service".into(),
        build_id: vec![1; 20],
    }));
    builder.stacks(functions.len() as u32);
    let frame = |at| SymbolizedFrame { function: at, file: functions.len() as u32, line: 12 + at };
    let address = |at| SymbolizedAddress { address: 0x1010 + u64::from(at) * 16, frames: vec![frame(at)] };
    let mut strings: Vec<String> = functions.iter().map(|name| (*name).to_owned()).collect();
    strings.push("/home/me/service/src/lib.rs".into());
    let addresses = (0..functions.len() as u32).map(address).collect();
    builder.record(Record::Symbols(Symbols { module: 1, strings, addresses }));
}

pub(crate) fn thread(builder: &mut CaptureBuilder, name: &str) {
    builder.record(Record::Thread(Thread { id: 1, os_id: 77, ticks: START, name: name.into() }));
}

/// Three blocks of 1,000 bytes from stack 1 and one of 500 from stack 2 that stay, ten of 64 from stack 3 that go; an
/// event each microsecond.
pub(crate) fn sample(builder: &mut CaptureBuilder) {
    named(builder, &["service::cache::insert", "parser::parse", "service::churn"]);
    thread(builder, "worker");
    let at = |us: u64| START + us * 1_000;
    let mut events = vec![
        alloc(at(1), 0x10_0000, 1_000, 1),
        alloc(at(2), 0x11_0000, 1_000, 1),
        alloc(at(3), 0x12_0000, 1_000, 1),
        alloc(at(4), 0x13_0000, 500, 2),
    ];
    for turn in 0..10 {
        events.push(alloc(at(5 + 2 * turn), 0x20_0000, 64, 3));
        events.push(free(at(6 + 2 * turn), 0x20_0000));
    }
    builder.events(&events).watermark(at(30));
    builder.record(Record::Marker { ticks: at(20), name: "half-way".into() });
    builder.end(at(31));
}

/// [`sample`] as an exact capture in a file; its path.
pub(crate) fn sample_capture(folder: &Path, name: &str) -> String {
    let mut builder = CaptureBuilder::exact();
    sample(&mut builder);
    builder.save(folder, name).to_str().expect("a plain path").to_owned()
}

/// A sampled capture at a mean interval of 1,000 bytes: one block of 100 bytes that stays.
pub(crate) fn sampled_capture(folder: &Path, name: &str) -> String {
    let mut builder = CaptureBuilder::sampled(1_000);
    named(&mut builder, &["service::cache::insert"]);
    thread(&mut builder, "worker");
    let block = Event { interval_bytes: 1_000, ..alloc(START + 500, 0x10_0000, 100, 1) };
    builder.events(&[block]).watermark(START + 20_000).end(START + 20_000);
    builder.save(folder, name).to_str().expect("a plain path").to_owned()
}

/// An exact capture whose counters know of a block from before the session too.
pub(crate) fn with_a_past(folder: &Path) -> String {
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, &["service::cache::insert", "service::churn"]);
    thread(&mut builder, "worker");
    let at = |us: u64| START + us * 1_000;
    let events = [alloc(at(1), 0x10_0000, 1_000, 1), alloc(at(2), 0x20_0000, 64, 2), free(at(3), 0x20_0000)];
    builder.events(&events).watermark(at(4));
    let totals = Totals { allocations: 3, bytes: 1_564, frees: 1, freed_bytes: 64, ..Totals::default() };
    builder.record(Record::Counters(counters(at(4), totals, 1_564))).end(at(4));
    builder.save(folder, "past.plim").to_str().expect("a plain path").to_owned()
}
