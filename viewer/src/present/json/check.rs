//! `plimsoll check --json`.

use serde::Serialize;
use serde_json::Number;

use super::parts::MeasureJson;
use super::{CommonJson, SiteJson, SuppressedJson};
use crate::analysis::{Check, Figure, Found, Gate};
use crate::present::check_words::{Checked, name, sentence};

/// `plimsoll check --json`.
#[derive(Debug, Serialize)]
pub struct CheckJson {
    /// What every command says.
    #[serde(flatten)]
    pub common: CommonJson,
    /// Whether the exit code is 0.
    pub passed: bool,
    /// What cannot be told is let pass.
    pub lenient: bool,
    /// The capture that this one was compared with.
    pub baseline: Option<String>,
    /// The checks, in a fixed order.
    pub checks: Vec<CheckItemJson>,
    /// Sites that leak or have too little evidence for a verdict; the list may be shorter.
    pub sites_total: usize,
    /// What suppressions took, when they were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Vec<SuppressedJson>>,
    /// These: every leak, then the largest of the others. Empty when no check looks at verdicts.
    pub sites: Vec<SiteJson>,
}

/// One thing that was checked.
#[derive(Debug, Serialize)]
pub struct CheckItemJson {
    /// Which: the option, and of a regression the figure.
    pub name: &'static str,
    /// `passed`, `failed` or `unknown`.
    pub status: &'static str,
    /// The limit.
    pub limit: Option<Number>,
    /// What was found.
    pub found: FoundJson,
    /// `bytes`, `allocations`, `bytes_per_s`, `sites` or `percent`.
    pub unit: &'static str,
    /// `exact`, `bounds` (which hold for certain), `estimate` (95 %) or `partial` (nothing bounds it above).
    pub basis: &'static str,
    /// Of a regression: the baseline's figure.
    pub baseline: Option<MeasureJson>,
    /// Of a regression: this capture's.
    pub measured: Option<MeasureJson>,
    /// What came out and, where it is not plain, why and what to do.
    pub sentence: String,
}

/// A number with its interval.
#[derive(Debug, Serialize)]
pub struct FoundJson {
    /// Best value; `null` when it is infinite per cent of a baseline of 0.
    pub value: Option<Number>,
    /// At least this; `null` when it is infinite per cent of a baseline of 0.
    pub low: Option<Number>,
    /// At most this; `null` when nothing bounds it.
    pub high: Option<Number>,
}

impl CheckJson {
    /// From the checks.
    pub fn new(checked: &Checked<'_>) -> CheckJson {
        CheckJson {
            common: CommonJson::new(checked.view),
            passed: checked.has_passed(),
            lenient: checked.lenient,
            baseline: checked.baseline.map(|path| path.to_string_lossy().into_owned()),
            checks: checked.checks.iter().map(CheckItemJson::new).collect(),
            suppressed: SuppressedJson::all(checked.view),
            sites_total: checked.suspects().len(),
            sites: checked.listed().iter().map(|group| SiteJson::new(group, None)).collect(),
        }
    }
}

impl CheckItemJson {
    fn new(check: &Check) -> CheckItemJson {
        let unit = unit(check.gate);
        let number = |number: f64| amount(number, unit);
        let found = &check.found;
        CheckItemJson {
            name: name(check.gate),
            status: check.status.name(),
            limit: number(check.limit),
            found: FoundJson { value: number(found.value), low: number(found.low), high: found.high.and_then(number) },
            unit,
            basis: basis(check),
            baseline: check.compared.map(|(base, _)| base.into()),
            measured: check.compared.map(|(_, this)| this.into()),
            sentence: sentence(check),
        }
    }
}

/// Whole numbers of things and bytes; rates and shares have fractions.
fn amount(number: f64, unit: &str) -> Option<Number> {
    // `as` clamps what is out of range.
    if matches!(unit, "percent" | "bytes_per_s") { Number::from_f64(number) } else { Some((number as u64).into()) }
}

fn unit(gate: Gate) -> &'static str {
    match gate {
        Gate::Most(Figure::Allocations) => "allocations",
        Gate::Most(_) => "bytes",
        Gate::GrowthRate => "bytes_per_s",
        Gate::NoLeak => "sites",
        Gate::Regression(_) => "percent",
    }
}

fn basis(check: &Check) -> &'static str {
    match check.found {
        Found { high: None, .. } if check.found.low.is_finite() => "partial",
        _ if check.is_estimate => "estimate",
        Found { low, high, .. } if high.unwrap_or(low) == low => "exact",
        _ => "bounds",
    }
}
