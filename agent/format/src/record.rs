//! The records of a capture. Field order is the wire order; new fields go to the end, new kinds to the end of
//! [`Record`], so that older readers skip what they do not know by its length.
//!
//! Units are in the names: `_bytes`, `_ns`; `ticks` are those of the capture's clock ([`Clock`]) and become times
//! through [`Anchor`]s. Ids count from 1; 0 means unknown.

use bincode::{Decode, Encode};

use crate::event::PackState;
use crate::loss::Loss;
use crate::memory::{AllocatorReading, Mappings, Tick};

/// One record of a block.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub enum Record {
    /// Who wrote this capture and how. First record of a segment, and again at every keyframe.
    Header(Header),
    /// A module (executable or shared library) that is mapped.
    Module(Module),
    /// A module that has gone; its addresses mean nothing from here on.
    ModuleUnloaded {
        /// The module's id.
        id: u32,
        /// When this was noticed.
        ticks: u64,
    },
    /// A thread, given again when its name becomes known or changes.
    Thread(Thread),
    /// A thread has ended.
    ThreadEnd {
        /// The thread's id.
        thread: u32,
        /// When it ended.
        ticks: u64,
    },
    /// Nodes of the prefix tree of stacks. A parent is always defined before or in the same record as its children
    /// or is 0, the root.
    StackNodes(Vec<StackNode>),
    /// The name of a tag.
    Tag {
        /// The tag's id.
        id: u32,
        /// Its name as the program gave it.
        name: String,
    },
    /// Allocation events, packed.
    Events(Events),
    /// Every event stamped earlier than `ticks` has been written before this record, but for a thread that was
    /// preempted between stamping and publishing; such stragglers come before the next watermark.
    Watermark {
        /// The moment up to which the file is complete.
        ticks: u64,
    },
    /// Memory of the process, its cgroup and the machine at one moment.
    Tick(Tick),
    /// The always-on counters at one moment.
    Counters(Counters),
    /// Totals of one thread, written when it ends and at the end of the capture.
    ThreadTotals {
        /// The thread's id.
        thread: u32,
        /// When the totals were read.
        ticks: u64,
        /// What the thread did since it began.
        totals: Totals,
    },
    /// A moment that the program named (`session.mark("deploy")`).
    Marker {
        /// When.
        ticks: u64,
        /// The name as the program gave it.
        name: String,
    },
    /// The session changed its phase.
    Phase {
        /// When.
        ticks: u64,
        /// What it changed to.
        phase: Phase,
    },
    /// One moment in all three clocks.
    Anchor(Anchor),
    /// Events that could not be recorded, counted.
    Loss(Loss),
    /// The sampling interval was doubled and the live samples were thinned.
    Thinning(Thinning),
    /// Blocks that are live where a segment opens.
    LiveBlocks(Vec<LiveBlock>),
    /// Symbols written into the capture by `plimsoll pack`.
    Symbols(Symbols),
    /// The last record of a capture that ended in an orderly way.
    End(End),
    /// What the next block holds: nothing but events of this time.
    Span(Span),
    /// What an allocator says of itself.
    Allocator(AllocatorReading),
    /// What the resident set is mapped for. The allocators' readings of the same moment stand before it.
    Mappings(Mappings),
    /// Where the arena is, or why there is none.
    Arena(ArenaPlace),
}

/// How allocations were recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Mode {
    /// Poisson sampling of bytes.
    Sampled,
    /// Every allocation, free and reallocation.
    Exact,
}

/// What `ticks` count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Clock {
    /// The CPU's invariant time-stamp counter.
    Tsc,
    /// Nanoseconds of the monotonic clock.
    Monotonic,
}

/// Which hook saw the allocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Hook {
    /// `plimsoll::Allocator`.
    Allocator,
    /// The tracking-allocator adapter: frees are seen after the memory went back, nested events are not seen.
    TrackingAllocator,
}

