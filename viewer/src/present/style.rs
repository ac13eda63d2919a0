//! The few looks that text may have. They are stripped where the output is no terminal.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// The title of a part.
pub(crate) fn heading(text: impl Display) -> String {
    format!("{HEADING}{text}{HEADING:#}")
}

/// What is read last.
pub(crate) fn faint(text: impl Display) -> String {
    format!("{FAINT}{text}{FAINT:#}")
}

/// What must not be missed.
pub(crate) fn warning(text: impl Display) -> String {
    format!("{WARNING}{text}{WARNING:#}")
}

/// What passed.
pub(crate) fn good(text: impl Display) -> String {
    format!("{GOOD}{text}{GOOD:#}")
}

/// What failed.
pub(crate) fn bad(text: impl Display) -> String {
    format!("{BAD}{text}{BAD:#}")
}
