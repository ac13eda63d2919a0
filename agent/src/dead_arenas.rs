//! Arenas of processes that died without an end: saved beside their captures by the next start of the same program, since
//! the memory that they are in is not for ever, and counts.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use plimsoll_format::{ARENA_HEADER_BYTES, ArenaInfo, MAX_ARENA_BYTES, arena_beside, start_time_in, state_oom_kills};

use crate::config::KeepIn;
use crate::memory::oom_kills_of;
use crate::session::say;
use crate::shared_arena::candidates;
use crate::sys;

/// A process, told apart from others of the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) start_time: u64,
    pub(crate) boot_id: String,
    pub(crate) pid_namespace: String,
}

impl Identity {
    /// Of this process.
    pub(crate) fn own() -> Identity {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Identity {
            start_time: start_time(std::process::id()).unwrap_or(0),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            pid_namespace: namespace.to_string_lossy().into_owned(),
        }
    }

    /// Whether the process that made an arena is dead for certain.
    fn sees_dead(&self, info: &ArenaInfo) -> bool {
        info.is_dead(&self.boot_id, &self.pid_namespace, start_time)
    }
}

/// When a process started; `None` when there is none.
fn start_time(pid: u32) -> Option<u64> {
    start_time_in(&std::fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Saves the arenas that dead processes of `program` left, and says so. What cannot be saved stays where it is.
pub(crate) fn save(keep: &KeepIn, program: &str, own: &Identity) {
    let directories = match keep {
        KeepIn::Off => return,
        KeepIn::Directory(directory) => vec![directory.clone()],
        KeepIn::SharedMemory => candidates(),
    };
    let mut found = Vec::new();
    let entries = directories.iter().filter_map(|directory| std::fs::read_dir(directory).ok()).flatten().flatten();
    for path in entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|it| it == "arena")) {
        let Some((file, info)) = open(&path) else { continue };
        if info.program != program || !own.sees_dead(&info) {
            continue;
        }
        match save_one(&file, &info) {
            Ok(told) => {
                let _ = std::fs::remove_file(&path);
                found.extend(told);
            }
            Err(error) => say(&format!("cannot save {}, which a killed process left: {error}", path.display())),
        }
    }
    match found.as_slice() {
        [] => {}
        [one] => say(one),
        // One line, however many starts in a row have failed.
        [one, others @ ..] => say(&format!("{one}, and {} more: plimsoll report says what each held", others.len())),
    }
}

/// An arena of ours, and what it says of itself.
fn open(path: &Path) -> Option<(File, ArenaInfo)> {
    let flags = libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let metadata = file.metadata().ok()?;
    if !metadata.is_file() || metadata.uid() != sys::user() || metadata.len() > MAX_ARENA_BYTES {
        return None;
    }
    let mut header = vec![0; ARENA_HEADER_BYTES];
    file.read_exact_at(&mut header, 0).ok()?;
    let info = ArenaInfo::parse(&header).ok()?;
    Some((file, info))
}

/// Copies an arena to beside its capture. What is to be said of it; nothing when the capture is gone.
fn save_one(mut file: &File, info: &ArenaInfo) -> io::Result<Option<String>> {
    let capture = PathBuf::from(std::ffi::OsString::from_vec(info.capture.clone()));
    if !capture.symlink_metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let for_memory = state_oom_kills(&mut bytes, oom_kills_of(&info.oom_file)) == Some(true);
    let saved = arena_beside(&capture);
    let created = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&saved);
    match created {
        // Another start was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        created => created?.write_all_at(&bytes, 0).inspect_err(|_| drop(std::fs::remove_file(&saved)))?,
    }
    let killed = if for_memory { "was killed for memory" } else { "ended without a clean stop" };
    let pid = info.pid;
    Ok(Some(format!("the last run of this program (process {pid}) {killed}: plimsoll report {}", capture.display())))
}