/// The essentials of a capture.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Header {
    /// Random id of the session, the same in all of its segments and blocks.
    pub session: u64,
    /// Segment number, from 0.
    pub segment: u32,
    /// How allocations were recorded.
    pub mode: Mode,
    /// Mean bytes between samples at the start; 1 in exact mode.
    pub interval_bytes: u64,
    /// Width of a pointer in bits.
    pub pointer_bits: u8,
    /// What ticks count.
    pub clock: Clock,
    /// When the session started.
    pub start: Anchor,
    /// Which hook saw the allocations.
    pub hook: Hook,
    /// Process id.
    pub pid: u32,
    /// File name of the program, lossy UTF-8.
    pub program: String,
    /// CPU architecture, as Rust names it.
    pub arch: String,
    /// Operating system, as Rust names it.
    pub os: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Unwinder in use, with the reason when it was chosen automatically.
    pub unwinder: String,
    /// Nanoseconds between ticks.
    pub tick_ns: u64,
    /// Bound on the size of all segments, 0 for none.
    pub max_bytes: u64,
    /// What the program did before the session started, from the counters.
    pub before: Totals,
    /// Why this segment exists and what came before it is missing: segments dropped so far.
    pub dropped_segments: u32,
}

/// One moment in all three clocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Anchor {
    /// The capture's clock.
    pub ticks: u64,
    /// Monotonic clock, nanoseconds since an arbitrary origin.
    pub monotonic_ns: u64,
    /// Wall clock, nanoseconds since 1970-01-01 UTC.
    pub wall_ns: i64,
}

/// An executable or shared library.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Module {
    /// Id, from 1.
    pub id: u32,
    /// When it was noticed; addresses of earlier events belong to earlier modules.
    pub ticks: u64,
    /// Difference between an address in memory and the address in the file (load bias).
    pub bias: u64,
    /// Lowest mapped address.
    pub start: u64,
    /// First address after the last mapped one.
    pub end: u64,
    /// Path as the loader knows it; may be empty (vdso).
    pub path: String,
    /// Build id note, empty when the module has none.
    pub build_id: Vec<u8>,
}

/// A thread of the program.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Thread {
    /// Id, from 1, never reused in a session.
    pub id: u32,
    /// The system's id of the thread.
    pub os_id: u32,
    /// When its first event or the session's start was.
    pub ticks: u64,
    /// Name as the system knows it, lossy UTF-8; empty when unknown.
    pub name: String,
}

/// A node of the prefix tree of stacks: the stack of its parent, then one more call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StackNode {
    /// Id, from 1. Two nodes may have the same parent and address; they are the same stack.
    pub id: u32,
    /// The caller's node, or 0 for the outermost frame.
    pub parent: u32,
    /// Return address. 1 stands for frames that were cut off (stack too deep), 2 for frames that could not be unwound.
    pub address: u64,
}

impl StackNode {
    /// Address of a node that stands for outer frames beyond the depth limit.
    pub const TRUNCATED: u64 = 1;
    /// Address of a node that stands for outer frames which the unwinder could not reach.
    pub const BROKEN: u64 = 2;
}

/// A run of packed events; see `FORMAT.md` for the packing and [`crate::unpack`] to read it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Events {
    /// How `packed` is packed: 1.
    pub packing: u8,
    /// Values that the first event's differences refer to.
    pub state: PackState,
    /// Number of events in `packed`.
    pub count: u32,
    /// The events.
    pub packed: Vec<u8>,
}

/// Sums over a thread or the process. All only ever grow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct Totals {
    /// Successful allocations, a successful reallocation counted as one.
    pub allocations: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Frees, a successful reallocation counted as one.
    pub frees: u64,
    /// Bytes of these.
    pub freed_bytes: u64,
    /// Successful reallocations.
    pub reallocations: u64,
}

impl Totals {
    /// Bytes allocated and not freed.
    pub fn live_bytes(&self) -> i64 {
        self.bytes.wrapping_sub(self.freed_bytes) as i64
    }

    /// Blocks allocated and not freed.
    pub fn live_allocations(&self) -> i64 {
        self.allocations.wrapping_sub(self.frees) as i64
    }
}

/// Blocks counted in one size class. Class `k` holds sizes from 2^k up to 2^(k+1) − 1 bytes; class 0 also size 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct SizeClass {
    /// Allocations of this class.
    pub allocations: u64,
    /// Frees of this class.
    pub frees: u64,
}

/// The largest live total of the process so far: an interval that holds the truth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct PeakInterval {
    /// The peak was at least this.
    pub low_bytes: u64,
    /// The peak was at most this.
    pub high_bytes: u64,
    /// When the published maximum was seen; the session's start when that was before it.
    pub ticks: u64,
}

/// How well stacks were walked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Encode, Decode)]
pub struct UnwindQuality {
    /// Stacks walked.
    pub walks: u64,
    /// Of these, stacks that reached the thread's root.
    pub complete: u64,
    /// Of these, stacks cut at the depth limit.
    pub truncated: u64,
}

