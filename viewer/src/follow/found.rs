//! Where captures are: those of a directory, of a process, of everything that records on this machine.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use plimsoll_format::FILE_MAGIC;

use crate::capture::{ArenaFile, in_shared_memory};

use super::options::Target;

/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 10_000;
/// A directory that was changed so long ago will have another time when it changes again.
const AT_REST: Duration = Duration::from_secs(2);
/// Open files of a process that are looked at.
const MAX_DESCRIPTORS: usize = 10_000;

/// A place where captures are, and what was found there.
#[derive(Debug)]
pub(super) struct Place {
    target: Target,
    /// When the directory was changed last, once it has been at rest for a while.
    listed: Option<SystemTime>,
    found: Result<Vec<PathBuf>, String>,
}

impl Place {
    pub(super) fn new(target: &Target) -> Place {
        Place { target: target.clone(), listed: None, found: Ok(Vec::new()) }
    }

    /// The captures there, by the names of their first segments, newest first; or why there are none.
    pub(super) fn captures(&mut self) -> &Result<Vec<PathBuf>, String> {
        match &self.target {
            Target::Capture(path) => self.found = Ok(vec![path.clone()]),
            Target::Directory(path) => {
                let changed = fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
                if changed.is_none() || changed != self.listed {
                    self.found = in_directory(path);
                    let age = changed.and_then(|changed| SystemTime::now().duration_since(changed).ok());
                    self.listed = changed.filter(|_| age.is_some_and(|age| age > AT_REST));
                }
            }
            Target::Pid(pid) => self.found = of_process(*pid),
            Target::Recording => self.found = Ok(recording(|_| true)),
        }
        &self.found
    }
}

/// Files named `*.plim` and captures in segments whose first one is gone.
fn in_directory(directory: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(directory)
        .map_err(|error| format!("cannot list {}: {error}; captures to come are waited for", directory.display()))?;
    let mut found: Vec<(SystemTime, PathBuf)> = Vec::new();
    for entry in entries.flatten().take(MAX_ENTRIES) {
        let Some(path) = capture_of(&entry.path()) else { continue };
        let modified = entry.metadata().and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        match found.iter_mut().find(|(_, known)| *known == path) {
            Some((newest, _)) => *newest = modified.max(*newest),
            None => found.push((modified, path)),
        }
    }
    found.sort_by(|one, other| (other.0, &one.1).cmp(&(one.0, &other.1)));
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// `NAME.plim` and `NAME.plim.7` as `NAME.plim`.
fn capture_of(path: &Path) -> Option<PathBuf> {
    let is_capture = |path: &Path| path.extension().is_some_and(|extension| extension == "plim");
    if is_capture(path) {
        return Some(path.to_owned());
    }
    let number = path.extension()?.to_str()?;
    let base = path.with_extension("");
    (number.bytes().all(|byte| byte.is_ascii_digit()) && is_capture(&base)).then_some(base)
}

/// What processes with an arena in shared memory record into.
fn recording(is_wanted: impl Fn(u32) -> bool) -> Vec<PathBuf> {
    let of = |arena: ArenaFile| {
        let info = arena.info.as_ref().ok().filter(|info| is_wanted(info.pid))?;
        let capture = PathBuf::from(OsString::from_vec(info.capture.clone()));
        arena.is_alive().then_some(capture)
    };
    let found: BTreeSet<PathBuf> = in_shared_memory().into_iter().filter_map(of).collect();
    found.into_iter().collect()
}

/// What a process records into: by its arena, else the captures that it holds open.
fn of_process(pid: u32) -> Result<Vec<PathBuf>, String> {
    let told = recording(|found| found == pid);
    if !told.is_empty() {
        return Ok(told);
    }
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))
        .map_err(|error| format!("cannot find the capture of process {pid}: {error}"))?;
    let links = entries.flatten().take(MAX_DESCRIPTORS).filter_map(|entry| fs::read_link(entry.path()).ok());
    let open: BTreeSet<PathBuf> = links.filter(|path| is_capture(path)).map(base_of).collect();
    if open.is_empty() {
        return Err(format!(
            "process {pid} records no capture: it runs without PLIMSOLL_OUTPUT, or does not link the agent"
        ));
    }
    Ok(open.into_iter().collect())
}

/// Whether a regular file begins as a capture does.
fn is_capture(path: &Path) -> bool {
    let is_regular = path.is_absolute() && fs::metadata(path).is_ok_and(|metadata| metadata.is_file());
    let mut start = [0; FILE_MAGIC.len()];
    is_regular && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == FILE_MAGIC
}

fn base_of(path: PathBuf) -> PathBuf {
    capture_of(&path).unwrap_or(path)
}
