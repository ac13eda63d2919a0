//! Asks running programs: finds the control socket of a process, sends one request, takes one answer.
//!
//! A program listens when it was started with `PLIMSOLL_CONTROL=1`: at `PID.sock` in `plimsoll` below its user's
//! `XDG_RUNTIME_DIR`, or in `/tmp/plimsoll-UID`. The directory must be that user's alone, so that nobody else can answer.
//! Paths and the number are the process's own, which in a container are others than outside.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use plimsoll_format::control::{Answer, BadFrame, HEADER_BYTES, MAX_ANSWER_BYTES, Request};

/// Longest wait for an answer: a program that ends a capture takes up to ten seconds to write what it holds.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest wait for one of many programs to say what it does.
const GLANCE: Duration = Duration::from_secs(2);
/// Entries of a directory that are looked at.
const MAX_ENTRIES: usize = 4096;
/// Bytes of a process's environment that are read.
const MAX_ENVIRONMENT: u64 = 1 << 20;

/// Why a program could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// There is no such process.
    #[error("there is no process {0}; plimsoll ctl status lists those that listen")]
    NoProcess(u32),
    /// Its user alone may ask.
    #[error("process {pid} is of user {user}: only that user and root can control it")]
    OtherUser {
        /// The process.
        pid: u32,
        /// Its user.
        user: u32,
    },
    /// It has no control socket.
    #[error(
        "process {0} does not listen for control; start it with PLIMSOLL_CONTROL=1, or with .control(true) on the \
         session's builder"
    )]
    NotListening(u32),
    /// No program of this user has a control socket.
    #[error(
        "no program of this user listens for control: neither in {} nor where its processes keep their sockets; start one \
         with PLIMSOLL_CONTROL=1",
        paths(.0)
    )]
    Nobody(Vec<PathBuf>),
    /// More than one has.
    #[error("{} programs listen, as processes {}: say which; plimsoll ctl status tells more of them", .0.len(), numbers(.0))]
    Several(Vec<u32>),
    /// The socket's directory is open to others.
    #[error("{}: not a directory of user {user} alone, so anybody may be at the other end; remove it", .directory.display())]
    NotPrivate {
        /// The directory.
        directory: PathBuf,
        /// Whose it should be.
        user: u32,
    },
    /// Nobody takes the connection.
    #[error("cannot connect to {}: {error}; has the program just ended?", .path.display())]
    Connect {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// No whole answer in time.
    #[error("no answer by {} within {} s; is the program stopped, or its disk stuck?", .path.display(), .waited.as_secs())]
    TimedOut {
        /// The socket.
        path: PathBuf,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The connection broke.
    #[error("{} ended the conversation without an answer{}", .path.display(), .why)]
    Ended {
        /// The socket.
        path: PathBuf,
        /// What the system said, after a colon, or nothing.
        why: String,
    },
    /// What came is no answer.
    #[error("{} answered {bad}{}", .path.display(), version_advice(bad))]
    BadAnswer {
        /// The socket.
        path: PathBuf,
        /// What is wrong with it.
        bad: BadFrame,
    },
}

fn paths(directories: &[PathBuf]) -> String {
    let directories: Vec<String> = directories.iter().map(|path| path.display().to_string()).collect();
    directories.join(", ")
}

fn numbers(pids: &[u32]) -> String {
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    pids.join(", ")
}

fn version_advice(bad: &BadFrame) -> &'static str {
    match bad {
        BadFrame::Version(_) => "; use a plimsoll of the version that the program links",
        _ => "",
    }
}

impl ControlError {
    /// That nobody listens, and where that was looked for.
    pub fn nobody() -> ControlError {
        ControlError::Nobody(own_directories())
    }
}

/// A program that listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Socket {
    /// Its process, as its socket is named.
    pub pid: u32,
    /// Its socket.
    pub path: PathBuf,
}

impl Socket {
    /// Asks it, and waits for the answer.
    ///
    /// # Errors
    /// It does not answer in time, or something else does.
    pub fn ask(&self, request: &Request) -> Result<Answer, ControlError> {
        exchange(&self.path, request, PATIENCE)
    }

    /// As [`Socket::ask`] for what takes no time, so that one that hangs does not keep the others waiting.
    ///
    /// # Errors
    /// It does not answer in time, or something else does.
    pub fn glance(&self, request: &Request) -> Result<Answer, ControlError> {
        exchange(&self.path, request, GLANCE)
    }
}

