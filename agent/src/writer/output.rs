//! The capture's files: created safely, written at known offsets, and cut into segments when they are bounded.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use plimsoll_format::file_header;

use crate::error::Kind;
use crate::own_file::OwnFile;

/// Segments kept of a bounded capture, the current one included.
const SEGMENTS: u64 = 5;

/// How often a file is opened anew for one write: whoever closes all descriptors, one by one, closes the new one too.
const CLOSED_AGAIN: usize = 3;

/// See the module's description.
pub(crate) struct Output {
    base: PathBuf,
    file: OwnFile,
    /// Where the next block goes. After a failed write it has not moved, so that a part is overwritten.
    offset: u64,
    segment: u32,
    segment_bytes: Option<u64>,
    /// Size of the present segment's opening: a segment is not given up before it holds as much again.
    opening_bytes: u64,
    kept: VecDeque<PathBuf>,
    dropped: u32,
}

impl Output {
    /// Creates the first segment: at `output`, or in that directory under a new name.
    pub(crate) fn create(output: &Path, max_bytes: Option<u64>) -> Result<Output, Kind> {
        let failed = |doing: &'static str, path: &Path, error: &io::Error| Kind::Output {
            doing,
            path: path.to_owned(),
            error: error.to_string(),
        };
        let output = std::path::absolute(output).map_err(|error| failed("find the place of", output, &error))?;
        let ends_in_slash = output.as_os_str().as_encoded_bytes().ends_with(b"/");
        if ends_in_slash {
            std::fs::create_dir_all(&output).map_err(|error| failed("make the directory", &output, &error))?;
        }
        let base = if output.is_dir() { output.join(new_name()) } else { output };
        if let Some(existing) = leftover_segment(&base) {
            return Err(Kind::OutputExists(existing));
        }
        let file = create(&base).and_then(OwnFile::new).map_err(|error| match error.kind() {
            io::ErrorKind::AlreadyExists => Kind::OutputExists(base.clone()),
            _ => failed("create", &base, &error),
        })?;
        Ok(Output {
            kept: VecDeque::from([base.clone()]),
            base,
            file,
            offset: 0,
            segment: 0,
            segment_bytes: max_bytes.map(|bytes| bytes / SEGMENTS),
            opening_bytes: 0,
            dropped: 0,
        })
    }

    /// Path of the first segment.
    pub(crate) fn base(&self) -> &Path {
        &self.base
    }

    /// Path of the present segment.
    pub(super) fn current(&self) -> &Path {
        self.kept.back().map_or(&self.base, PathBuf::as_path)
    }

    pub(super) fn segment(&self) -> u32 {
        self.segment
    }

    /// Length of the present segment.
    pub(super) fn bytes(&self) -> u64 {
        self.offset
    }

    pub(super) fn dropped(&self) -> u32 {
        self.dropped
    }

    pub(super) fn is_bounded(&self) -> bool {
        self.segment_bytes.is_some()
    }

    /// Writes whole blocks behind what is there.
    pub(super) fn append(&mut self, blocks: &[u8]) -> io::Result<()> {
        let is_closed =
            |written: &io::Result<()>| written.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EBADF));
        let mut written = self.write(blocks);
        for _ in 0..CLOSED_AGAIN {
            if !is_closed(&written) {
                break;
            }
            written = self.write(blocks);
        }
        if written.is_err() {
            // What was written in part is no part of the capture. If even this fails, the next write covers it.
            let _ = self.file.get().and_then(|file| file.set_len(self.offset));
        }
        written
    }

    fn write(&mut self, blocks: &[u8]) -> io::Result<()> {
        if self.file.get().is_err() {
            // Somebody has closed it, as daemons close all they find.
            let file =
                OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC).open(self.current())?;
            self.file.replace(file)?;
        }
        let file = self.file.get()?;
        if self.offset == 0 {
            let header = file_header();
            file.write_all_at(&header, 0)?;
            file.write_all_at(blocks, header.len() as u64)?;
            self.offset = (header.len() + blocks.len()) as u64;
        } else {
            file.write_all_at(blocks, self.offset)?;
            self.offset += blocks.len() as u64;
        }
        Ok(())
    }

    pub(super) fn is_segment_full(&self) -> bool {
        self.segment_bytes.is_some_and(|bytes| self.offset >= bytes.max(2 * self.opening_bytes))
    }

    /// Starts the next segment beside the first and drops the oldest when there are too many.
    pub(super) fn next_segment(&mut self) -> io::Result<()> {
        let path = numbered(&self.base, self.segment + 1);
        kill_point!("about to rotate");
        self.file = OwnFile::new(create(&path)?)?;
        kill_point!("segment created");
        self.segment += 1;
        self.offset = 0;
        self.opening_bytes = 0;
        self.kept.push_back(path);
        while self.kept.len() as u64 > SEGMENTS {
            if let Some(oldest) = self.kept.pop_front() {
                // Already gone is as good; anything else costs space and nothing more.
                let _ = std::fs::remove_file(oldest);
                self.dropped += 1;
            }
        }
        Ok(())
    }

    /// Says that the present segment holds its opening now.
    pub(super) fn segment_opened(&mut self) {
        self.opening_bytes = self.offset;
    }
}

