//! Sizes as people write them: `4096`, `512KiB`, `1.5GB`.

use std::str::FromStr;

/// A number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

/// Letters of a unit and the power of 1024 (or 1000) they stand for.
const UNITS: [&str; 5] = ["k", "m", "g", "t", "p"];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Size, String> {
        let wrong = || format!("{text:?} is no size: expected a number and a unit, such as 512MiB, 2GB or 4096");
        let lower = text.trim().to_ascii_lowercase();
        let end = lower.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(lower.len());
        let (number, unit) = lower.split_at(end);
        let number: f64 = number.parse().map_err(|_| wrong())?;
        let unit = unit.trim();
        let factor = match unit.strip_suffix("ib").or_else(|| unit.strip_suffix('b')).unwrap_or(unit) {
            "" => 1.0,
            letter => {
                let power = UNITS.iter().position(|unit| *unit == letter).ok_or_else(wrong)? as i32 + 1;
                // As in 2GB; a bare letter and KiB are powers of 1024, as in memory limits.
                let is_decimal = unit.ends_with('b') && !unit.ends_with("ib");
                if is_decimal { 1000f64.powi(power) } else { 1024f64.powi(power) }
            }
        };
        let bytes = number * factor;
        if bytes.is_finite() && bytes < u64::MAX as f64 { Ok(Size(bytes as u64)) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_written() {
        let cases = [("4096", 4096), ("1KiB", 1024), ("1.5g", 3 << 29), ("2GB", 2_000_000_000), ("10 MiB", 10 << 20)];
        cases.iter().for_each(|(text, bytes)| assert_eq!(text.parse(), Ok(Size(*bytes)), "{text}"));
        for text in ["", "MiB", "1 parsec", "-1", "1e999999", "99999999999PiB", "1.2.3"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
