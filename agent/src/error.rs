//! What can go wrong when a session starts or ends.

use std::fmt;
use std::path::PathBuf;

/// Why a session could not be started or finished. Prints as one line that names what was being done, what was found
/// and what to do.
#[derive(Debug, Clone)]
pub struct Error(pub(crate) Kind);

#[derive(Debug, Clone)]
pub(crate) enum Kind {
    BadVariable { name: &'static str, value: String, allowed: &'static str },
    OutputExists(PathBuf),
    Output { doing: &'static str, path: PathBuf, error: String },
    NoOutput,
    NotInstalled,
    BothHooks,
    AlreadyRecording,
    AlreadyListening,
    NoControl(String),
    NoMemory,
    NoThread(i32),
    BadInterval,
    BadMaxBytes(u64),
    NoZstd,
    Writing { path: PathBuf, error: String },
    WriterStuck(PathBuf),
}

impl From<Kind> for Error {
    fn from(kind: Kind) -> Error {
        Error(kind)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::BadVariable { name, value, allowed } => {
                write!(f, "{name}={value:?} is not valid; allowed: {allowed}")
            }
            Kind::OutputExists(path) => write!(
                f,
                "cannot record to {}: it exists already; remove it, choose another name, or give a directory (ending \
                 in '/') for a new file at each start",
                path.display()
            ),
            Kind::Output { doing, path, error } => write!(f, "cannot {doing} {}: {error}", path.display()),
            Kind::NoOutput => {
                f.write_str("no output was given: set PLIMSOLL_OUTPUT or call Builder::output before Builder::start")
            }
            Kind::NotInstalled => f.write_str(
                "plimsoll is not this program's allocator; add `#[global_allocator] static ALLOC: plimsoll::Allocator \
                 = plimsoll::Allocator::system();`",
            ),
            Kind::BothHooks => f.write_str(
                "both plimsoll::Allocator and the tracking-allocator adapter are installed, which would count \
                 everything twice; keep one of them",
            ),
            Kind::AlreadyRecording => {
                f.write_str("a session is already recording in this process; finish or drop it before starting another")
            }
            Kind::AlreadyListening => f.write_str(
                "this process listens for control already; finish or drop that session before starting another",
            ),
            Kind::NoControl(why) => write!(
                f,
                "cannot make a control socket: {why}; give XDG_RUNTIME_DIR a directory of this user's alone, or leave \
                 PLIMSOLL_CONTROL out"
            ),
            Kind::NoMemory => {
                f.write_str("the system refused memory for the agent's tables; is an address-space limit set?")
            }
            Kind::NoThread(error) => {
                let error = std::io::Error::from_raw_os_error(*error);
                write!(f, "cannot start the writer thread: {error}; is a limit on threads set?")
            }
            Kind::BadInterval => f.write_str("the sampling interval must be between 1 byte and 1 TiB"),
            Kind::BadMaxBytes(least) => write!(f, "the bound on the capture's size must be at least {least} bytes"),
            Kind::NoZstd => f.write_str(
                "this program's plimsoll was built without zstd; enable the feature \"zstd\" of the crate plimsoll, or \
                 ask for Compression::None",
            ),
            Kind::Writing { path, error } => write!(
                f,
                "writing {} failed: {error}; the capture holds what was written before, and says what is missing",
                path.display()
            ),
            Kind::WriterStuck(path) => write!(
                f,
                "the writer did not finish {} in time; the capture ends where it stands now (is its disk stuck?)",
                path.display()
            ),
        }
    }
}

impl std::error::Error for Error {}