/// Creates a file of our own: never an existing one, never through a link, for nobody else to read.
fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)
}

/// `run.plim` becomes `run.plim.3`.
fn numbered(base: &Path, segment: u32) -> PathBuf {
    let mut name = OsString::from(base);
    name.push(format!(".{segment}"));
    PathBuf::from(name)
}

/// A segment of an earlier capture of the same name, whose first segment may be gone.
fn leftover_segment(base: &Path) -> Option<PathBuf> {
    let name = base.file_name()?.as_encoded_bytes();
    let entries = std::fs::read_dir(base.parent()?).ok()?;
    entries.flatten().map(|entry| entry.path()).find(|path| {
        let number = path.file_name().and_then(|file| file.as_encoded_bytes().strip_prefix(name));
        let number = number.and_then(|rest| rest.strip_prefix(b"."));
        number.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    })
}

/// `<program>-<UTC start>-<pid>-<random>.plim`
fn new_name() -> String {
    let time = crate::sys::utc_now();
    format!(
        "{}-{:04}{:02}{:02}T{:02}{:02}{:02}Z-{}-{:08x}.plim",
        crate::session::program_name(),
        time.tm_year + 1900,
        time.tm_mon + 1,
        time.tm_mday,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        std::process::id(),
        crate::sys::random() as u32,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn check_refused(path: &Path, expected: &str) {
        let kind = Output::create(path, None).err().expect("refused");
        let text = crate::Error(kind).to_string();
        assert!(text.contains(expected) && text.contains(&path.display().to_string()), "{text}");
    }

    #[test]
    fn files_are_private_new_and_never_through_links() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.plim");
        let output = Output::create(&path, None).expect("created");
        assert_eq!(std::fs::metadata(output.base()).expect("there").permissions().mode() & 0o777, 0o600);
        check_refused(&path, "exists already");
        let link = directory.path().join("link.plim");
        std::os::unix::fs::symlink(directory.path().join("elsewhere"), &link).expect("a link");
        check_refused(&link, "exists already");
        check_refused(&directory.path().join("no/such/run.plim"), "cannot create");
    }

    #[test]
    fn a_leftover_segment_of_an_earlier_capture_is_refused_by_name() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("run.plim.7"), "").expect("a file");
        check_refused(&directory.path().join("run.plim"), "run.plim.7");
        assert!(Output::create(&directory.path().join("run2.plim"), None).is_ok());
    }

    #[test]
    fn a_directory_gets_a_new_file_each_time() {
        let directory = tempfile::tempdir().expect("a directory");
        let new = directory.path().join("captures/");
        for _ in 0..3 {
            Output::create(&new, None).expect("created");
        }
        assert_eq!(std::fs::read_dir(&new).expect("made").count(), 3);
    }

    #[test]
    fn segments_go_on_beside_the_first_and_the_oldest_are_dropped() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("run.plim");
        let mut output = Output::create(&path, Some(500)).expect("created");
        for segment in 1..=7 {
            output.append(&[0; 100]).expect("written");
            assert!(output.is_segment_full());
            output.next_segment().expect("created");
            assert_eq!(output.segment(), segment);
        }
        assert_eq!(output.dropped(), 3);
        let exists = |segment| numbered(&path, segment).exists();
        assert!(!path.exists() && !exists(2) && exists(3) && exists(7));
    }
}
