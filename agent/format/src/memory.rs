//! Records of memory: of the process, its cgroup and the machine at a tick; of allocators; of mappings.

use bincode::{Decode, Encode};

use crate::record::Totals;

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

/// Whose blocks an allocator hands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Serves {
    /// Those of the program's global allocator, and whoever else calls it.
    Program,
    /// Only those that do not come from the global allocator: C code's.
    Others,
    /// The program installed an allocator that says nothing of itself, so it is not known.
    Unknown,
}

/// What an allocator says of itself at one moment. None where it does not say.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct AllocatorReading {
    /// When the reading began.
    pub ticks: u64,
    /// How long it took.
    pub read_ns: u64,
    /// Its name: `glibc`, `jemalloc`, `mimalloc`, or what the program calls it.
    pub allocator: String,
    /// Whose blocks it hands out.
    pub serves: Serves,
    /// In blocks that are handed out, with what the allocator adds to each.
    pub allocated_bytes: Option<u64>,
    /// Of these, in blocks that have a mapping each.
    pub large_bytes: Option<u64>,
    /// In free pieces that can be handed out again; pages of them may have gone back to the system.
    pub free_bytes: Option<u64>,
    /// Number of these pieces.
    pub free_pieces: Option<u64>,
    /// Of the free bytes, those at the very top, which go back first.
    pub top_bytes: Option<u64>,
    /// Mapped for blocks, free pieces and bookkeeping.
    pub mapped_bytes: Option<u64>,
    /// Of these, resident as far as the allocator knows: an upper bound.
    pub resident_bytes: Option<u64>,
    /// In pages that hold at least one block.
    pub active_bytes: Option<u64>,
    /// For bookkeeping.
    pub metadata_bytes: Option<u64>,
}

/// What a part of the address space is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum MappingKind {
    /// The program break, from which glibc's main arena takes.
    Heap,
    /// glibc's other arenas.
    Arena,
    /// Stacks of threads and of signal handlers.
    Stack,
    /// Files: the program, its libraries, their static data, and whatever was mapped.
    File,
    /// Shared memory and files that live in memory (tmpfs).
    Shared,
    /// Anonymous and without a name: large blocks of allocators, other allocators, C code, direct `mmap`.
    Anonymous,
    /// Anonymous with a name that the program gave it.
    Named,
    /// The agent's tables.
    Agent,
    /// The kernel's own pages.
    Kernel,
}

/// All mappings of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct MappingPart {
    /// What they are for.
    pub kind: MappingKind,
    /// How many.
    pub mappings: u32,
    /// Address space.
    pub size_bytes: u64,
    /// Of this, resident.
    pub rss_bytes: u64,
    /// Of the resident, pages of this process's own that no file backs.
    pub anonymous_bytes: u64,
    /// Swapped out.
    pub swap_bytes: u64,
}

/// A mapping, or neighbours of the same name, that holds much.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct LargeMapping {
    /// What it is for.
    pub kind: MappingKind,
    /// Path or name, empty when there is none.
    pub name: String,
    /// Address space.
    pub size_bytes: u64,
    /// Of this, resident.
    pub rss_bytes: u64,
}

/// What the resident set is mapped for at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Mappings {
    /// When the reading began.
    pub ticks: u64,
    /// How long it took.
    pub read_ns: u64,
    /// Resident set by the system's counter, before.
    pub rss_before_bytes: u64,
    /// And after.
    pub rss_after_bytes: u64,
    /// The program's totals before the allocators were read.
    pub program: Totals,
    /// And after the mappings were.
    pub program_upper: Totals,
    /// The agent's own use of the global allocator, before.
    pub agent: Totals,
    /// Threads of the process.
    pub threads: u32,
    /// One for each kind that is there; no byte is in two.
    pub parts: Vec<MappingPart>,
    /// The largest of the files, the shared and the anonymous ones, largest first.
    pub largest: Vec<LargeMapping>,
}
