//! The menu as the text that Argos (GNOME), xbar and SwiftBar (macOS) read: the line of the bar, `---`, the lines of the menu,
//! each with its parameters after a `|`.

use super::bars::pango_text;
use super::{Do, Entry, Menu, Status, colour};

/// Bars that read a menu's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MenuBar {
    /// Of GNOME.
    Argos,
    /// Of macOS.
    Xbar,
    /// Of macOS.
    SwiftBar,
}

/// What stands in the bar, and the menu. `program` is the path of this one.
pub fn menu_text(bar: MenuBar, status: &Status, menu: &Menu, program: &str) -> String {
    let (title, level) = match &status.shown {
        Some(shown) => (format!("{} {}", shown.current(), shown.strip.bars), shown.strip.level),
        None => ("plimsoll".to_owned(), None),
    };
    let mut text = line(bar, &title, &format!("color={}", colour(level)));
    text.push_str("---\n");
    for entry in &menu.entries {
        match entry {
            Entry::Says { text: says, level } => {
                let colour = level.map(|level| format!("color={}", colour(Some(level)))).unwrap_or_default();
                text.push_str(&line(bar, says, &colour));
            }
            Entry::Does { text: says, what } => text.push_str(&line(bar, says, &run(bar, what, program))),
            Entry::Line => text.push_str("---\n"),
        }
    }
    text
}

/// A line whose text means nothing but itself.
fn line(bar: MenuBar, text: &str, parameters: &str) -> String {
    // What follows the sign are parameters; none of the three knows a way to write it as text.
    let text = text.replace('|', "¦");
    let (text, plain) = match bar {
        MenuBar::Argos => (pango_text(&text), "useMarkup=true emojize=false ansi=false"),
        MenuBar::Xbar => (text, "emojize=false ansi=false"),
        MenuBar::SwiftBar => (text, "emojize=false symbolize=false ansi=false"),
    };
    // A dash at the begin would nest the line or part the menu; spaces at both ends are cut off.
    let text = if text.starts_with('-') { format!("\u{2060}{text}") } else { text };
    let parameters = if parameters.is_empty() { plain.to_owned() } else { format!("{plain} {parameters}") };
    format!("{text} | {parameters}\n")
}

/// The parameters that run something.
fn run(bar: MenuBar, what: &Do, program: &str) -> String {
    let words: Vec<&str> = std::iter::once(program).chain(what.arguments.iter().map(String::as_str)).collect();
    let terminal = what.terminal;
    let command = match bar {
        // One line for a shell, in quotes.
        MenuBar::Argos => {
            let line: Vec<String> = words.iter().map(|word| quote(word)).collect();
            format!("bash={}", quote(&line.join(" ")))
        }
        MenuBar::Xbar | MenuBar::SwiftBar => {
            let key = |at: usize| match (at, bar) {
                (0, MenuBar::Xbar) => "shell".to_owned(),
                (0, _) => "bash".to_owned(),
                (at, _) => format!("param{at}"),
            };
            let words: Vec<String> = words
                .iter()
                .enumerate()
                .map(|(at, word)| format!("{}=\"{}\"", key(at), word.replace('"', "\\\"")))
                .collect();
            words.join(" ")
        }
    };
    format!("{command} terminal={terminal} refresh=true")
}

/// One word for a shell, whatever is in it.
pub(super) fn quote(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "/._-+:=@%,".contains(character);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', "'\\''"))
}
