//! Why a command failed, one line each.

use std::io;
use std::path::PathBuf;

use crate::capture::LoadError;
use crate::view::AtError;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// The capture could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `--at` means nothing in this capture.
    #[error(transparent)]
    At(#[from] AtError),
    /// Standard output could not be written.
    #[error("cannot write to standard output: {0}")]
    Output(#[source] io::Error),
    /// A file could not be written.
    #[error("cannot write {}: {source}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The command cannot be carried out, and why.
    #[error("{0}")]
    Refused(String),
    /// A check failed; everything is said already.
    #[error("a check failed")]
    Failed,
    /// What was watched is as bad as this code says; everything is said already.
    #[error("alerts are raised; exit code {0}")]
    Alerts(u8),
    /// The program that was run ended with this code, which is passed on; everything is said already.
    #[error("the program ended with exit code {0}")]
    Child(u8),
}
