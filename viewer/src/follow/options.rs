//! What is followed, and how.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::level::Levels;
use super::look::LookOptions;

/// The shortest and the longest time between two pictures.
pub const EVERY: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));

/// Something with captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// One capture, with its segments. It need not be there yet.
    Capture(PathBuf),
    /// The captures in a directory, those to come included.
    Directory(PathBuf),
    /// The captures that a process records.
    Pid(u32),
    /// The captures of all processes that record with an arena in shared memory.
    Recording,
}

impl Target {
    /// What a person names: an existing file or directory, else a process by its number, else a directory (it ends in a
    /// slash) or a capture to come.
    pub fn named(text: &Path) -> Target {
        let pid = text.to_str().and_then(|text| text.parse().ok());
        match std::fs::metadata(text) {
            Ok(metadata) if metadata.is_dir() => Target::Directory(text.to_owned()),
            Ok(_) => Target::Capture(text.to_owned()),
            Err(_) => match pid {
                Some(pid) => Target::Pid(pid),
                None if text.as_os_str().as_encoded_bytes().ends_with(b"/") => Target::Directory(text.to_owned()),
                None => Target::Capture(text.to_owned()),
            },
        }
    }
}

/// What is followed, and how.
#[derive(Debug, Clone)]
pub struct FollowOptions {
    /// Where captures are.
    pub targets: Vec<Target>,
    /// Processes without a capture too: each a number, or a part of a name or a command line.
    pub processes: Vec<String>,
    /// Time between two pictures; held to [`EVERY`].
    pub every: Duration,
    /// When levels change.
    pub levels: Levels,
    /// A limit for each process in place of its cgroup's and the system's.
    pub limit_bytes: Option<u64>,
    /// How sites and verdicts are looked for in the background; `None` when nobody asks for them.
    pub look: Option<LookOptions>,
}

impl Default for FollowOptions {
    fn default() -> FollowOptions {
        FollowOptions {
            targets: Vec::new(),
            processes: Vec::new(),
            every: Duration::from_secs(1),
            levels: Levels::default(),
            limit_bytes: None,
            look: Some(LookOptions::default()),
        }
    }
}
