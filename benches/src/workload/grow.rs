//! Growth by realloc, and memory that must come zeroed: what an allocator can do without copying or touching.

use std::collections::HashMap;
use std::hint::black_box;

use super::random::mix;
use super::{Job, Outcome, Workload};

pub(super) const GROW: Workload = Workload {
    name: "grow",
    unit: "round",
    units: 6,
    recorded_units: 2,
    peers: true,
    tolerance: 0.0,
    about: "vectors, strings and a map that grow element by element; one vector to 64 MiB",
    prepare: |rounds| Box::new(move || Outcome::of((0..rounds).fold(0, |sum, _| mix(sum, grow())))),
};

pub(super) const ZEROED: Workload = Workload {
    name: "zeroed",
    unit: "block",
    units: 5,
    recorded_units: 5,
    peers: true,
    tolerance: 0.0,
    about: "`vec![0; 256 MiB]`, of which four bytes are read",
    prepare: |blocks| Box::new(move || Outcome::of((0..blocks).fold(0, |sum, _| mix(sum, zeroed())))) as Job,
};

fn grow() -> u64 {
    let mut big: Vec<u64> = Vec::new();
    (0..8 << 20).for_each(|number| big.push(black_box(number)));
    let mut sum = big.len() as u64;
    for _ in 0..20_000 {
        let mut small: Vec<u32> = Vec::new();
        (0..200).for_each(|number| small.push(black_box(number)));
        sum = mix(sum, small.len() as u64);
    }
    for _ in 0..2_000 {
        let mut text = String::new();
        (0..500).for_each(|_| text.push_str(black_box("plimsoll")));
        sum = mix(sum, text.len() as u64);
    }
    let map: HashMap<u64, u64> = (0..200_000).map(|number| (number, number)).collect();
    mix(sum, map.len() as u64)
}

fn zeroed() -> u64 {
    let block = black_box(vec![0_u8; 256 << 20]);
    block.iter().step_by(64 << 20).map(|byte| u64::from(*byte) + 1).sum()
}
