//! Thousands of sites in one program: a verdict that is wrong one time in a thousand would be wrong in each run.

use super::stage::{Block, Chance, Stage, Until, sites};
use super::{Class, Program, Truth};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "many-sites",
        about: "4,096 call stacks, each holding about two sessions of random length",
        steps: 400,
        short: &[],
        truths: &[],
        run: many_sites,
    },
    Program {
        name: "many-sites-in-waves",
        about: "1,024 call stacks, all of whose sessions come in common waves of 100 steps",
        steps: 450,
        short: &[150],
        truths: &[],
        run: many_sites_in_waves,
    },
    Program {
        name: "leak-among-many-sites",
        about: "1,024 healthy call stacks, and one function that leaks 1 KiB a step",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("keep_one", 1024.0), Truth::of("path", Class::Churn).also(&[Class::Bounded]).known(401)],
        run: leak_among_many_sites,
    },
];

sites! {
    keep_one = 0;
    visit = 1;
}

/// Which way to go at each level, as the bits of a number: each number is a call stack of its own.
#[derive(Clone, Copy)]
struct Way {
    bits: u32,
    levels: u32,
}

#[inline(never)]
fn path(way: Way, size: usize) -> Block {
    if way.levels == 0 {
        return visit(size);
    }
    let rest = Way { bits: way.bits >> 1, levels: way.levels - 1 };
    let block = if way.bits & 1 == 0 { left(rest, size) } else { right(rest, size) };
    std::hint::black_box(block)
}

#[inline(never)]
fn left(way: Way, size: usize) -> Block {
    // Functions that do the same are made one by the compiler; the names make these differ.
    std::hint::black_box("left");
    std::hint::black_box(path(way, size))
}

#[inline(never)]
fn right(way: Way, size: usize) -> Block {
    std::hint::black_box("right");
    std::hint::black_box(path(way, size))
}

/// At each step as many sessions as `load` says, each at a random one of the 2^`levels` sites.
fn sessions(stage: &mut Stage, levels: u32, load: fn(u32) -> u32, mut and: impl FnMut(u32)) {
    let mut chance: Chance = stage.chance(0);
    let mut sessions = Until::with_capacity(1 << 15);
    while let Some(step) = stage.next() {
        sessions.drop_due(step);
        for _ in 0..load(step) {
            let way = Way { bits: chance.below(1 << levels), levels };
            sessions.keep(step + chance.lifetime(30.0), path(way, 512));
        }
        and(step);
    }
}

fn many_sites(stage: &mut Stage) {
    sessions(stage, 12, |_| 270, |_| {});
}

fn many_sites_in_waves(stage: &mut Stage) {
    let load = |step| (100.0 * (1.0 - (f64::from(step) * std::f64::consts::TAU / 100.0).cos())) as u32;
    sessions(stage, 10, load, |_| {});
}

fn leak_among_many_sites(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(1024);
    sessions(stage, 10, |_| 70, |_| kept.push(keep_one(1024)));
}
