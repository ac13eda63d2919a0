//! Standard output: colours on a terminal only, a closed pipe told apart from failure.

use std::io::Write;

use crate::present::json::to_line;

use super::error::CliError;

/// Prints a screen.
pub(super) fn print(text: &str) -> Result<(), CliError> {
    let mut out = anstream::stdout();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// Prints a JSON object.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result<(), CliError> {
    let line = to_line(value).map_err(|error| CliError::Output(error.into()))?;
    print(&line)
}
