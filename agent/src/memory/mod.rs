//! Memory of the process, its cgroup and the machine, read by the writer at each tick; and what the resident set is for,
//! read rarely by the thread that nobody waits for.

mod cgroup;
mod footprint;
mod process;
mod smaps;

use plimsoll_format::{AgentCost, SystemMemory, Tick};

use crate::clock;
pub(crate) use cgroup::oom_kills_of;
pub(crate) use footprint::Footprint;

/// Keeps files open and state between ticks.
pub(crate) struct MemoryReader {
    process: process::ProcessFile,
    cgroup: Option<cgroup::CgroupFiles>,
    system: Option<sysinfo::System>,
}

/// The limit of the cgroup that is in force, and the file that counts its kills for want of memory.
pub(crate) fn limit() -> (Option<u64>, String) {
    let mut files = cgroup::CgroupFiles::find(std::path::Path::new("/"));
    let limit = files.as_mut().and_then(cgroup::CgroupFiles::read).and_then(|cgroup| cgroup.limit_bytes);
    let file = files.map(|files| files.oom_file().to_string_lossy().into_owned());
    (limit, file.unwrap_or_default())
}

/// Resident memory of the process now.
pub(crate) fn rss_bytes() -> u64 {
    process::ProcessFile::open().read().rss_bytes
}

impl MemoryReader {
    pub(crate) fn open() -> MemoryReader {
        MemoryReader {
            process: process::ProcessFile::open(),
            cgroup: cgroup::CgroupFiles::find(std::path::Path::new("/")),
            system: sysinfo::System::new().ok(),
        }
    }

    /// Everything at this moment, with the agent's cost as the caller knows it.
    pub(crate) fn tick(&mut self, agent: AgentCost) -> Tick {
        Tick {
            ticks: clock::now(),
            process: self.process.read(),
            cgroup: self.cgroup.as_mut().and_then(cgroup::CgroupFiles::read),
            system: self.system.as_mut().map(machine).unwrap_or_default(),
            process_cpu_ns: crate::sys::cpu_time(libc::CLOCK_PROCESS_CPUTIME_ID),
            agent,
        }
    }
}

fn machine(system: &mut sysinfo::System) -> SystemMemory {
    system.refresh_memory();
    SystemMemory {
        total_bytes: system.total_memory(),
        available_bytes: system.available_memory(),
        swap_total_bytes: system.total_swap(),
        swap_free_bytes: system.free_swap(),
    }
}
