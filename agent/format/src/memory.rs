//! The record of a tick: memory of the process, its cgroup and the machine, and what the agent costs.

use bincode::{Decode, Encode};

/// Memory of the process. Zero where the system does not tell.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct ProcessMemory {
    /// Resident set.
    pub rss_bytes: u64,
    /// Its anonymous part.
    pub anon_bytes: u64,
    /// Its file-backed part.
    pub file_bytes: u64,
    /// Its shared-memory part.
    pub shmem_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
    /// High-water mark of the resident set.
    pub peak_rss_bytes: u64,
}

/// The memory cgroup of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Cgroup {
    /// 1 or 2.
    pub version: u8,
    /// Lowest limit of the cgroup and its ancestors, none when unlimited.
    pub limit_bytes: Option<u64>,
    /// Usage as the kernel charges it.
    pub usage_bytes: u64,
    /// Part of the usage that the kernel gives back first; usage minus this counts against the limit.
    pub inactive_file_bytes: u64,
}

/// Memory of the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct SystemMemory {
    /// All of it.
    pub total_bytes: u64,
    /// Available without swapping.
    pub available_bytes: u64,
    /// Swap space.
    pub swap_total_bytes: u64,
    /// Unused swap space.
    pub swap_free_bytes: u64,
}

/// What the agent itself costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct AgentCost {
    /// Memory that the agent mapped for its tables, as far as it was touched (an upper bound), and that compression holds.
    pub mapped_bytes: u64,
    /// Memory that the agent's threads hold on the program's allocator.
    pub heap_bytes: u64,
    /// CPU time of the agent's threads; hooks run on the program's threads and are not in it.
    pub cpu_ns: u64,
}

/// Memory of the process, its cgroup and the machine at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Tick {
    /// When.
    pub ticks: u64,
    /// The process.
    pub process: ProcessMemory,
    /// Its cgroup, none where there is none.
    pub cgroup: Option<Cgroup>,
    /// The machine.
    pub system: SystemMemory,
    /// CPU time of the whole process.
    pub process_cpu_ns: u64,
    /// The agent.
    pub agent: AgentCost,
}