/// Asks a process by its number, and waits for the answer.
///
/// # Errors
/// There is no such process, it does not listen, is another user's, or does not answer in time.
pub fn ask(pid: u32, request: &Request) -> Result<Answer, ControlError> {
    find(pid)?.ask(request)
}

/// Whether a process has a control socket that may be asked. Looks at files only: the process does not notice.
pub fn reachable(pid: u32) -> bool {
    find(pid).is_ok()
}

/// The control socket of a process.
///
/// # Errors
/// There is no such process, it has none, or may not be asked.
pub fn find(pid: u32) -> Result<Socket, ControlError> {
    let process = Process::look(pid).ok_or(ControlError::NoProcess(pid))?;
    let own = own_user();
    if own != process.user && own != 0 {
        return Err(ControlError::OtherUser { pid, user: process.user });
    }
    let mut refused = None;
    // A service that was started by root and is another user by now still listens where root's do.
    let users = [process.user, own];
    for (user, directory, name) in users.iter().flat_map(|user| process.places(*user)) {
        let path = directory.join(name);
        if !is_socket(&path) {
            continue;
        }
        match is_private(&directory, user) {
            true => return Ok(Socket { pid, path }),
            false => refused = Some(ControlError::NotPrivate { directory, user }),
        }
    }
    Err(refused.unwrap_or(ControlError::NotListening(pid)))
}

/// Where sockets of this user's programs are, if they have the runtime directory that this program has.
fn own_directories() -> Vec<PathBuf> {
    directories(own_user(), std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from))
}

/// The programs of this user that have a control socket where this program would have it, by number. Looks at a few
/// directories alone.
pub fn listening() -> Vec<Socket> {
    let user = own_user();
    let mut found = Vec::new();
    for directory in own_directories() {
        if !is_private(&directory, user) {
            continue;
        }
        let entries = fs::read_dir(&directory).into_iter().flatten().flatten().take(MAX_ENTRIES);
        found.extend(entries.map(|entry| entry.path()).filter_map(|path| {
            let pid = path.file_name()?.to_str()?.strip_suffix(".sock")?.parse().ok()?;
            (is_socket(&path) && Path::new(&format!("/proc/{pid}")).exists()).then_some(Socket { pid, path })
        }));
    }
    found.sort();
    found.dedup_by_key(|socket| socket.pid);
    found
}

/// All programs of this user that have a control socket, by number: wherever [`find`] finds it. Looks at each of the user's
/// processes.
pub fn listening_anywhere() -> Vec<Socket> {
    let mut found = listening();
    let user = own_user();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let own = processes.filter(|process| process.metadata().is_ok_and(|metadata| metadata.uid() == user));
    let pids = own.filter_map(|process| process.file_name().to_str()?.parse().ok());
    found.extend(pids.filter_map(|pid| find(pid).ok()));
    found.sort();
    found.dedup_by_key(|socket| socket.pid);
    found
}

/// The one program of this user that has a control socket.
///
/// # Errors
/// There is none, or more than one.
pub fn the_one() -> Result<Socket, ControlError> {
    let mut sockets = listening_anywhere();
    match (sockets.len(), sockets.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) | (_, None) => Err(ControlError::nobody()),
        (_, Some(last)) => Err(ControlError::Several(sockets.iter().chain([&last]).map(|socket| socket.pid).collect())),
    }
}

/// What is known of a process from outside.
struct Process {
    pid: u32,
    /// The number that it has for itself.
    inner: u32,
    user: u32,
}

impl Process {
    fn look(pid: u32) -> Option<Process> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = |name: &str| status.lines().find_map(|line| line.strip_prefix(name));
        let user = line("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
        let inner = line("NSpid:").and_then(|numbers| numbers.split_whitespace().last()?.parse().ok());
        Some(Process { pid, inner: inner.unwrap_or(pid), user })
    }

