//! The arena that outlives the process: a file in memory (tmpfs) that holds the events on their way to the capture, so
//! that a SIGKILL loses none of them. The viewer finds it by the capture's session.
//!
//! Its file is removed when the session ends; the pages are all there from the start, since a hook that touched one for
//! which a full tmpfs has no room would be killed. Where it cannot be had the same tables are private memory, and the
//! capture says why.
//!
//! The writer takes events out in two steps: what it has put into blocks stays in the tables until these are written,
//! and [`SharedArena::state`] says so with one store. `format::arena` has the places and reads them.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use plimsoll_format::{ARENA_WORDS_AT, ArenaInfo, ArenaLayout, ArenaPlace, arena_word};

use crate::arena::{Arena, Zeroed};
use crate::config::KeepIn;
use crate::sys;

/// Words of the header that change.
const WORDS: usize = 16;
/// An arena takes this part of the cgroup's limit at most: it counts as the program's memory.
const SHARE_OF_LIMIT: u64 = 16;

/// Where tables are to be: in the file, or private.
pub(crate) enum Place {
    /// In this file, which is mapped piece by piece.
    File { file: File, path: PathBuf, layout: ArenaLayout },
    /// In private memory, for this reason.
    Private(String),
}

impl Place {
    /// Makes the file for `info`, or says why there is none.
    pub(crate) fn make(keep: &KeepIn, info: &ArenaInfo, limit_bytes: Option<u64>) -> Place {
        make(keep, info, limit_bytes).unwrap_or_else(Place::Private)
    }

    /// Room for `len` values at the place that `at` names, zeroed.
    pub(crate) fn map<T: Zeroed>(&self, at: impl FnOnce(&ArenaLayout) -> u64, len: usize) -> Option<Arena<T>> {
        match self {
            Place::File { file, layout, .. } if len > 0 => Arena::map_file(file, at(layout), len),
            _ => Arena::map(len),
        }
    }

    /// Removes the file of a session that does not start.
    pub(crate) fn give_up(&self) {
        if let Place::File { path, .. } = self {
            let _ = std::fs::remove_file(path);
        }
    }

    /// What the capture says of it.
    pub(crate) fn told(&self) -> ArenaPlace {
        match self {
            Place::File { path, .. } => ArenaPlace { path: path.to_string_lossy().into_owned(), reason: String::new() },
            Place::Private(reason) => ArenaPlace { path: String::new(), reason: reason.clone() },
        }
    }
}

fn make(keep: &KeepIn, info: &ArenaInfo, limit_bytes: Option<u64>) -> Result<Place, String> {
    let layout = info.layout();
    if let Some(limit) = limit_bytes.filter(|limit| layout.bytes > limit / SHARE_OF_LIMIT) {
        let (needed, limit) = (layout.bytes >> 10, limit >> 10);
        return Err(format!("{needed} KiB are more than 1/{SHARE_OF_LIMIT} of the cgroup's limit of {limit} KiB"));
    }
    if !crate::recorder::forgets_in_forks() {
        return Err("this system cannot hide memory from forked children (MADV_WIPEONFORK)".to_owned());
    }
    let header = info.header().ok_or("the capture's path is too long")?;
    let directory = directory(keep)?;
    let path = directory.join(format!("{:016x}-{}.arena", info.session, info.pid));
    let said = |doing: &str, error: io::Error| format!("cannot {doing} {}: {error}", path.display());
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(&path)
        .map_err(|error| said("create", error))?;
    let filled = sys::reserve(&file, layout.bytes).and_then(|()| file.write_all_at(&header, 0));
    if let Err(error) = filled {
        let _ = std::fs::remove_file(&path);
        return Err(said("fill", error));
    }
    kill_point!("arena made");
    Ok(Place::File { file, path, layout })
}

/// The directory for arenas: the one that was told, else one of our own in memory.
fn directory(keep: &KeepIn) -> Result<PathBuf, String> {
    match keep {
        KeepIn::Off => Err("it was turned off".to_owned()),
        KeepIn::Directory(directory) => Ok(directory.clone()),
        KeepIn::SharedMemory => {
            let mut why = String::new();
            for candidate in candidates() {
                match own_directory(&candidate) {
                    Ok(()) => return Ok(candidate),
                    Err(reason) => why = reason,
                }
            }
            Err(why)
        }
    }
}

