//! The few looks that text may have. They are stripped where the output is no terminal.

use std::fmt::Display;

use anstyle::{AnsiColor, Style};

const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();

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
