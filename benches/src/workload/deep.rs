//! Pairs at the bottom of a recursion, whose frames a profiler that takes stacks has to walk.
//!
//! *Stay* goes down once and does all pairs there; *fresh* goes down anew for every pair, so that all frames of the
//! stack are new ones. Built without frame pointers unless the build says otherwise.

use std::hint::black_box;

use super::random::{Random, mix};
use super::{Job, Outcome, Workload};

const STAY: Workload = Workload {
    name: "",
    unit: "pair",
    units: 10_000_000,
    recorded_units: 500_000,
    peers: true,
    tolerance: 0.0,
    about: "",
    prepare: |_| Box::new(Outcome::default),
};

pub(super) const STAY_10: Workload = Workload {
    name: "deep-10-stay",
    about: "all pairs under one recursion of 10 frames",
    prepare: |pairs| stay(pairs, 10),
    ..STAY
};

pub(super) const STAY_50: Workload = Workload {
    name: "deep-50-stay",
    about: "all pairs under one recursion of 50 frames",
    prepare: |pairs| stay(pairs, 50),
    ..STAY
};

pub(super) const STAY_200: Workload = Workload {
    name: "deep-200-stay",
    about: "all pairs under one recursion of 200 frames",
    prepare: |pairs| stay(pairs, 200),
    ..STAY
};

pub(super) const FRESH_10: Workload = Workload {
    name: "deep-10-fresh",
    about: "each pair under a new recursion of 10 frames",
    prepare: |pairs| fresh(pairs, 10),
    ..STAY
};

pub(super) const FRESH_50: Workload = Workload {
    name: "deep-50-fresh",
    units: 3_000_000,
    about: "each pair under a new recursion of 50 frames",
    prepare: |pairs| fresh(pairs, 50),
    ..STAY
};

pub(super) const FRESH_200: Workload = Workload {
    name: "deep-200-fresh",
    units: 600_000,
    recorded_units: 200_000,
    about: "each pair under a new recursion of 200 frames",
    prepare: |pairs| fresh(pairs, 200),
    ..STAY
};

/// `frames` frames, then `bottom`. The addition keeps every call from becoming a jump.
#[inline(never)]
fn descend(frames: u64, bottom: &mut dyn FnMut() -> u64) -> u64 {
    if frames == 0 { bottom() } else { black_box(descend(black_box(frames - 1), bottom)).wrapping_add(1) }
}

#[inline(always)]
fn pair(random: &mut Random) -> u64 {
    black_box(Vec::<u8>::with_capacity(black_box(random.size()))).capacity() as u64
}

fn stay(pairs: u64, frames: u64) -> Job {
    Box::new(move || {
        let mut random = Random::new(2);
        let mut bottom = || (0..pairs).fold(0, |checksum, _| mix(checksum, pair(&mut random)));
        Outcome::of(descend(frames, &mut bottom))
    })
}

fn fresh(pairs: u64, frames: u64) -> Job {
    Box::new(move || {
        let mut random = Random::new(2);
        let mut bottom = || pair(&mut random);
        Outcome::of((0..pairs).fold(0, |checksum, _| mix(checksum, descend(frames, &mut bottom))))
    })
}
