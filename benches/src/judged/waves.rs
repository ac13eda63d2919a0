//! Waves of load, with a trend below them and without.

use std::collections::VecDeque;

use super::stage::{Block, Chance, Stage, sites};
use super::{Class, Program, Truth};

const PASSES: &[Class] = &[Class::Bounded];

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "waves",
        about: "what is held follows waves of 80 steps between 50 and 250 KiB, six of them",
        steps: 480,
        short: &[100, 130],
        truths: &[Truth::of("hold_wave", Class::Churn).also(PASSES).known(200).blind(80)],
        run: waves,
    },
    Program {
        name: "waves-with-noise",
        about: "the same, cut in the middle of a wave, with a tenth of random change",
        steps: 440,
        short: &[],
        truths: &[Truth::of("hold_rough_wave", Class::Churn).also(PASSES).known(240).blind(80)],
        run: waves_with_noise,
    },
    Program {
        name: "weeks",
        about: "days of 40 steps in weeks of 280, with two quiet days each",
        steps: 700,
        short: &[250],
        truths: &[Truth::of("hold_week", Class::Churn).also(PASSES).known(600)],
        run: weeks,
    },
    Program {
        name: "leak-below-waves",
        about: "waves of 60 steps between 0 and 60 KiB, and a leak of 512 bytes a step at the same site",
        steps: 540,
        short: &[80],
        truths: &[Truth::leak("hold_leaky_wave", 512.0).known(240).blind(60)],
        run: leak_below_waves,
    },
    Program {
        name: "leak-below-weeks",
        about: "days of 20 steps in weeks of 140, five weeks, and a leak of 512 bytes a step at the same site",
        steps: 700,
        short: &[],
        truths: &[Truth::leak("hold_leaky_week", 512.0).known(560)],
        run: leak_below_weeks,
    },
];

sites! {
    hold_wave = 0;
    hold_rough_wave = 0;
    hold_week = 0;
    hold_leaky_wave = 0;
    hold_leaky_week = 0;
}

/// From 0 to 1 and back in `period` steps, beginning at 0.
fn wave(step: u32, period: u32) -> f64 {
    (1.0 - (f64::from(step) * std::f64::consts::TAU / f64::from(period)).cos()) / 2.0
}

/// Days as waves; of seven, two are quiet.
fn week(step: u32, day: u32) -> f64 {
    let quiet = step / day % 7 >= 5;
    wave(step, day) * if quiet { 0.3 } else { 1.0 }
}

/// Holds at each step as many blocks as `target` says, of which all are replaced in the course of ten steps. With
/// `leaks`, one block more at every second step is never freed: of the same site, and so from the same line.
fn follow(stage: &mut Stage, make: fn(usize) -> Block, target: impl Fn(u32, &mut Chance) -> f64, leaks: bool) {
    let mut chance = stage.chance(0);
    let mut held = VecDeque::with_capacity(1024);
    let mut kept = Vec::with_capacity(1024);
    while let Some(step) = stage.next() {
        let wanted = target(step, &mut chance).max(0.0) as usize;
        drop(held.drain(..(held.len() / 10).max(held.len().saturating_sub(wanted))));
        let leaked = usize::from(leaks && step % 2 == 0);
        for number in 0..wanted.saturating_sub(held.len()) + leaked {
            let block = make(1024);
            if number < leaked { kept.push(block) } else { held.push_back(block) }
        }
    }
}

fn waves(stage: &mut Stage) {
    follow(stage, hold_wave, |step, _| 50.0 + 200.0 * wave(step, 80), false);
}

fn waves_with_noise(stage: &mut Stage) {
    let rough =
        |step, chance: &mut Chance| (50.0 + 200.0 * wave(step, 80)) * (0.95 + f64::from(chance.below(100)) / 1000.0);
    follow(stage, hold_rough_wave, rough, false);
}

fn weeks(stage: &mut Stage) {
    follow(stage, hold_week, |step, _| 50.0 + 200.0 * week(step, 40), false);
}

fn leak_below_waves(stage: &mut Stage) {
    follow(stage, hold_leaky_wave, |step, _| 60.0 * wave(step, 60), true);
}

fn leak_below_weeks(stage: &mut Stage) {
    follow(stage, hold_leaky_week, |step, _| 60.0 * week(step, 20), true);
}