/// Directories in memory where a user's arenas are kept, best first.
pub(crate) fn candidates() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").filter(|_| !sys::is_privileged()).map(PathBuf::from);
    let runtime = runtime.filter(|path| path.is_absolute()).map(|path| path.join("plimsoll"));
    let shm = PathBuf::from(format!("/dev/shm/plimsoll-{}", sys::user()));
    runtime.into_iter().chain([shm]).collect()
}

/// Makes a directory for the user alone, or sees that it is one, in memory.
fn own_directory(path: &Path) -> Result<(), String> {
    private_directory(path)?;
    if !sys::is_in_memory(path) {
        return Err(format!("{}: not in memory (tmpfs)", path.display()));
    }
    Ok(())
}

/// Makes a directory for the user alone, or sees that it is one.
///
/// # Errors
/// It cannot be made, or is not the user's alone.
pub(crate) fn private_directory(path: &Path) -> Result<(), String> {
    let said = |what: String| format!("{}: {what}", path.display());
    match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(said(error.to_string())),
        _ => {}
    }
    let metadata = path.symlink_metadata().map_err(|error| said(error.to_string()))?;
    if !metadata.is_dir() || metadata.uid() != sys::user() || metadata.mode() & 0o077 != 0 {
        return Err(said("not a directory of this user's alone".to_owned()));
    }
    Ok(())
}

/// The words of an arena that change, and its name.
pub(crate) struct SharedArena {
    words: Arena<AtomicU64>,
    path: Option<PathBuf>,
    pub(crate) told: ArenaPlace,
}

impl SharedArena {
    /// Of the place where the other tables are.
    pub(crate) fn map(place: &Place) -> Option<SharedArena> {
        let words = place.map(|_| 0, (ARENA_WORDS_AT >> 3) + WORDS)?;
        let path = match place {
            Place::File { path, .. } => Some(path.clone()),
            Place::Private(_) => None,
        };
        Some(SharedArena { words, path, told: place.told() })
    }

    fn word(&self, at: usize) -> Option<&AtomicU64> {
        self.words.get((ARENA_WORDS_AT >> 3) + at)
    }

    fn set(&self, at: usize, value: u64) {
        if let Some(word) = self.word(at) {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// How often the capture was brought up to date.
    pub(crate) fn epoch(&self) -> u64 {
        self.word(arena_word::EPOCH).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    /// States that the capture holds what was taken out, `bytes` long in its segment `segment` and with `ring_events` of
    /// all that were in the ring. By the writer.
    pub(crate) fn state(&self, segment: u32, bytes: u64, ring_events: u64) {
        let epoch = self.epoch().wrapping_add(1);
        let statement = arena_word::STATEMENTS + (epoch & 1) as usize * arena_word::STATEMENT;
        self.set(statement, u64::from(segment));
        self.set(statement + 1, bytes);
        self.set(statement + 2, ring_events);
        kill_point!("statement written");
        if let Some(word) = self.word(arena_word::EPOCH) {
            word.store(epoch, Ordering::Release);
        }
        kill_point!("epoch moved");
    }

    /// The writer has looked round.
    pub(crate) fn looked_round(&self, ticks: u64) {
        self.set(arena_word::LAST_TICKS, ticks);
    }

    /// States how many kills for want of memory the cgroup had counted at the start.
    pub(crate) fn set_oom_kills(&self, kills: Option<u64>) {
        self.set(arena_word::OOM_KILLS_BEFORE, kills.map_or(0, |kills| kills.saturating_add(1)));
    }

    /// Removes the file: the capture holds everything.
    pub(crate) fn remove(&self) {
        if let Some(path) = &self.path {
            // Gone already is as good; a leftover is found dead by the next start.
            let _ = std::fs::remove_file(path);
        }
    }

    /// Bytes of the header.
    pub(crate) fn touched_bytes(&self) -> u64 {
        plimsoll_format::ARENA_HEADER_BYTES as u64
    }
}
