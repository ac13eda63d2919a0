//! Events between their block and their turn, as small as they go: millions may wait.

use plimsoll_format::{Event, EventKind, Events, unpack};

use super::window::Window;

/// The packing of events that this version reads.
const PACKING: u8 = 1;
/// Bits of [`Pending::what`] that tell the operation.
const OP_BITS: u32 = 3;
/// Where an event may come from, at most; what comes after them is told as of thread 0.
pub(super) const MAX_SOURCES: u32 = u32::MAX >> OP_BITS;
/// Fewest bytes that an event takes.
const MIN_EVENT_BYTES: usize = 3;

/// What a waiting item does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Event(EventKind),
    /// A thinning; `address` is its position among the thinnings that wait.
    Thin,
    /// An event that was pulled forward.
    Done,
}

/// Operations by number.
const OPS: [Op; 8] = [
    Op::Event(EventKind::Alloc),
    Op::Event(EventKind::Free),
    Op::Event(EventKind::ReallocFree),
    Op::Event(EventKind::ReallocAlloc),
    Op::Event(EventKind::ReallocUndo),
    Op::Thin,
    Op::Done,
    Op::Done,
];

impl Op {
    fn number(self) -> u32 {
        match self {
            Op::Event(EventKind::Alloc) => 0,
            Op::Event(EventKind::Free) => 1,
            Op::Event(EventKind::ReallocFree) => 2,
            Op::Event(EventKind::ReallocAlloc) => 3,
            Op::Event(EventKind::ReallocUndo) => 4,
            Op::Thin => 5,
            Op::Done => 6,
        }
    }
}

/// An event that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) ticks: u64,
    pub(super) address: u64,
    pub(super) size_bytes: u64,
    pub(super) stack: u32,
    /// The operation, and above it the position of the event's source in its batch.
    what: u32,
}

impl Pending {
    pub(super) fn new(event: &Event, source: u32) -> Pending {
        Pending {
            ticks: event.ticks,
            address: event.address,
            size_bytes: event.size_bytes,
            stack: event.stack,
            what: (source.min(MAX_SOURCES) << OP_BITS) | Op::Event(event.kind).number(),
        }
    }

    /// The thinning at a position among those that wait.
    pub(super) fn thinning(ticks: u64, position: usize) -> Pending {
        Pending { ticks, address: position as u64, size_bytes: 0, stack: 0, what: Op::Thin.number() }
    }

    #[inline]
    pub(super) fn op(&self) -> Op {
        OPS[(self.what & ((1 << OP_BITS) - 1)) as usize]
    }

    /// Takes the event out of its place: it has been applied.
    pub(super) fn set_done(&mut self) {
        self.what = (self.what >> OP_BITS << OP_BITS) | Op::Done.number();
    }

    /// Position of the source among those of the event's batch.
    #[inline]
    pub(super) fn source(&self) -> usize {
        (self.what >> OP_BITS) as usize
    }

    pub(super) fn frees(&self) -> bool {
        matches!(self.op(), Op::Event(EventKind::Free | EventKind::ReallocFree))
    }
}

/// Where events come from: what many in a row have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) thread: u32,
    pub(super) tag: u32,
    pub(super) interval_bytes: u64,
}

/// The events of one record, unpacked.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(super) events: Vec<Pending>,
    /// What the events' sources are positions in; only neighbours are told apart.
    pub(super) sources: Vec<Source>,
    /// No event is stamped before the one in front of it.
    pub(super) ascends: bool,
    /// Events that could not be unpacked.
    pub(super) unread: u64,
    /// The earliest stamp of the events that stand behind these in their block.
    pub(super) earliest_after: u64,
}

impl Batch {
    /// Unpacks what a window looks at of a record.
    pub(super) fn of(record: &Events, is_exact: bool, window: Window) -> Batch {
        let mut batch = Batch { ascends: true, ..Batch::default() };
        if record.packing == PACKING {
            let most = record.packed.len() / MIN_EVENT_BYTES;
            batch.events.reserve_exact(most.min(record.count as usize));
            batch.unpack(record, is_exact, window);
        } else {
            batch.unread = u64::from(record.count);
        }
        batch
    }

    /// The earliest stamp; the last moment that there is when there are no events.
    pub(super) fn earliest(&self) -> u64 {
        let first = if self.ascends { self.events.first() } else { self.events.iter().min_by_key(|event| event.ticks) };
        first.map_or(u64::MAX, |event| event.ticks)
    }

    fn unpack(&mut self, record: &Events, is_exact: bool, window: Window) {
        let (mut ticks, mut left_out) = (0, 0);
        for event in unpack(record.state, &record.packed) {
            let Ok(event) = event else { break };
            if !window.reads(event.ticks) {
                left_out += 1;
                continue;
            }
            let interval_bytes = if is_exact { 1 } else { event.interval_bytes };
            let source = Source { thread: event.thread, tag: event.tag, interval_bytes };
            if self.sources.last() != Some(&source) {
                self.sources.push(source);
            }
            self.ascends &= event.ticks >= ticks;
            ticks = event.ticks;
            self.events.push(Pending::new(&event, self.sources.len() as u32 - 1));
        }
        self.unread = u64::from(record.count).saturating_sub(self.events.len() as u64 + left_out);
    }
}
