//! Numbers and names as short as a terminal needs them.

use crate::present::{safe, units};

/// `+1.20 MiB`, `−3.00 KiB`, `0 B`.
pub(super) fn change(bytes: i64) -> String {
    let size = units::bytes(bytes.unsigned_abs());
    match bytes {
        0 => size,
        1.. => format!("+{size}"),
        _ => format!("−{size}"),
    }
}

/// A name made safe and cut to `width` characters; what is cut is its start, since names of functions end in what they are.
pub(super) fn tail(name: &str, width: usize) -> String {
    let name = safe(name);
    let length = name.chars().count();
    if length <= width {
        return name.into_owned();
    }
    let kept: String = name.chars().skip(length - width.saturating_sub(1).min(length)).collect();
    format!("…{kept}")
}

/// A text made safe and cut to `width` characters at its end.
pub(super) fn head(text: &str, width: usize) -> String {
    let text = safe(text);
    if text.chars().count() <= width {
        return text.into_owned();
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A line in pieces of `width` characters at most.
pub(super) fn wrapped(line: &str, width: usize) -> Vec<String> {
    let characters: Vec<char> = line.chars().collect();
    if characters.is_empty() {
        return vec![String::new()];
    }
    characters.chunks(width.max(1)).map(|piece| piece.iter().collect()).collect()
}

/// A row of bars of `width` columns at most, `value` of `most` long, in eighths of a column.
pub(super) fn bar(value: u64, most: u64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = u128::from(value.min(most)) * width as u128 * 8 / u128::from(most.max(1));
    let eighths = usize::try_from(eighths).unwrap_or(0);
    // Something is never nothing.
    let eighths = if value > 0 { eighths.max(1) } else { 0 };
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS.get(eighths % 8).copied().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_keep_their_end_and_texts_their_start() {
        assert_eq!(
            (tail("service::cache::insert", 8), head("service::cache", 8)),
            ("…:insert".into(), "service…".into())
        );
        assert_eq!((tail("short", 8), tail("", 0)), ("short".into(), String::new()));
        assert_eq!(tail("a\x1b[31m", 40), r"a\u{1b}[31m");
    }

    #[test]
    fn long_lines_go_on_below() {
        assert_eq!(wrapped("abcde", 2), ["ab", "cd", "e"]);
        assert_eq!(wrapped("", 2), [""]);
    }

    #[test]
    fn bars_are_drawn_in_eighths() {
        assert_eq!([bar(0, 8, 4), bar(8, 8, 4), bar(3, 8, 1), bar(1, 1_000, 2)], ["", "████", "▍", "▏"]);
        assert_eq!(bar(u64::MAX, 1, 3), "███");
    }

    #[test]
    fn changes_have_a_sign() {
        assert_eq!([change(2048), change(-1024), change(0)], ["+2.00 KiB", "−1.00 KiB", "0 B"]);
    }
}
