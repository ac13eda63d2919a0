//! Checks as Markdown, for the page of a pull request. Names come from a capture, and must stay text there.

use super::check_words::{Checked, found, headline, limit, name, sentence, subject};
use super::safe::safe;
use super::verdict::why;
use crate::analysis::Status;

/// The whole text.
pub fn check_markdown(checked: &Checked<'_>) -> String {
    let profile = checked.view.profile;
    let mark = if checked.has_passed() { "✅" } else { "❌" };
    let program = plain(&profile.header.program);
    let mut text = format!("### {mark} Heap of {program}: {}\n\n", lower(&headline(checked)));
    text.push_str("| | check | found | limit |\n|---|---|---:|---:|\n");
    for check in checked.checks {
        let mark = match check.status {
            Status::Passed => "✅ passed",
            Status::Failed => "❌ failed",
            Status::Unknown => "❔ unknown",
        };
        text.push_str(&format!("| {mark} | {} | {} | {} |\n", subject(check.gate), found(check), limit(check)));
    }
    let said: Vec<String> = checked
        .checks
        .iter()
        .filter(|check| check.status != Status::Passed || check.doubt.is_some())
        .map(|check| format!("- **{}** ({}): {}\n", check.status.name(), name(check.gate), sentence(check)))
        .collect();
    text.push_str(&section(said));
    text.push_str(&section(sites(checked)));
    text.push_str(&section(checked.next_steps().iter().map(|step| format!("- {}\n", plain(step))).collect()));
    let warnings = checked.view.warnings.iter().map(|warning| format!("- warning: {}\n", plain(warning)));
    text.push_str(&section(warnings.collect()));
    text
}

fn section(lines: Vec<String>) -> String {
    if lines.is_empty() { String::new() } else { format!("\n{}", lines.concat()) }
}

/// The sites that leak, and those that may.
fn sites(checked: &Checked<'_>) -> Vec<String> {
    let listed = checked.listed();
    if listed.is_empty() {
        return Vec::new();
    }
    let mut rows = vec!["| verdict | site | why |\n|---|---|---|\n".to_owned()];
    for group in &listed {
        let Some(verdict) = &group.verdict else { continue };
        rows.push(format!("| {} | {} | {} |\n", verdict.class.name(), plain(&group.name), why(verdict, None)));
    }
    let more = checked.suspects().len().saturating_sub(listed.len());
    if more > 0 {
        rows.push(format!("\n{more} more with too little evidence.\n"));
    }
    rows
}

/// The first letter small: a headline goes on in a sentence.
fn lower(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Text that Markdown and HTML make nothing of: what could begin a mark is written by its number, since a backslash is no
/// help in a table's cell nor against HTML, and neither is a pair of backticks against a name with one. `@` and `#` would
/// call people and issues, a colon and `www.` would link.
fn plain(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in safe(text).chars() {
        if character.is_alphanumeric() || matches!(character, ' ' | '.' | ',' | '-' | '/' | '(' | ')' | '…') {
            escaped.push(character);
        } else {
            escaped.push_str(&format!("&#{};", u32::from(character)));
        }
    }
    escaped.replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_marks() {
        assert_eq!(plain("a|b`c<img>"), "a&#124;b&#96;c&#60;img&#62;");
        assert_eq!(plain("[x](http://y) @you #1 *b* _i_ ~s~"), {
            "&#91;x&#93;(http&#58;//y) &#64;you &#35;1 &#42;b&#42; &#95;i&#95; &#126;s&#126;"
        });
        assert_eq!(plain("www.example.org\n# x"), "www&#46;example.org&#92;u&#123;a&#125;&#35; x");
        assert_eq!(plain("Vec, push (é) 漢"), "Vec, push (é) 漢");
    }
}
