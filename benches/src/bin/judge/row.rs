//! What is kept of one run: the truth as the program told it, and the verdicts of `plimsoll leaks`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use plimsoll_benches::judged::Class;
use plimsoll_benches::judged::told::Told;
use serde::{Deserialize, Serialize};

/// How a program is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Mode {
    Exact,
    Sampled,
}

impl Mode {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Mode::Exact => "exact",
            Mode::Sampled => "sampled",
        }
    }
}

/// A run, as one line of JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) mode: Mode,
    /// Mean bytes between samples; 1 in exact mode.
    pub(crate) interval_bytes: u64,
    pub(crate) told: Told,
    /// In the order of `told.sites`.
    pub(crate) verdicts: Vec<Verdicts>,
    /// Sites that no truth names, all healthy: how many got which verdict.
    pub(crate) others: BTreeMap<Class, u32>,
    /// Those of them that are accused of a leak, by their stacks.
    pub(crate) accused: Vec<String>,
}

/// Verdicts on the sites of one function.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Verdicts {
    /// On the site that holds the most; none when none of them holds anything at the end.
    pub(crate) main: Option<Class>,
    /// Bytes that it holds.
    pub(crate) live_bytes: f64,
    /// Growth of that site where the verdict gives one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<Rate>,
    /// On all.
    pub(crate) all: BTreeMap<Class, u32>,
}

/// Bytes per second with their 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rate {
    pub(crate) value: f64,
    pub(crate) low: f64,
    /// None when nothing bounds it.
    pub(crate) high: Option<f64>,
}

impl Rate {
    pub(crate) fn holds(&self, truth: f64) -> bool {
        self.low <= truth && self.high.is_none_or(|high| truth <= high)
    }
}

impl Row {
    /// `name/steps seed n mode`.
    pub(crate) fn title(&self) -> String {
        let Told { program, steps, seed, .. } = &self.told;
        format!("{program}, {steps} steps, seed {seed}, {}", self.mode.name())
    }

    /// The same run, if every verdict had been this one.
    pub(crate) fn with_every_verdict(mut self, class: Class) -> Row {
        let all = |counts: &BTreeMap<Class, u32>| {
            let number: u32 = counts.values().sum();
            if number == 0 { BTreeMap::new() } else { BTreeMap::from([(class, number)]) }
        };
        for verdicts in &mut self.verdicts {
            verdicts.main = verdicts.main.map(|_| class);
            verdicts.all = all(&verdicts.all);
            verdicts.rate = None;
        }
        self.others = all(&self.others);
        self.accused = if class == Class::Leak { vec!["every other site".to_owned()] } else { Vec::new() };
        self
    }
}

/// The rows of a file that was kept.
pub(crate) fn load(path: &Path) -> Result<Vec<Row>, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot read kept runs {}: {error}", path.display());
    let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|error| failed(&error))).collect()
}
