//! Blocks of 16 to 512 bytes that take each other's places, a pair of one allocation and one free at a time.

use std::hint::black_box;

use super::random::{Random, mix};
use super::{Job, Outcome, Work, Workload};

pub(super) const CHURN: Workload = Workload {
    name: "churn",
    unit: "pair",
    units: 15_000_000,
    recorded_units: 1_000_000,
    peers: true,
    tolerance: 0.0,
    about: "16–512 B over 256 slots",
    prepare: |pairs| churn(pairs, 8, 0),
};

pub(super) const CHURN_50K: Workload = Workload {
    name: "churn-50k",
    about: "churn beside 57,800 blocks of 1 MiB that stay and are not touched: 50,000 live samples at 512 KiB",
    recorded_units: 0,
    peers: false,
    prepare: |pairs| churn(pairs, 8, 57_800),
    ..CHURN
};

pub(super) const CHURN_LARGE: Workload = Workload {
    name: "churn-large",
    units: 3_000_000,
    recorded_units: 400_000,
    about: "16–512 B over 1,048,576 slots, 280 MB live",
    prepare: |pairs| churn(pairs, 20, 0),
    ..CHURN
};

struct Churn {
    pairs: u64,
    slots: usize,
    ballast_blocks: usize,
    ballast: Vec<Vec<u8>>,
    blocks: Vec<Vec<u8>>,
    random: Random,
}

/// `pairs` over 2^`slots_log2` slots, beside `ballast_blocks` blocks of 1 MiB.
fn churn(pairs: u64, slots_log2: u32, ballast_blocks: usize) -> Job {
    let (ballast, blocks) = (Vec::new(), Vec::new());
    Box::new(Churn { pairs, slots: 1 << slots_log2, ballast_blocks, ballast, blocks, random: Random::new(1) })
}

impl Work for Churn {
    fn settle(&mut self) {
        self.ballast.extend((0..self.ballast_blocks).map(|_| black_box(Vec::with_capacity(1 << 20))));
        self.blocks.extend((0..self.slots).map(|_| Vec::with_capacity(self.random.size())));
    }

    fn run(&mut self) -> Outcome {
        let last = self.blocks.len() - 1;
        let mut checksum = 0;
        for _ in 0..self.pairs {
            let number = self.random.next();
            let size = 16 + (number >> 20) as usize % 497;
            checksum = mix(checksum, size as u64);
            self.blocks[number as usize & last] = black_box(Vec::with_capacity(size));
        }
        Outcome::of(checksum)
    }
}
