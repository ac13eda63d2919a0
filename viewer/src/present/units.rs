//! Numbers with their units, as people read them. Estimates never come without their error.

use crate::analysis::Difference;
use crate::model::Measure;

const KIB: f64 = 1024.0;
const BYTE_UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];

/// `777 B`, `1.50 KiB`, `64.0 MiB`, `759 GiB`: three digits.
pub fn bytes(value: u64) -> String {
    let (number, unit) = scaled(value);
    format!("{number} {unit}")
}

/// The number and the unit of [`bytes`].
fn scaled(value: u64) -> (String, &'static str) {
    let unit = byte_unit(value);
    (in_unit(value, unit), if unit == 0 { "B" } else { BYTE_UNITS.get(unit - 1).copied().unwrap_or("PiB") })
}

/// How often 1024 goes into a value, so that three digits before the point are enough: 1023.7 KiB is 1.00 MiB.
fn byte_unit(value: u64) -> usize {
    let (mut unit, mut scaled) = (0, value as f64);
    while (scaled >= KIB || (unit > 0 && scaled >= 999.5)) && unit < BYTE_UNITS.len() {
        scaled /= KIB;
        unit += 1;
    }
    unit
}

fn in_unit(value: u64, unit: usize) -> String {
    if unit == 0 {
        return value.to_string();
    }
    three_digits(value as f64 / KIB.powi(i32::try_from(unit).unwrap_or(i32::MAX)))
}

fn three_digits(value: f64) -> String {
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$}")
}

/// `1,234,567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 site`, `2,000 sites`.
pub fn things(number: usize, name: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {name}{plural}", count(number as u64))
}

/// `350 ns`, `12.3 µs`, `4.20 s`, `1 min 30 s`, `2 h 05 min`, `3 d 04 h`.
pub fn duration(ns: u64) -> String {
    let seconds = ns as f64 / 1e9;
    let whole = ns / 1_000_000_000;
    match ns {
        0..1_000 => format!("{ns} ns"),
        1_000..1_000_000 => format!("{} µs", three_digits(ns as f64 / 1e3)),
        1_000_000..1_000_000_000 => format!("{} ms", three_digits(ns as f64 / 1e6)),
        _ if whole < 60 => format!("{} s", three_digits(seconds)),
        _ if whole < 3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ if whole < 86_400 => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {:02} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// `98.8 %` of a whole; empty when there is no whole.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return String::new();
    }
    let percent = part as f64 / whole as f64 * 100.0;
    if percent > 0.0 && percent < 0.1 { "< 0.1 %".to_owned() } else { format!("{percent:.1} %") }
}

/// Bytes with their error: `64.0 MiB`, `64.0 MiB ± 3.1`, `64.0 MiB ± 310 KiB`, `64.0 MiB or more`.
pub fn measured_bytes(measure: Measure) -> String {
    let value = bytes(measure.value);
    let Some(error) = error_of(measure) else { return value };
    let Some(error) = error else { return format!("{value} (at least {})", bytes(measure.low)) };
    let unit = byte_unit(measure.value);
    let same_unit = in_unit(error, unit);
    // A small error would read 0.00 in the unit of a large value.
    let readable = unit == byte_unit(error) || same_unit.chars().any(|digit| ('1'..='9').contains(&digit));
    if readable { format!("{value} ± {same_unit}") } else { format!("{value} ± {}", bytes(error)) }
}

/// A difference of bytes with its sign and error: `+12.0 MiB ± 2.10`, `−4.00 KiB`, `0 B`.
pub fn difference_bytes(difference: &Difference) -> String {
    format!("{}{}", sign(difference.value), measured_bytes(magnitude(difference)))
}

/// The same of things: `+1,200 ± 60`.
pub fn difference_count(difference: &Difference) -> String {
    format!("{}{}", sign(difference.value), measured_count(magnitude(difference)))
}

fn sign(value: i64) -> &'static str {
    match value {
        0 => "",
        1.. => "+",
        _ => "−",
    }
}

/// How large a difference is, whichever way; its error is the larger one to either side.
fn magnitude(difference: &Difference) -> Measure {
    let value = difference.value.unsigned_abs();
    let sides = difference.low.zip(difference.high);
    let error = sides.map(|(low, high)| difference.value.abs_diff(low).max(difference.value.abs_diff(high)));
    Measure {
        value,
        low: value.saturating_sub(error.unwrap_or(0)),
        high: error.map(|error| value.saturating_add(error)),
    }
}