    /// Where its socket may be if it was of this user when it began to listen: as it sees the file system itself, and as we do.
    fn places(&self, user: u32) -> Vec<(u32, PathBuf, String)> {
        let directories = directories(user, self.runtime_directory());
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        let inside = |path: &PathBuf| {
            let below = path.strip_prefix("/").unwrap_or(path);
            (user, root.join(below), format!("{}.sock", self.inner))
        };
        // In the same namespace both are the same, and the shorter name is the nicer one.
        let is_same = self.inner == self.pid;
        let seen =
            directories.iter().filter(|_| is_same).map(|path| (user, path.clone(), format!("{}.sock", self.pid)));
        seen.chain(directories.iter().map(inside)).collect()
    }

    /// `XDG_RUNTIME_DIR` as the process was started with.
    fn runtime_directory(&self) -> Option<PathBuf> {
        let mut bytes = Vec::new();
        let file = fs::File::open(format!("/proc/{}/environ", self.pid)).ok()?;
        file.take(MAX_ENVIRONMENT).read_to_end(&mut bytes).ok()?;
        let value = bytes.split(|byte| *byte == 0).find_map(|variable| variable.strip_prefix(b"XDG_RUNTIME_DIR="))?;
        Some(PathBuf::from(std::str::from_utf8(value).ok()?))
    }
}

/// Directories for the sockets of a user, best first.
fn directories(user: u32, runtime: Option<PathBuf>) -> Vec<PathBuf> {
    let usual = PathBuf::from(format!("/run/user/{user}"));
    let mut found: Vec<PathBuf> = Vec::new();
    for directory in runtime.into_iter().filter(|path| path.is_absolute()).chain([usual]) {
        let directory = directory.join("plimsoll");
        if !found.contains(&directory) {
            found.push(directory);
        }
    }
    found.push(PathBuf::from(format!("/tmp/plimsoll-{user}")));
    found
}

fn own_user() -> u32 {
    // That of a process with raised privileges, which nobody gives this program, would be root.
    fs::metadata("/proc/self").map_or(u32::MAX, |metadata| metadata.uid())
}

fn is_socket(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_socket())
}

fn is_private(directory: &Path, user: u32) -> bool {
    let metadata = fs::symlink_metadata(directory);
    metadata.is_ok_and(|found| found.is_dir() && found.uid() == user && found.mode() & 0o077 == 0)
}

fn exchange(path: &Path, request: &Request, patience: Duration) -> Result<Answer, ControlError> {
    let until = Instant::now() + patience;
    let timed_out = || ControlError::TimedOut { path: path.to_owned(), waited: patience };
    let ended = |error: &io::Error| ControlError::Ended { path: path.to_owned(), why: format!(": {error}") };
    let mut socket = connect(path, patience)?.ok_or_else(timed_out)?;
    let left = || until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()).ok_or_else(timed_out);
    socket.set_write_timeout(Some(left()?)).map_err(|error| ended(&error))?;
    // A program that turns us away may have closed its end already; what it said is there to be read.
    let sent = socket.write_all(&request.to_frame());
    let mut got = Vec::new();
    let mut piece = [0u8; 4096];
    loop {
        socket.set_read_timeout(Some(left()?)).map_err(|error| ended(&error))?;
        match socket.read(&mut piece) {
            Ok(0) => {
                let why = sent.as_ref().err().map(|error| format!(": {error}")).unwrap_or_default();
                return Err(ControlError::Ended { path: path.to_owned(), why });
            }
            Ok(length) => got.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return Err(timed_out());
            }
            Err(error) => return Err(ended(&error)),
        }
        let bad = |bad| ControlError::BadAnswer { path: path.to_owned(), bad };
        if let Some(answer) = Answer::from_frame(&got).map_err(bad)? {
            return Ok(answer);
        }
        if got.len() > HEADER_BYTES + MAX_ANSWER_BYTES {
            return Err(bad(BadFrame::TooLong(got.len() as u64)));
        }
    }
}

/// Connects; `None` when it takes too long, as it does for ever while the queue of a stopped program is full.
fn connect(path: &Path, patience: Duration) -> Result<Option<UnixStream>, ControlError> {
    let (sender, receiver) = mpsc::channel();
    let socket = path.to_owned();
    let failed = |error| ControlError::Connect { path: path.to_owned(), error };
    std::thread::Builder::new()
        .name("connect".to_owned())
        .spawn(move || drop(sender.send(UnixStream::connect(socket))))
        .map_err(failed)?;
    receiver.recv_timeout(patience).ok().transpose().map_err(failed)
}
