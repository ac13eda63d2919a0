//! Puts events in order of time, and mends the order of one address where two CPUs' clocks disagreed.

use std::collections::HashMap;

use foldhash::fast::RandomState;
use plimsoll_format::{Event, EventKind, LiveBlock, Thinning};

use super::ledger::Ledger;

/// Events that may wait for their order; then the older half goes ahead. 192 MiB.
const MAX_PENDING: usize = 4 << 20;
/// Events are let go in lots of at least a quarter of this, and of a quarter of those that wait: sorting a few at a
/// time would cost more, and waiting longer is never wrong. Small in tests, so that they see it happen.
const LOT: usize = if cfg!(test) { 4 } else { 1 << 16 };

/// Frees of an address that are looked at when one is missing.
const NEAR_FREES: usize = 8;

/// What a waiting item does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    Event(EventKind),
    /// A thinning; `address` is its position in [`Order::thinnings`].
    Thin,
    /// An event that was pulled forward.
    Done,
}

/// An event that waits for its turn.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) ticks: u64,
    pub(super) address: u64,
    pub(super) size_bytes: u64,
    pub(super) interval_bytes: u64,
    pub(super) stack: u32,
    pub(super) thread: u32,
    pub(super) tag: u32,
    pub(super) op: Op,
}

impl From<&Event> for Pending {
    fn from(event: &Event) -> Pending {
        Pending {
            ticks: event.ticks,
            address: event.address,
            size_bytes: event.size_bytes,
            interval_bytes: event.interval_bytes,
            stack: event.stack,
            thread: event.thread,
            tag: event.tag,
            op: Op::Event(event.kind),
        }
    }
}

impl Pending {
    /// A block that a segment's opening lists, as the allocation that it stands for.
    pub(super) fn listed(block: &LiveBlock) -> Pending {
        Pending {
            ticks: block.ticks,
            address: block.address,
            size_bytes: block.size_bytes,
            interval_bytes: block.interval_bytes,
            stack: block.stack,
            thread: block.thread,
            tag: block.tag,
            op: Op::Event(EventKind::Alloc),
        }
    }

    fn frees(&self) -> bool {
        matches!(self.op, Op::Event(EventKind::Free | EventKind::ReallocFree))
    }
}

/// Events that wait, and how far the others were let go.
#[derive(Default)]
pub(super) struct Order {
    waiting: Vec<Pending>,
    /// Items that came since the last sort.
    fresh: usize,
    thinnings: Vec<Option<Thinning>>,
    /// The watermark before: everything earlier can go when the next one comes.
    watermark: u64,
    /// Everything earlier has been applied.
    released: u64,
    /// Time of each thread's newest event: a thread's events never change places, whatever its clock did.
    threads: HashMap<u32, u64, RandomState>,
    pub(super) late_events: u64,
    pub(super) overflows: u64,
}

impl Order {
    pub(super) fn push(&mut self, mut item: Pending, late_block: bool, ledger: &mut Ledger<'_>) {
        if !late_block {
            let newest = self.threads.entry(item.thread).or_insert(item.ticks);
            *newest = item.ticks.max(*newest);
            item.ticks = *newest;
        }
        self.late_events += u64::from(item.ticks < self.released);
        self.wait(item);
        if self.waiting.len() >= MAX_PENDING {
            self.overflows += 1;
            self.sort();
            let half = self.waiting.len() / 2;
            self.release(half, ledger);
        }
    }

    /// A thinning waits for its turn among the events.
    pub(super) fn thin(&mut self, thinning: Thinning) {
        let address = self.thinnings.len() as u64;
        let (ticks, op) = (thinning.ticks, Op::Thin);
        self.thinnings.push(Some(thinning));
        let item = Pending { ticks, address, size_bytes: 0, interval_bytes: 0, stack: 0, thread: 0, tag: 0, op };
        self.wait(item);
    }

    fn wait(&mut self, item: Pending) {
        self.waiting.push(item);
        self.fresh += 1;
    }

    /// Applies what is older than the watermark before this one, when it is worth it.
    pub(super) fn watermark(&mut self, ticks: u64, ledger: &mut Ledger<'_>) {
        let horizon = self.watermark;
        self.watermark = ticks.max(horizon);
        if self.fresh * 4 < self.waiting.len().max(LOT) {
            return;
        }
        self.sort();
        let ready = self.waiting.partition_point(|item| item.ticks < horizon);
        self.release(ready, ledger);
        self.released = self.released.max(horizon);
    }

