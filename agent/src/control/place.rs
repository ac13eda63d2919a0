//! Where the control socket is: `PID.sock` in a directory of the user's alone, `$XDG_RUNTIME_DIR/plimsoll` or
//! `/tmp/plimsoll-UID`. Sockets that dead processes left there are removed.

use std::fs::{self, File, Permissions};
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::own_file::OwnFile;
use crate::{shared_arena, sys};

/// Entries of the directory that are looked at when stale sockets are removed.
const MOST_ENTRIES: usize = 4096;

/// A socket that listens.
pub(super) struct Listener {
    pub(super) socket: OwnFile,
    pub(super) path: PathBuf,
}

impl Listener {
    /// The listening socket, if it is still there and can be found.
    pub(super) fn get(&self) -> Option<&File> {
        // Directories for temporary files are swept.
        let is_swept = self.path.symlink_metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound);
        self.socket.get().ok().filter(|_| !is_swept)
    }
}

/// Listens at the first place that can be had.
///
/// # Errors
/// None can; why, for each.
pub(super) fn listen() -> Result<Listener, String> {
    let mut reasons = Vec::new();
    for directory in directories() {
        match own_directory(&directory).and_then(|()| listen_in(&directory)) {
            Ok(listener) => return Ok(listener),
            Err(why) => reasons.push(why),
        }
    }
    Err(reasons.join("; "))
}

/// Directories for sockets, best first.
fn directories() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !sys::is_privileged()).map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute()).map(|path| path.join("plimsoll"));
    runtime.into_iter().chain([in_tmp()]).collect()
}

fn in_tmp() -> PathBuf {
    PathBuf::from(format!("/tmp/plimsoll-{}", sys::user()))
}

/// The directory for captures of which nobody said where they are to go.
///
/// # Errors
/// It cannot be made, or is not the user's alone.
pub(super) fn for_captures() -> Result<PathBuf, String> {
    let directory = in_tmp();
    own_directory(&directory)?;
    Ok(directory)
}

/// Makes a directory for the user alone, or sees that it is one that nobody else can put another in place of.
fn own_directory(path: &Path) -> Result<(), String> {
    shared_arena::private_directory(path)?;
    let parent = path.parent().and_then(|parent| parent.metadata().ok());
    let is_safe = parent.is_some_and(|parent| {
        let is_sticky = parent.mode() & 0o1000 != 0;
        [0, sys::user()].contains(&parent.uid()) && (is_sticky || parent.mode() & 0o022 == 0)
    });
    if is_safe { Ok(()) } else { Err(format!("{}: others may rename it", path.display())) }
}

fn listen_in(directory: &Path) -> Result<Listener, String> {
    let path = directory.join(format!("{}.sock", std::process::id()));
    let said = |error: io::Error| format!("{}: {error}", path.display());
    if path.symlink_metadata().is_ok() {
        // Of a dead process of the same number, unless one answers: in another container perhaps.
        if sys::is_listened_to(&path).is_ok() {
            return Err(said(ErrorKind::AddrInUse.into()));
        }
        fs::remove_file(&path).map_err(said)?;
    }
    let listener = UnixListener::bind(&path).map_err(said)?;
    // Nobody else comes into the directory; the socket itself says the same.
    fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(said)?;
    listener.set_nonblocking(true).map_err(said)?;
    let socket = OwnFile::new(File::from(OwnedFd::from(listener))).map_err(said)?;
    Ok(Listener { socket, path })
}

/// Removes sockets that nobody listens on any more, beside `own`.
pub(super) fn clean_beside(own: &Path) {
    let Some(entries) = own.parent().and_then(|directory| fs::read_dir(directory).ok()) else { return };
    for entry in entries.flatten().take(MOST_ENTRIES) {
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".sock"));
        let Some(pid) = name.and_then(|name| name.parse::<u32>().ok()) else { continue };
        // A process of another container may have a number that is nobody's here, and listen.
        if path != own && !sys::process_exists(pid) && is_stale(&path) {
            let _ = fs::remove_file(&path);
        }
    }
}

fn is_stale(path: &Path) -> bool {
    sys::is_listened_to(path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}
