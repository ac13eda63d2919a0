//! What allocators say of themselves: the trait that an inner allocator implements, and who gives statistics here.
//!
//! The session asks for the program's allocator once, at its start, by an allocation that takes the allocator's rare
//! path; so hooks know nothing of it. Statistics are read by the agent's own thread, rarely, and never in a hook.

pub(crate) mod glibc;
#[cfg(feature = "jemalloc")]
mod jemalloc;
#[cfg(feature = "mimalloc")]
mod mimalloc;

use std::alloc::System;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use plimsoll_format::{AllocatorReading, Serves};

use crate::{clock, sys};

/// What an allocator says of itself at one moment, in bytes of the whole process. `None` where it does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HeapStats {
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

/// An allocator that can say how much memory it holds. With [`Allocator::with_stats`](crate::Allocator::with_stats)
/// a capture then tells what the allocator keeps from what the program holds.
///
/// Implemented for [`System`] (glibc 2.33 or later; nothing elsewhere), for `tikv_jemallocator::Jemalloc` with the
/// feature `jemalloc` and for `mimalloc::MiMalloc` with the feature `mimalloc`. A wrapper passes the question on:
///
/// ```
/// use plimsoll::{AllocatorStats, HeapStats};
///
/// struct Wrapper<A>(A);
///
/// impl<A: AllocatorStats> AllocatorStats for Wrapper<A> {
///     const NAME: &'static str = A::NAME;
///
///     fn read() -> Option<HeapStats> {
///         A::read()
///     }
///
///     fn purge() -> bool {
///         A::purge()
///     }
/// }
/// ```
pub trait AllocatorStats {
    /// The allocator's name in reports.
    const NAME: &'static str;

    /// The statistics now, `None` when there are none on this system. Called on a thread of the agent's, at most once a
    /// second; it may take the allocator's locks, and may allocate.
    fn read() -> Option<HeapStats>;

    /// Gives memory that it holds without use back to the system, as far as it can; false when it cannot at all. Called on
    /// a thread of the agent's when somebody asks for it (`plimsoll ctl purge`); it may take the allocator's locks.
    fn purge() -> bool {
        false
    }
}

impl AllocatorStats for System {
    const NAME: &'static str = glibc::NAME;

    fn read() -> Option<HeapStats> {
        glibc::read()
    }

    fn purge() -> bool {
        glibc::purge()
    }
}

/// How statistics are read, without the type that gives them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source {
    name: &'static str,
    read: fn() -> Option<HeapStats>,
    purge: fn() -> bool,
}

impl Source {
    pub(crate) const fn of<A: AllocatorStats>() -> Source {
        Source { name: A::NAME, read: A::read, purge: A::purge }
    }

    fn reading(self, serves: Serves) -> Option<AllocatorReading> {
        let (ticks, start) = (clock::now(), clock::monotonic_ns());
        let stats = (self.read)()?;
        Some(AllocatorReading {
            ticks,
            read_ns: clock::monotonic_ns().saturating_sub(start),
            allocator: self.name.to_owned(),
            serves,
            allocated_bytes: stats.allocated_bytes,
            large_bytes: stats.large_bytes,
            free_bytes: stats.free_bytes,
            free_pieces: stats.free_pieces,
            top_bytes: stats.top_bytes,
            mapped_bytes: stats.mapped_bytes,
            resident_bytes: stats.resident_bytes,
            active_bytes: stats.active_bytes,
            metadata_bytes: stats.metadata_bytes,
        })
    }
}

/// Everything that the allocators of this process say: the program's own, and the C library's where that is another.
pub(crate) fn readings(program: Option<Source>) -> Vec<AllocatorReading> {
    let c_library = Source::of::<System>();
    let Some(program) = program else { return c_library.reading(Serves::Unknown).into_iter().collect() };
    let others = (program.name != c_library.name).then_some(c_library);
    let own = program.reading(Serves::Program);
    own.into_iter().chain(others.and_then(|others| others.reading(Serves::Others))).collect()
}

/// Has the allocators of this process give memory back, the program's own and the C library's where that is another;
/// the names of those that did what they could.
pub(crate) fn purge(program: Option<Source>) -> Vec<String> {
    let c_library = Source::of::<System>();
    let others = program.is_none_or(|program| program.name != c_library.name).then_some(c_library);
    let asked = program.into_iter().chain(others).filter(|source| (source.purge)());
    asked.map(|source| source.name.to_owned()).collect()
}

/// System's id of the thread that asks now, 0 for none.
static ASKING: AtomicU32 = AtomicU32::new(0);
/// Its answer.
static ANSWER: Mutex<Option<Source>> = Mutex::new(None);

/// A block that no allocator's common path makes, since it asks for more than the usual alignment.
#[repr(align(64))]
struct Question {
    _byte: u8,
}

/// Who gives statistics of the program's allocator; `None` when it has none. One session asks at a time.
pub(crate) fn ask() -> Option<Source> {
    *crate::writer::lock(&ANSWER) = None;
    ASKING.store(sys::thread_id(), Ordering::Relaxed);
    drop(std::hint::black_box(Box::new(Question { _byte: 1 })));
    ASKING.store(0, Ordering::Relaxed);
    *crate::writer::lock(&ANSWER)
}

/// Called by the allocator's rare path. Does nothing unless this thread is in [`ask`], which holds no lock then.
#[inline]
pub(crate) fn answer(source: Option<Source>) {
    let asking = ASKING.load(Ordering::Relaxed);
    if asking != 0 && asking == sys::thread_id() {
        *crate::writer::lock(&ANSWER) = source;
    }
}
