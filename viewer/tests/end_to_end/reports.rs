//! Runs the real `plimsoll` and reads its JSON.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// A measured number with its interval; an open one has no `high`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    value: f64,
    low: f64,
    high: Option<f64>,
}

impl Estimate {
    /// A number without an error.
    pub(crate) fn exact(value: u64) -> Estimate {
        let value = value as f64;
        Estimate { value, low: value, high: Some(value) }
    }

    /// Reads `{"value": v, "low": l, "high": h}`.
    pub(crate) fn read(json: &Value) -> Estimate {
        let number = |key: &str| json[key].as_f64().unwrap_or_else(|| panic!("no {key} in {json}"));
        Estimate { value: number("value"), low: number("low"), high: json["high"].as_f64() }
    }

    /// The number itself.
    pub(crate) fn value(&self) -> f64 {
        self.value
    }

    /// How wide the interval is; none when it is open.
    pub(crate) fn width(&self) -> Option<f64> {
        self.high.map(|high| high - self.low)
    }

    /// Of two sites together, erring on the wide side.
    fn plus(self, other: Estimate) -> Estimate {
        let high = self.high.zip(other.high).map(|(one, two)| one + two);
        Estimate { value: self.value + other.value, low: self.low + other.low, high }
    }

    /// With the interval `factor` times as wide.
    pub(crate) fn widened(self, factor: f64) -> Estimate {
        let wider = |bound: f64| self.value + (bound - self.value) * factor;
        Estimate { low: wider(self.low), high: self.high.map(wider), ..self }
    }

    /// Whether the interval holds `truth`.
    pub(crate) fn holds(&self, truth: u64) -> bool {
        let truth = truth as f64;
        self.low <= truth && self.high.is_none_or(|high| truth <= high)
    }
}

/// Runs the real binary, which must succeed; what it prints.
pub(crate) fn plimsoll(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(arguments).output().expect("plimsoll runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "plimsoll {}: {}\n{stderr}", arguments.join(" "), output.status);
    String::from_utf8(output.stdout).expect("it prints UTF-8")
}

/// `plimsoll report --json` of one capture, with every site.
pub(crate) struct Report(pub(crate) Value);

impl Report {
    pub(crate) fn of(capture: &Path) -> Report {
        let capture = capture.to_str().expect("a plain path");
        let json = plimsoll(&["report", capture, "--json", "--top", "1000000"]);
        Report(serde_json::from_str(&json).expect("--json prints JSON"))
    }

    /// `number` of all sites that have `function` in their stack.
    pub(crate) fn sum(&self, function: &str, number: &str) -> Estimate {
        let sites = self.0["sites"].as_array().expect("a report lists sites");
        let through = |site: &&Value| {
            let frames = site["frames"].as_array().into_iter().flatten();
            frames.filter_map(|frame| frame["function"].as_str()).any(|name| last_part(name) == function)
        };
        let found: Vec<&Value> = sites.iter().filter(through).collect();
        let numbers = found.iter().map(|site| Estimate::read(&site[number]));
        numbers.reduce(Estimate::plus).unwrap_or(Estimate::exact(0))
    }

    /// `totals.NAME`.
    pub(crate) fn total(&self, name: &str) -> Estimate {
        Estimate::read(&self.0["totals"][name])
    }
}

/// `remember` of `service::cache::remember` or `service::cache::remember::{{closure}}`.
fn last_part(function: &str) -> &str {
    function.split("::").filter(|part| !part.starts_with('{')).last().unwrap_or(function)
}
