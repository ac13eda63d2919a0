//! Programs whose truth is known: small, deterministic, each with a leak or with something healthy that looks like
//! one. The program `judged` runs one of them under Plimsoll; the program `judge` runs all, and holds the verdicts
//! of `plimsoll leaks` against the truth.
//!
//! A program does its work in [steps](stage::Stage) of 10 ms, of which it sleeps nearly all, so that many can run at
//! once and a few seconds stand for the days of a service. It keeps its own book of what each of its sites holds,
//! from which the truth is computed that depends on the run: how much a leak grew beside the site's own noise.

mod bounded;
mod caches;
mod crew;
mod hidden_leaks;
mod many_sites;
mod passing;
mod pools;
mod queues;
pub mod stage;
mod steady_leaks;
mod structures;
mod threads;
pub mod told;
mod waves;

use serde::{Deserialize, Serialize};

use stage::Stage;

/// What a verdict can be, and what the truth can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// Grows without bound.
    Leak,
    /// Grew, then stayed.
    Bounded,
    /// Allocated early and kept.
    WarmUp,
    /// Comes and goes.
    Churn,
    /// A few blocks, never freed, without a trend.
    OneShot,
    /// Nothing that can be known. No program's truth.
    TooLittleEvidence,
}

/// All classes, in the order of tables.
pub const CLASSES: [Class; 6] =
    [Class::Leak, Class::Bounded, Class::WarmUp, Class::Churn, Class::OneShot, Class::TooLittleEvidence];

impl Class {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Leak => "leak",
            Class::Bounded => "bounded",
            Class::WarmUp => "warm-up",
            Class::Churn => "churn",
            Class::OneShot => "one-shot",
            Class::TooLittleEvidence => "too-little-evidence",
        }
    }
}

/// What is true of the blocks that one function allocates.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    /// A function of the program that is in the stack of these allocations, and of no others.
    pub function: &'static str,
    /// What they are, in a capture of any length that shows it.
    pub class: Class,
    /// Classes that are as right.
    pub also: &'static [Class],
    /// Bytes that stay behind in each step, on average; 0 unless a leak.
    pub leak_bytes_per_step: f64,
    /// Step in which the leak begins.
    pub leak_from: u32,
    /// A capture of fewer steps may say too-little-evidence.
    pub known_from: u32,
    /// Size of the blocks of what fills up ever more slowly: as long as the slowing is within what sampling makes of a
    /// straight line, no verdict is counted. 0 for everything else.
    pub filling_block_bytes: f64,
    /// A capture of fewer steps holds a straight line and nothing else: there is no telling a filling from a leak,
    /// and no verdict is counted.
    pub blind_until: u32,
}

impl Truth {
    const fn of(function: &'static str, class: Class) -> Truth {
        Truth {
            function,
            class,
            also: &[],
            leak_bytes_per_step: 0.0,
            leak_from: 0,
            known_from: 60,
            filling_block_bytes: 0.0,
            blind_until: 0,
        }
    }

    /// `function` leaks so many bytes a step.
    const fn leak(function: &'static str, bytes_per_step: f64) -> Truth {
        Truth { leak_bytes_per_step: bytes_per_step, ..Truth::of(function, Class::Leak) }
    }

    const fn also(self, also: &'static [Class]) -> Truth {
        Truth { also, ..self }
    }

    const fn from(self, leak_from: u32) -> Truth {
        Truth { leak_from, ..self }
    }

    const fn known(self, known_from: u32) -> Truth {
        Truth { known_from, ..self }
    }

    const fn filling(self, block_bytes: f64) -> Truth {
        Truth { filling_block_bytes: block_bytes, ..self }
    }

    const fn blind(self, blind_until: u32) -> Truth {
        Truth { blind_until, ..self }
    }
}

/// A program with its truth.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// What to ask for.
    pub name: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    /// Steps of a whole run.
    pub steps: u32,
    /// Shorter runs that are judged as well.
    pub short: &'static [u32],
    /// What is true of its sites. All other sites are healthy.
    pub truths: &'static [Truth],
    run: fn(&mut Stage),
}

impl Program {
    /// Does its steps; `stage` ends the recording after the last, before anything that is held then is dropped.
    pub fn run(&self, stage: &mut Stage) {
        (self.run)(stage);
    }

    /// Whether one of its sites leaks.
    pub fn leaks(&self) -> bool {
        self.truths.iter().any(|truth| truth.class == Class::Leak)
    }
}

/// All programs.
pub fn all() -> Vec<&'static Program> {
    let families = [
        steady_leaks::PROGRAMS,
        hidden_leaks::PROGRAMS,
        structures::PROGRAMS,
        queues::PROGRAMS,
        threads::PROGRAMS,
        caches::PROGRAMS,
        pools::PROGRAMS,
        bounded::PROGRAMS,
        passing::PROGRAMS,
        waves::PROGRAMS,
        many_sites::PROGRAMS,
    ];
    families.into_iter().flatten().collect()
}

/// Their names.
pub fn names() -> Vec<&'static str> {
    all().into_iter().map(|program| program.name).collect()
}

/// The program of this name.
pub fn find(name: &str) -> Option<&'static Program> {
    all().into_iter().find(|program| program.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn programs_are_many_and_their_names_and_sites_are_their_own() {
        let all = all();
        assert!(all.len() >= 40, "{}", all.len());
        let names: BTreeSet<&str> = names().into_iter().collect();
        assert_eq!(names.len(), all.len());
        for program in &all {
            let functions: BTreeSet<&str> = program.truths.iter().map(|truth| truth.function).collect();
            assert_eq!(functions.len(), program.truths.len(), "{}", program.name);
            assert!(program.truths.len() <= stage::SITES, "{}", program.name);
            assert!(program.short.iter().all(|steps| *steps < program.steps), "{}", program.name);
        }
        let leaky = all.iter().filter(|program| program.leaks()).count();
        assert!(leaky >= 15 && all.len() - leaky >= 20, "{leaky} of {} leak", all.len());
    }

    #[test]
    fn every_truth_can_be_known_in_a_whole_run() {
        for program in all() {
            for truth in program.truths {
                let leaks = truth.class == Class::Leak;
                assert_eq!(leaks, truth.leak_bytes_per_step > 0.0, "{} {}", program.name, truth.function);
                assert!(truth.class != Class::TooLittleEvidence, "{} {}", program.name, truth.function);
                assert!(truth.blind_until <= truth.known_from, "{} {}", program.name, truth.function);
                assert!(truth.blind_until < program.steps, "{} {}", program.name, truth.function);
            }
        }
    }
}
