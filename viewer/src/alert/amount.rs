//! Thresholds and times as people write them in rules: `512MiB`, `90%`, `1MiB/min`, `2.5`, `30s`.

use std::time::Duration;

use serde::Deserialize;

use crate::cli::Size;
use crate::present::units;

/// What a number is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Bytes,
    /// A part of a whole, 1 for all of it.
    Share,
    BytesPerSecond,
    /// A number without a unit.
    Ratio,
    Seconds,
}

/// A number or a text, as TOML has it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Amount {
    Whole(i64),
    Number(f64),
    Text(String),
}

const TIMES: [(&str, f64); 7] =
    [("ms", 0.001), ("min", 60.0), ("s", 1.0), ("m", 60.0), ("h", 3_600.0), ("d", 86_400.0), ("", 1.0)];
/// The longest time that a rule may name: a year.
const MAX_SECONDS: f64 = 365.0 * 86_400.0;

impl Unit {
    /// The name in JSON.
    pub(super) fn name(self) -> &'static str {
        match self {
            Unit::Bytes => "bytes",
            Unit::Share => "share",
            Unit::BytesPerSecond => "bytes/s",
            Unit::Ratio => "ratio",
            Unit::Seconds => "s",
        }
    }

    fn example(self) -> &'static str {
        match self {
            Unit::Bytes => "a size such as \"512MiB\"",
            Unit::Share => "a percentage such as \"90%\"",
            Unit::BytesPerSecond => "a size in a time such as \"1MiB/min\"",
            Unit::Ratio => "a number such as 2.5",
            Unit::Seconds => "a time such as \"30s\" or \"1h\"",
        }
    }

    /// The number that is meant.
    pub(super) fn read(self, amount: &Amount) -> Result<f64, String> {
        let text = match amount {
            Amount::Whole(number) => number.to_string(),
            Amount::Number(number) => number.to_string(),
            Amount::Text(text) => text.trim().to_owned(),
        };
        let read = match self {
            Unit::Bytes => size(&text),
            Unit::Share => text.strip_suffix('%').and_then(|number| Some(number.trim().parse::<f64>().ok()? / 100.0)),
            Unit::BytesPerSecond => text.split_once('/').and_then(|(bytes, time)| {
                let (_, seconds) = TIMES.iter().find(|(unit, _)| *unit == time.trim() && !unit.is_empty())?;
                Some(size(bytes)? / seconds)
            }),
            Unit::Ratio => text.parse().ok(),
            Unit::Seconds => seconds(&text),
        };
        let read = read.filter(|number: &f64| number.is_finite() && *number >= 0.0);
        read.ok_or_else(|| format!("{text:?} is not what is expected here: {}", self.example()))
    }

    /// As people read it.
    pub(super) fn show(self, value: f64) -> String {
        match self {
            Unit::Bytes => units::bytes(value as u64),
            Unit::Share => format!("{:.1} %", value * 100.0),
            Unit::BytesPerSecond => format!("{}/s", units::bytes(value as u64)),
            Unit::Ratio => format!("{value:.2}"),
            Unit::Seconds => units::duration((value * 1e9) as u64),
        }
    }
}

/// A time that a rule names.
pub(super) fn time(amount: &Amount) -> Result<Duration, String> {
    let read = Unit::Seconds.read(amount)?;
    match Duration::try_from_secs_f64(read) {
        Ok(time) if read <= MAX_SECONDS => Ok(time),
        _ => Err(format!("{read} s is longer than a year")),
    }
}

fn size(text: &str) -> Option<f64> {
    text.parse::<Size>().ok().map(|size| size.0 as f64)
}

fn seconds(text: &str) -> Option<f64> {
    TIMES.iter().find_map(|(unit, factor)| {
        let number = text.strip_suffix(unit)?.trim();
        Some(number.parse::<f64>().ok()? * factor)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(unit: Unit, text: &str) -> Result<f64, String> {
        unit.read(&Amount::Text(text.to_owned()))
    }

    #[test]
    fn amounts_are_read_as_written() {
        assert_eq!(read(Unit::Bytes, "512MiB"), Ok(536_870_912.0));
        assert_eq!(read(Unit::Share, "90 %"), Ok(0.9));
        assert_eq!(read(Unit::BytesPerSecond, "60KiB/min"), Ok(1024.0));
        assert_eq!(read(Unit::BytesPerSecond, "1 MiB / s"), Ok(1_048_576.0));
        assert_eq!(Unit::Ratio.read(&Amount::Number(2.5)), Ok(2.5));
        assert_eq!(Unit::Bytes.read(&Amount::Whole(4096)), Ok(4096.0));
        let times = [("500ms", 0.5), ("30s", 30.0), ("1.5 min", 90.0), ("2h", 7200.0), ("1d", 86400.0), ("7", 7.0)];
        times.iter().for_each(|(text, seconds)| assert_eq!(read(Unit::Seconds, text), Ok(*seconds), "{text}"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let bad = [
            (Unit::Bytes, "lots"),
            (Unit::Share, "0.9"),
            (Unit::Share, "-1%"),
            (Unit::BytesPerSecond, "1MiB"),
            (Unit::BytesPerSecond, "1MiB/0s"),
            (Unit::BytesPerSecond, "1MiB/"),
            (Unit::Ratio, "NaN"),
            (Unit::Seconds, "soon"),
        ];
        bad.iter().for_each(|(unit, text)| assert!(read(*unit, text).is_err(), "{text}"));
        assert!(time(&Amount::Text("400d".to_owned())).is_err());
    }
}
