//! Finds what a killed process left in its arena: the events that it had recorded and not yet written.
//!
//! An arena is found by the capture's session: beside the capture, where the next start of the program saves it, or where
//! it was made. It is read only when its process is dead, and is as hostile as a capture.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use plimsoll_format::{
    ARENA_HEADER_BYTES, ArenaInfo, MAX_ARENA_BYTES, NoArena, Remains, arena_beside, oom_file, oom_kills_in,
    start_time_in, state_oom_kills,
};

use super::files::{FoundFiles, SegmentFile};

/// Number of the segment that an arena's events are given as: no file has it.
pub(crate) const ARENA_SEGMENT: u32 = u32::MAX;

/// An arena file, and what it says of itself.
#[derive(Debug)]
pub struct ArenaFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// What it says; an error when it is none, or its process died before it had made it.
    pub info: Result<ArenaInfo, NoArena>,
}

impl ArenaFile {
    /// Opens the start of one; `None` when there is no regular file of that size to be read.
    fn open(path: PathBuf) -> Option<ArenaFile> {
        let metadata = fs::symlink_metadata(&path).ok()?;
        if !metadata.is_file() || metadata.len() > MAX_ARENA_BYTES {
            return None;
        }
        let mut header = Vec::new();
        File::open(&path).ok()?.take(ARENA_HEADER_BYTES as u64).read_to_end(&mut header).ok()?;
        Some(ArenaFile { path, bytes: metadata.len(), info: ArenaInfo::parse(&header) })
    }

    /// Whether the process that made it still runs. One that cannot be told, of another namespace, counts as running.
    pub fn is_alive(&self) -> bool {
        let Ok(info) = &self.info else { return pid_in_name(&self.path).is_some_and(|pid| start_time(pid).is_some()) };
        let (boot, namespace) = here();
        !info.is_dead(&boot, &namespace, start_time)
    }

    /// Its process by number and start time, when it is one of this boot and of this namespace.
    pub(crate) fn process_here(&self) -> Option<(u32, u64)> {
        let info = self.info.as_ref().ok()?;
        let (boot, namespace) = here();
        let is_here = info.boot_id == boot && info.pid_namespace == namespace;
        is_here.then_some((info.pid, info.start_time))
    }

    /// What it holds.
    ///
    /// # Errors
    /// It cannot be read any more, or is no arena.
    pub fn remains(&self) -> Result<Remains, String> {
        Remains::of(&self.bytes_now().map_err(|error| error.to_string())?).map_err(|error| error.to_string())
    }

    /// All of it, to be kept: whether its process was killed for memory is stated in it, as the cgroup that says so will be
    /// gone.
    ///
    /// # Errors
    /// It cannot be read any more.
    pub fn to_keep(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = self.bytes_now()?;
        if let Ok(info) = &self.info {
            state_oom_kills(&mut bytes, oom_kills(&info.oom_file));
        }
        Ok(bytes)
    }

    fn bytes_now(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(&self.path)?.take(MAX_ARENA_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// `SESSION-PID.arena`
fn pid_in_name(path: &Path) -> Option<u32> {
    path.file_stem()?.to_str()?.split_once('-')?.1.parse().ok()
}

/// When a process started; `None` when there is none.
pub(crate) fn start_time(pid: u32) -> Option<u64> {
    start_time_in(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Id of the machine's boot, and name of the namespace that process ids are of.
fn here() -> (String, String) {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    (boot.trim().to_owned(), namespace.to_string_lossy().into_owned())
}

/// Arenas in the directories where agents make them, of all users that this one may see.
pub fn in_shared_memory() -> Vec<ArenaFile> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    let runtime = runtime.map(|path| path.join("plimsoll"));
    let shm = fs::read_dir("/dev/shm").into_iter().flatten().flatten();
    let shm =
        shm.filter(|entry| entry.file_name().to_string_lossy().starts_with("plimsoll-")).map(|entry| entry.path());
    let mut found: Vec<ArenaFile> = runtime.into_iter().chain(shm).flat_map(|directory| inside(&directory)).collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn is_arena(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "arena")
}

/// Arenas in a directory.
pub fn inside(directory: &Path) -> Vec<ArenaFile> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| is_arena(path)).filter_map(ArenaFile::open).collect()
}

/// What the process that recorded these files left in its arena, if it is dead and left one.
pub(super) fn find(files: &FoundFiles, base: &Path) -> Option<(ArenaFile, Remains)> {
    let told = files.files.iter().find_map(|file| file.arena.as_deref().filter(|path| is_arena(path)));
    let found = of_session(files.session, base, told).filter(|arena| !arena.is_alive())?;
    let mut remains = found.remains().ok()?;
    // As long as nobody has saved it, the cgroup may still be there.
    remains.oom_kills_after = remains.oom_kills_after.or_else(|| oom_kills(&remains.info.oom_file));
    Some((found, remains))
}

/// The arena of a session: saved beside its capture, where the capture `told` that it is, or among all of this machine.
pub(crate) fn of_session(session: u64, base: &Path, told: Option<&Path>) -> Option<ArenaFile> {
    let beside = arena_beside(base);
    let near = [Some(beside.as_path()), told.filter(|path| is_arena(path))];
    let near = near.into_iter().flatten().filter_map(|path| ArenaFile::open(path.to_owned()));
    let mut near: Vec<ArenaFile> = near.collect();
    near.extend(in_shared_memory());
    near.into_iter().find(|arena| arena.info.as_ref().is_ok_and(|info| info.session == session))
}

/// Kills for want of memory that a file of a cgroup counts; `None` for any other file.
fn oom_kills(path: &str) -> Option<u64> {
    let mut text = String::new();
    File::open(oom_file(path)?).ok()?.take(4096).read_to_string(&mut text).ok()?;
    oom_kills_in(&text)
}

/// Adds the remains to the files of a capture, and says of these which of their events the arena has, too.
pub(super) fn add(files: &mut FoundFiles, arena: &ArenaFile, remains: &Remains) {
    for file in &mut files.files {
        file.events_until = match file.number.cmp(&remains.segment) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(remains.written_bytes),
            std::cmp::Ordering::Greater => Some(0),
        };
    }
    files.files.push(SegmentFile::of_bytes(arena.path.clone(), ARENA_SEGMENT, remains.to_file(0)));
}
