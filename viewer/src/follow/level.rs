//! How near memory is to its limit: green, yellow, red. One definition for every surface.

use serde::Serialize;

/// How near memory is to its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Below the first threshold.
    Green,
    /// From the first threshold on.
    Yellow,
    /// From the second one on.
    Red,
}

impl Level {
    /// The name in JSON and on screens.
    pub fn name(self) -> &'static str {
        match self {
            Level::Green => "green",
            Level::Yellow => "yellow",
            Level::Red => "red",
        }
    }
}

/// What a limit is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitOf {
    /// The user gave it.
    Given,
    /// The memory cgroup.
    Cgroup,
    /// All memory of the machine.
    System,
}

impl LimitOf {
    /// The name in JSON and on screens.
    pub fn name(self) -> &'static str {
        match self {
            LimitOf::Given => "given",
            LimitOf::Cgroup => "cgroup",
            LimitOf::System => "system",
        }
    }
}

/// A limit, and what is used of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The limit.
    pub bytes: u64,
    /// What counts against it: of a cgroup its usage without inactive files, else the resident set.
    pub used_bytes: u64,
    /// What it is of.
    pub of: LimitOf,
}

impl Limit {
    /// The part that is used, 1 for all of it.
    pub fn share(&self) -> f64 {
        self.used_bytes as f64 / self.bytes.max(1) as f64
    }
}

/// From which part of the limit on a level is yellow, and red.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Levels {
    yellow: f64,
    red: f64,
}

impl Default for Levels {
    /// Green below 70 %, yellow below 90 %, red from there.
    fn default() -> Levels {
        Levels { yellow: 0.70, red: 0.90 }
    }
}

impl Levels {
    /// Yellow and red from these parts of the limit on, 1 for all of it; `None` unless 0 < yellow ≤ red ≤ 1.
    pub fn new(yellow: f64, red: f64) -> Option<Levels> {
        (yellow > 0.0 && yellow <= red && red <= 1.0).then_some(Levels { yellow, red })
    }

    /// Where yellow begins.
    pub fn yellow(&self) -> f64 {
        self.yellow
    }

    /// Where red begins.
    pub fn red(&self) -> f64 {
        self.red
    }

    /// The level of a limit.
    pub fn of(&self, limit: &Limit) -> Level {
        match limit.share() {
            share if share >= self.red => Level::Red,
            share if share >= self.yellow => Level::Yellow,
            _ => Level::Green,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_belong_to_the_level_above() {
        let level = |used_bytes| Levels::default().of(&Limit { bytes: 1_000, used_bytes, of: LimitOf::Given });
        assert_eq!([0, 699, 700, 899, 900, 2_000].map(level), {
            use Level::{Green, Red, Yellow};
            [Green, Green, Yellow, Yellow, Red, Red]
        });
        assert_eq!(Levels::default().of(&Limit { bytes: 0, used_bytes: 1, of: LimitOf::System }), Level::Red);
    }

    #[test]
    fn thresholds_that_make_no_sense_are_refused() {
        assert!(Levels::new(0.5, 0.5).is_some() && Levels::new(0.5, 1.0).is_some());
        let bad = [(0.0, 0.5), (0.6, 0.5), (0.5, 1.1), (f64::NAN, 0.5), (0.5, f64::NAN)];
        assert!(bad.iter().all(|(yellow, red)| Levels::new(*yellow, *red).is_none()));
    }
}
