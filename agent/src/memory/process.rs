//! The resident set and its parts, from `/proc/self/status`, which is kept open: a read costs some microseconds
//! whatever the size of the process. Where there is no /proc, sysinfo gives the resident set alone.

use std::fs::File;
use std::os::unix::fs::FileExt;

use plimsoll_format::ProcessMemory;

use crate::own_file::OwnFile;

pub(super) struct ProcessFile {
    status: Option<OwnFile>,
    buffer: Vec<u8>,
}

impl ProcessFile {
    pub(super) fn open() -> ProcessFile {
        ProcessFile { status: open_status(), buffer: vec![0; 4096] }
    }

    pub(super) fn read(&mut self) -> ProcessMemory {
        self.status().map_or_else(from_sysinfo, |status| parse(&status))
    }

    /// Threads of the process, 0 where the system does not tell.
    pub(super) fn threads(&mut self) -> u32 {
        let status = self.status().unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("Threads:"));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    }

    fn status(&mut self) -> Option<std::borrow::Cow<'_, str>> {
        if self.status.as_ref().is_none_or(|file| file.get().is_err()) {
            self.status = open_status();
        }
        let len = self.status.as_ref()?.get().ok()?.read_at(&mut self.buffer, 0).ok()?;
        self.buffer.get(..len).map(String::from_utf8_lossy)
    }
}

fn open_status() -> Option<OwnFile> {
    File::open("/proc/self/status").and_then(OwnFile::new).ok()
}

fn parse(status: &str) -> ProcessMemory {
    let mut memory = ProcessMemory::default();
    for (name, value) in status.lines().filter_map(|line| line.split_once(':')) {
        let field = match name {
            "VmRSS" => &mut memory.rss_bytes,
            "RssAnon" => &mut memory.anon_bytes,
            "RssFile" => &mut memory.file_bytes,
            "RssShmem" => &mut memory.shmem_bytes,
            "VmSwap" => &mut memory.swap_bytes,
            "VmHWM" => &mut memory.peak_rss_bytes,
            _ => continue,
        };
        let kib: u64 = value.trim().trim_end_matches("kB").trim().parse().unwrap_or(0);
        *field = kib.saturating_mul(1024);
    }
    memory
}

fn from_sysinfo() -> ProcessMemory {
    use sysinfo::{Pid, ProcessRefreshKind, ProcessesToUpdate, System};
    let pid = Pid::from_u32(std::process::id());
    let Ok(mut system) = System::new() else { return ProcessMemory::default() };
    let what = ProcessRefreshKind::nothing().with_memory().without_tasks();
    system.refresh_processes_specifics(ProcessesToUpdate::Some(&[pid]), false, what);
    let rss_bytes = system.process(pid).map_or(0, sysinfo::Process::memory);
    ProcessMemory { rss_bytes, ..ProcessMemory::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_fields_that_matter() {
        let status = "Name:\ta: b\nVmHWM:\t   20 kB\nVmRSS:\t   16 kB\nRssAnon:\t 8 kB\nRssFile:\t 6 kB\nRssShmem:\t 2 kB\n\
                      VmSwap:\t 1 kB\nThreads:\t1\n";
        let expected = ProcessMemory {
            rss_bytes: 16 * 1024,
            anon_bytes: 8 * 1024,
            file_bytes: 6 * 1024,
            shmem_bytes: 2 * 1024,
            swap_bytes: 1024,
            peak_rss_bytes: 20 * 1024,
        };
        assert_eq!(parse(status), expected);
        assert_eq!(parse("nonsense\nVmRSS: many kB\n"), ProcessMemory::default());
    }

    #[test]
    fn both_sources_agree_on_this_process() {
        let (own, other) = (ProcessFile::open().read(), from_sysinfo());
        assert!(own.rss_bytes > 1 << 20 && own.anon_bytes + own.file_bytes + own.shmem_bytes == own.rss_bytes);
        assert!(own.rss_bytes.abs_diff(other.rss_bytes) < own.rss_bytes / 4, "{own:?} {other:?}");
    }
}
