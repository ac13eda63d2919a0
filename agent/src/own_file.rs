//! A file that the agent keeps open, used and closed only while its descriptor is still the agent's.
//!
//! Daemons close every descriptor they find, and the next file that the program opens gets the agent's number: what the
//! agent then wrote would go into the program's database, and what it closed would be the program's. So the file behind the
//! number is looked at before each use, and numbers are taken that programs rarely come to.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;

/// Numbers from here on, where the process may have so many.
const FROM: i32 = 512;

/// See the module's description.
#[derive(Debug)]
pub(crate) struct OwnFile {
    /// `None` only while it is dropped.
    file: Option<File>,
    /// Device and number of the file on it.
    identity: (u64, u64),
}

fn identity(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|metadata| (metadata.dev(), metadata.ino()))
}

impl OwnFile {
    /// Takes a file over that was just opened.
    ///
    /// # Errors
    /// The system does not say what file it is.
    pub(crate) fn new(file: File) -> io::Result<OwnFile> {
        let identity = identity(&file)?;
        Ok(OwnFile { file: Some(moved_up(file)), identity })
    }

    /// The file, if the descriptor is still that of the file which was opened.
    ///
    /// # Errors
    /// It was closed, and may be another file's by now.
    pub(crate) fn get(&self) -> io::Result<&File> {
        let lost = || io::Error::from_raw_os_error(libc::EBADF);
        let file = self.file.as_ref().ok_or_else(lost)?;
        if identity(file)? == self.identity { Ok(file) } else { Err(lost()) }
    }
}

impl OwnFile {
    /// Takes the same file over once more, which was opened anew since its descriptor was closed.
    ///
    /// # Errors
    /// It is another file.
    pub(crate) fn replace(&mut self, file: File) -> io::Result<()> {
        if identity(&file)? != self.identity {
            return Err(io::Error::other("another file has taken its place"));
        }
        // Its number is not ours any more, or the new descriptor's, which must not be closed in its name.
        std::mem::forget(self.file.take());
        self.file = Some(moved_up(file));
        Ok(())
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        if self.get().is_err() {
            // Not ours to close. (In builds with debug assertions the standard library would even end the process.)
            std::mem::forget(self.file.take());
        }
    }
}

/// The same file by a descriptor that is not among the program's first; as it is where that is refused.
fn moved_up(file: File) -> File {
    // SAFETY: the descriptor is open; the new one, if there is one, is nobody's yet.
    unsafe {
        match libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, FROM) {
            moved if moved >= FROM => File::from_raw_fd(moved),
            _ => file,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::IntoRawFd;
    use std::os::unix::fs::FileExt;

    #[test]
    fn a_file_whose_number_was_taken_is_neither_used_nor_closed() {
        let own = OwnFile::new(tempfile::tempfile().expect("a file")).expect("known");
        assert!(own.get().expect("ours").write_all_at(b"ours", 0).is_ok());
        let number = own.file.as_ref().expect("kept").as_raw_fd();
        assert!(number >= FROM);
        let other = tempfile::tempfile().expect("a file").into_raw_fd();
        // SAFETY: both descriptors are this test's; the second takes the number of the first.
        let taken = unsafe {
            assert_eq!(libc::dup2(other, number), number);
            libc::close(other);
            File::from_raw_fd(number)
        };
        assert_eq!(own.get().expect_err("another's").raw_os_error(), Some(libc::EBADF));
        drop(own);
        assert!(taken.write_all_at(b"the program's", 0).is_ok(), "it is still open");
    }

    #[test]
    fn a_file_that_was_opened_anew_under_the_same_number_stays_open() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        let mut own = OwnFile::new(File::create(&path).expect("made")).expect("known");
        let number = own.file.as_ref().expect("kept").as_raw_fd();
        // SAFETY: what a daemon does to descriptors that it does not know. The number is the next one that is given out.
        unsafe { libc::close(number) };
        let again = File::options().write(true).open(&path).expect("opened");
        own.replace(again).expect("the same file");
        assert!(own.get().expect("open").write_all_at(b"on", 0).is_ok());
    }

    #[test]
    fn a_file_that_was_closed_is_not_closed_again() {
        let own = OwnFile::new(tempfile::tempfile().expect("a file")).expect("known");
        // SAFETY: what a daemon does to descriptors that it does not know.
        unsafe { libc::close(own.file.as_ref().expect("kept").as_raw_fd()) };
        assert_eq!(own.get().expect_err("closed").raw_os_error(), Some(libc::EBADF));
    }
}