    pub(super) fn release_all(&mut self, ledger: &mut Ledger<'_>) {
        self.sort();
        self.release(self.waiting.len(), ledger);
    }

    /// Whether everything up to a moment has been applied.
    pub(super) fn has_released(&self, ticks: u64) -> bool {
        ticks < self.released
    }

    /// Sorts by time; events of the same moment keep the file's order. What was sorted before stands at the front,
    /// which the sort makes use of.
    fn sort(&mut self) {
        self.waiting.sort_by_key(|item| item.ticks);
        self.fresh = 0;
    }

    /// Applies the first `count` items, which are in order.
    fn release(&mut self, count: usize, ledger: &mut Ledger<'_>) {
        let mut frees = None;
        for at in 0..count {
            let Some(item) = self.waiting.get(at).copied() else { break };
            self.released = self.released.max(item.ticks);
            match item.op {
                Op::Done => {}
                Op::Thin => {
                    let position = usize::try_from(item.address).unwrap_or(usize::MAX);
                    if let Some(thinning) = self.thinnings.get_mut(position).and_then(Option::take) {
                        ledger.thin(&thinning);
                    }
                }
                Op::Event(kind) => {
                    if kind.is_alloc() && ledger.is_live_otherwise(&item) {
                        let frees = frees.get_or_insert_with(|| PendingFrees::of(&self.waiting, at));
                        self.make_room(&item, at, frees, ledger);
                    }
                    ledger.apply(&item, kind);
                }
            }
        }
        self.waiting.drain(..count.min(self.waiting.len()));
        if self.waiting.is_empty() {
            self.thinnings.clear();
        }
    }

    /// An allocation names a live address, so a free is out of its order. Either it is still to come, or it came before
    /// the allocation of the block that it freed and nothing was known there. Clocks differ by little: of two that
    /// could be it, the one nearer to its place is taken.
    fn make_room(&mut self, item: &Pending, at: usize, frees: &mut PendingFrees, ledger: &mut Ledger<'_>) {
        let pending = frees.find(item, at, &self.waiting);
        let pending_gap = pending.and_then(|at| self.waiting.get(at)).map(|free| free.ticks.saturating_sub(item.ticks));
        let early_gap = ledger.early_gap(item.address);
        match (early_gap, pending.and_then(|at| self.waiting.get_mut(at))) {
            (Some(early), pending) if pending.is_none() || pending_gap.is_none_or(|gap| early <= gap) => {
                ledger.free_early(item.address);
            }
            (_, Some(free)) => {
                let mut pulled = *free;
                free.op = Op::Done;
                // It happened before the allocation that took the address over, whatever its stamp says.
                pulled.ticks = pulled.ticks.min(self.released);
                ledger.repairs.pulled_frees += 1;
                if let Op::Event(kind) = pulled.op {
                    ledger.apply(&pulled, kind);
                }
            }
            (_, None) => ledger.free_unseen(item.address),
        }
    }
}

/// The waiting frees by address; made when the first is asked for.
struct PendingFrees {
    /// Address and position, sorted.
    frees: Vec<(u64, usize)>,
    /// For each address asked for, where in `frees` to look next.
    next: HashMap<u64, usize, RandomState>,
}

impl PendingFrees {
    fn of(waiting: &[Pending], after: usize) -> PendingFrees {
        let later = waiting.iter().enumerate().skip(after).filter(|(_, item)| item.frees());
        let mut frees: Vec<(u64, usize)> = later.map(|(at, item)| (item.address, at)).collect();
        frees.sort_unstable();
        PendingFrees { frees, next: HashMap::default() }
    }

    /// Position of the first free after position `after` that could be the one missing before the allocation `item`:
    /// of the same address, by another thread, since a thread's own events are in order.
    fn find(&mut self, item: &Pending, after: usize, waiting: &[Pending]) -> Option<usize> {
        let address = item.address;
        let start = || self.frees.partition_point(|free| *free < (address, after));
        let next = self.next.entry(address).or_insert_with(start);
        let is_over = |at: usize| at <= after || waiting.get(at).is_none_or(|free| free.op == Op::Done);
        // What is over is passed for good, each once.
        while self.frees.get(*next).is_some_and(|free| free.0 == address && is_over(free.1)) {
            *next += 1;
        }
        let near = self.frees.get(*next..).unwrap_or_default().iter().take(NEAR_FREES);
        let mut near = near.take_while(|free| free.0 == address).map(|free| free.1);
        near.find(|at| !is_over(*at) && waiting.get(*at).is_some_and(|free| free.thread != item.thread))
    }
}