/// How much a number grew by, in percent: `+12.5 %`; empty where it was 0.
pub fn growth(before: u64, after: u64) -> String {
    if before == 0 {
        return String::new();
    }
    let percent = (after as f64 / before as f64 - 1.0) * 100.0;
    match percent.abs() {
        0.0 => "0 %".to_owned(),
        0.0..0.05 => format!("{} < 0.1 %", sign(if percent < 0.0 { -1 } else { 1 })),
        size => format!("{}{size:.1} %", sign(if percent < 0.0 { -1 } else { 1 })),
    }
}

/// A number of things with its error: `1,000`, `1,000 ± 60`.
pub fn measured_count(measure: Measure) -> String {
    let value = count(measure.value);
    match error_of(measure) {
        None => value,
        Some(Some(error)) => format!("{value} ± {}", count(error)),
        Some(None) => format!("{value} (at least {})", count(measure.low)),
    }
}

/// `1 block`, `1,000 ± 60 blocks`.
pub fn measured_things(measure: Measure, name: &str) -> String {
    let plural = if measure == Measure::exact(1) { "" } else { "s" };
    format!("{} {name}{plural}", measured_count(measure))
}

/// The larger side of the error: `None` for exact numbers, `Some(None)` when nothing bounds it above.
fn error_of(measure: Measure) -> Option<Option<u64>> {
    if measure.is_exact() {
        return None;
    }
    let below = measure.value.saturating_sub(measure.low);
    Some(measure.high.map(|high| high.saturating_sub(measure.value).max(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_digits() {
        let cases = [
            (0, "0 B"),
            (777, "777 B"),
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1536, "1.50 KiB"),
            // 777,000 / 1024 = 758.8.
            (777_000, "759 KiB"),
            // 999.6 KiB would need four digits: it is 0.976 MiB.
            (1_023_590, "0.98 MiB"),
            (64 << 20, "64.0 MiB"),
            (3 << 40, "3.00 TiB"),
            (u64::MAX, "16384 PiB"),
        ];
        cases.iter().for_each(|(value, expected)| assert_eq!(bytes(*value), *expected));
    }

    #[test]
    fn counts_are_grouped() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")];
        cases.iter().for_each(|(value, expected)| assert_eq!(count(*value), *expected));
    }

    #[test]
    fn one_thing_is_no_plural() {
        assert_eq!(things(1, "site"), "1 site");
        assert_eq!(things(2_000, "crate"), "2,000 crates");
        assert_eq!(measured_things(Measure::exact(1), "block"), "1 block");
        assert_eq!(measured_things(Measure::exact(1_000), "block"), "1,000 blocks");
    }

    #[test]
    fn durations_read_well() {
        let cases = [
            (350, "350 ns"),
            (12_300, "12.3 µs"),
            (1_500_000, "1.50 ms"),
            (4_200_000_000, "4.20 s"),
            (90_000_000_000, "1 min 30 s"),
            (7_500_000_000_000, "2 h 05 min"),
            (273_600_000_000_000, "3 d 04 h"),
        ];
        cases.iter().for_each(|(value, expected)| assert_eq!(duration(*value), *expected));
    }

    #[test]
    fn shares_of_nothing_are_not_shown() {
        assert_eq!(share(1, 0), "");
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(1, 1_000_000), "< 0.1 %");
        assert_eq!(share(0, 5), "0.0 %");
    }

    #[test]
    fn estimates_show_their_error() {
        let measure = |value, low, high| Measure { value, low, high };
        assert_eq!(measured_bytes(Measure::exact(64 << 20)), "64.0 MiB");
        // The larger side: 3 MiB above, 2 MiB below.
        assert_eq!(measured_bytes(measure(64 << 20, 62 << 20, Some(67 << 20))), "64.0 MiB ± 3.00");
        assert_eq!(measured_bytes(measure(64 << 20, (64 << 20) - 10, Some((64 << 20) + 10))), "64.0 MiB ± 10 B");
        assert_eq!(measured_bytes(measure(64 << 20, 62 << 20, None)), "64.0 MiB (at least 62.0 MiB)");
        assert_eq!(measured_count(measure(1000, 940, Some(1060))), "1,000 ± 60");
    }
}
