//! Why a capture could not be loaded: one line each, naming the file, what was found and what to do.

use std::io;
use std::path::PathBuf;

/// Why a capture could not be loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// There is no such file.
    #[error("cannot open capture {}: there is no such file; check the path given as PLIMSOLL_OUTPUT", .path.display())]
    Missing {
        /// As the user named it.
        path: PathBuf,
    },
    /// It is a directory.
    #[error("cannot open capture {}: it is a directory; name one of the .plim files in it", .path.display())]
    Directory {
        /// As the user named it.
        path: PathBuf,
    },
    /// It is a pipe, a device or a socket.
    #[error("cannot open capture {}: it is not a regular file; copy the capture into a file first", .path.display())]
    NotRegular {
        /// As the user named it.
        path: PathBuf,
    },
    /// The system refused to open or read it.
    #[error("cannot read capture {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It has no bytes.
    #[error("cannot read capture {}: the file is empty; the program ended before it wrote anything, or the disk was full", .path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Nothing in it looks like a capture.
    #[error("cannot read {}: not a Plimsoll capture; captures are written by programs that link the plimsoll crate and run with PLIMSOLL_OUTPUT set", .path.display())]
    NotACapture {
        /// The file.
        path: PathBuf,
    },
    /// It was written by a newer version.
    #[error("cannot read capture {}: its format is version {found}, this program reads up to version {supported}; install a newer plimsoll", .path.display())]
    NewerVersion {
        /// The file.
        path: PathBuf,
        /// Version in the file.
        found: u16,
        /// Newest version that can be read.
        supported: u16,
    },
    /// It begins like a capture, and no block of it says which program wrote it.
    #[error("cannot read capture {}: no readable header record in its {bytes} bytes; it was cut off at its start or is damaged beyond reading", .path.display())]
    NoHeader {
        /// The file.
        path: PathBuf,
        /// Bytes in it.
        bytes: u64,
    },
    /// The system gave no thread to read with.
    #[error("cannot start a thread to read a capture with: {0}; raise the limit of processes and try again")]
    Thread(#[source] io::Error),
}
