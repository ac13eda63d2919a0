//! Leaks inside of growing containers, where one block is moved and grows instead of many that stay.

use std::collections::HashMap;

use super::stage::{Block, Stage, note, sites};
use super::{Program, Truth};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "leak-of-a-log",
        about: "one buffer is extended by exactly 8 KiB every fifth step",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("extend_log", 8192.0 / 5.0).known(150)],
        run: leak_of_a_log,
    },
    Program {
        name: "leak-by-doubling",
        about: "a vector that is only pushed to: its one block doubles, so that half the time nothing happens",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("push_sample", 2048.0).known(401)],
        run: leak_by_doubling,
    },
    Program {
        name: "leak-of-a-map",
        about: "a map of pages that are never removed; its table doubles as it must",
        steps: 400,
        short: &[60],
        truths: &[Truth::leak("make_page", 2048.0), Truth::leak("insert_page", 2.0 * 33.0 * 1.5).known(401)],
        run: leak_of_a_map,
    },
    Program {
        name: "leak-of-names",
        about: "an interner that gets a new name at every call, two a step",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("intern_new_name", 1000.0)],
        run: leak_of_names,
    },
    Program {
        name: "leak-of-many-vectors",
        about: "64 histories, each a vector that is extended in turn by exactly 1 KiB: blocks move and grow",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("extend_history", 1024.0).known(200)],
        run: leak_of_many_vectors,
    },
];

sites! {
    make_page = 0;
}

const ROOM: usize = 1 << 15;

#[inline(never)]
fn extend_log(log: &mut Vec<u8>, bytes: usize) {
    log.reserve_exact(bytes);
    log.resize(log.len() + bytes, 0);
    note(0, bytes as i64);
}

fn leak_of_a_log(stage: &mut Stage) {
    let mut log = Vec::new();
    while let Some(step) = stage.next() {
        if step % 5 == 0 {
            extend_log(&mut log, 8192);
        }
    }
}

#[inline(never)]
fn push_sample(samples: &mut Vec<u64>, sample: u64) {
    let before = samples.capacity();
    samples.push(sample);
    note(0, ((samples.capacity() - before) * size_of::<u64>()) as i64);
}

fn leak_by_doubling(stage: &mut Stage) {
    let mut samples = Vec::new();
    while let Some(step) = stage.next() {
        (0..256).for_each(|number| push_sample(&mut samples, u64::from(step * 256 + number)));
    }
}

#[inline(never)]
fn insert_page(pages: &mut HashMap<u64, Block>, number: u64, page: Block) {
    let entry = size_of::<(u64, Block)>() + 1;
    let before = pages.capacity();
    pages.insert(number, page);
    // The table has 8 slots for 7 entries, and a byte for each.
    note(1, ((pages.capacity() - before) * 8 / 7 * entry) as i64);
}

fn leak_of_a_map(stage: &mut Stage) {
    let mut pages = HashMap::new();
    while let Some(step) = stage.next() {
        for number in 0..2 {
            let page = make_page(1024);
            insert_page(&mut pages, u64::from(step * 2 + number), page);
        }
    }
}

#[inline(never)]
fn intern_new_name(number: u32) -> Box<str> {
    let name: Box<str> = format!("{number:0>500}").into();
    note(0, name.len() as i64);
    name
}

fn leak_of_names(stage: &mut Stage) {
    let mut names = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        names.extend((0..2).map(|number| intern_new_name(step * 2 + number)));
    }
}

#[inline(never)]
fn extend_history(history: &mut Vec<u8>) {
    history.reserve_exact(1024);
    history.resize(history.len() + 1024, 0);
    note(0, 1024);
}

fn leak_of_many_vectors(stage: &mut Stage) {
    let mut histories: Vec<Vec<u8>> = (0..64).map(|_| Vec::new()).collect();
    while let Some(step) = stage.next() {
        if let Some(history) = histories.get_mut(step as usize % 64) {
            extend_history(history);
        }
    }
}