/// The always-on counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Counters {
    /// When.
    pub ticks: u64,
    /// The program's totals since the process started.
    pub program: Totals,
    /// The agent's own use of the global allocator since the process started.
    pub agent: Totals,
    /// Two readings in a row were equal, so that `program` is a true snapshot of one moment.
    pub exact: bool,
    /// Threads of the program that are counting.
    pub threads: u32,
    /// Peak of the process since it started.
    pub peak: PeakInterval,
    /// Counts per size class.
    pub classes: Vec<SizeClass>,
    /// How well stacks were walked.
    pub unwind: UnwindQuality,
    /// Stack nodes in use.
    pub stack_nodes: u32,
    /// Live samples in the agent's table (sampled mode).
    pub live_samples: u32,
    /// Times that a thread of the program waited for the writer.
    pub waits: u64,
    /// Nanoseconds waited in total.
    pub waited_ns: u64,
    /// The program's totals read a second time: each true total at the moment between the readings lies from
    /// `program` to here. Equal to `program` when `exact`.
    pub program_upper: Totals,
}

/// Phases that a capture can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum Phase {
    /// Allocations and frees are recorded.
    Recording,
    /// Frees are recorded, allocations are not.
    Paused,
}

/// The sampling interval was changed. When it was raised because there were too many live samples, each that a larger one
/// would have chosen less often was kept with the ratio of its probabilities; where somebody asked for another interval,
/// all samples stay as they are.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Thinning {
    /// When.
    pub ticks: u64,
    /// Interval before.
    pub from_interval_bytes: u64,
    /// Interval after.
    pub to_interval_bytes: u64,
    /// Addresses of samples that stay; their interval is now `to_interval_bytes`.
    pub kept: Vec<u64>,
    /// Addresses of samples that are forgotten; their blocks may well live on.
    pub dropped: Vec<u64>,
}

/// A block that is live where a segment opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct LiveBlock {
    /// Its address.
    pub address: u64,
    /// Requested size.
    pub size_bytes: u64,
    /// When it was allocated.
    pub ticks: u64,
    /// Its stack.
    pub stack: u32,
    /// Thread that allocated it.
    pub thread: u32,
    /// Tag it was allocated under, 0 for none.
    pub tag: u32,
    /// Sampling interval that chose it; 1 in exact mode.
    pub interval_bytes: u64,
}

/// Symbols of some addresses, so that a capture can be read where the binaries are not.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Symbols {
    /// Module of all addresses in this record.
    pub module: u32,
    /// Strings that the frames refer to by position.
    pub strings: Vec<String>,
    /// Addresses with their frames.
    pub addresses: Vec<SymbolizedAddress>,
}

/// The frames of one return address, innermost (most deeply inlined) first.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct SymbolizedAddress {
    /// Return address as in [`StackNode`].
    pub address: u64,
    /// Its frames; all but the last were inlined.
    pub frames: Vec<SymbolizedFrame>,
}

/// One source-level frame. Strings are positions in [`Symbols::strings`]; `u32::MAX` means unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct SymbolizedFrame {
    /// Demangled function.
    pub function: u32,
    /// Source file.
    pub file: u32,
    /// Line in it, 0 when unknown.
    pub line: u32,
}

/// What the next block of the file holds: nothing but events, all of them from this span of time. A reader that is not
/// interested in it can pass over that block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Span {
    /// The block's sequence number.
    pub sequence: u64,
    /// Bytes of its payload as stored.
    pub payload_bytes: u32,
    /// None of its events is stamped earlier.
    pub first_ticks: u64,
    /// None of its events is stamped later.
    pub last_ticks: u64,
}

/// Where the arena of a session is: shared memory that outlives the process and holds what is not in the capture yet.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct ArenaPlace {
    /// Its path, lossy UTF-8; empty when there is none.
    pub path: String,
    /// Why there is none; empty when there is one.
    pub reason: String,
}

/// How a capture ended.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum EndReason {
    /// `finish()` or the drop of the session.
    Finished,
    /// The process exited while the session was open.
    Exit,
    /// The agent gave up and said why.
    Detached(String),
}

/// The last record of a capture that ended in an orderly way.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct End {
    /// When.
    pub ticks: u64,
    /// How.
    pub reason: EndReason,
    /// Blocks lost to write errors that could not even be recorded as a gap.
    pub lost_blocks: u64,
}
