//! Is the process that writes a capture still there?
//!
//! A process is known by its number and its start time: numbers are given out again. Both stand in the session's arena;
//! without one the process is the first that is seen under its number with its program's name.

use std::fs;
use std::path::Path;

use plimsoll_format::Header;

use crate::capture::{of_session, start_time};

/// Whether a process is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Life {
    /// It runs.
    Alive,
    /// It is gone, or only waits to be asked for its status.
    Dead,
    /// It cannot be seen from here: of another namespace, or never met.
    Unknown,
}

/// Watches one process.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Its number and its start time.
    known: Option<(u32, u64)>,
    /// The arena was looked for.
    has_looked: bool,
}

impl Watch {
    /// Looks at the process that wrote `header` into the capture `base`, which may have told where its arena is.
    pub(super) fn look(&mut self, header: &Header, base: &Path, arena: Option<&Path>) -> Life {
        if self.known.is_none() {
            if !std::mem::replace(&mut self.has_looked, true) {
                self.known = of_session(header.session, base, arena).and_then(|arena| arena.process_here());
            }
            self.known = self.known.or_else(|| by_name(header));
        }
        match self.known {
            Some((pid, start)) if start_time(pid) == Some(start) => Life::Alive,
            Some(_) => Life::Dead,
            None => Life::Unknown,
        }
    }
}

/// A process with the header's number that runs the header's program.
fn by_name(header: &Header) -> Option<(u32, u64)> {
    let program = fs::read_link(format!("/proc/{}/exe", header.pid)).ok()?;
    let name = program.file_name()?.to_string_lossy().into_owned();
    // A program that was replaced while it runs is shown with this ending.
    let is_it = name.strip_suffix(" (deleted)").unwrap_or(&name) == header.program;
    Some((header.pid, start_time(header.pid).filter(|_| is_it)?))
}

#[cfg(test)]
mod tests {
    use plimsoll_format::Mode;

    use crate::testing::header;

    use super::*;

    #[test]
    fn another_process_of_the_same_number_is_not_it() {
        let program = std::env::current_exe().unwrap();
        let program = program.file_name().unwrap().to_string_lossy().into_owned();
        let mine = Header { pid: std::process::id(), program, ..header(Mode::Exact, 1) };
        let look = |watch: &mut Watch, header: &Header| watch.look(header, Path::new("/nowhere/a.plim"), None);
        let mut watch = Watch::default();
        assert_eq!(look(&mut watch, &mine), Life::Alive);
        let (pid, start) = watch.known.unwrap();
        let mut earlier = Watch { known: Some((pid, start - 1)), has_looked: true };
        assert_eq!(look(&mut earlier, &mine), Life::Dead);
        let other = Header { program: "another".into(), ..mine };
        assert_eq!(look(&mut Watch::default(), &other), Life::Unknown, "its number runs another program");
    }
}
