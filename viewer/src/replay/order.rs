//! Puts events in order of time, and mends the order of one address where two CPUs' clocks disagreed.
//!
//! The events of a record are a run, which is in order already: runs are merged, never sorted. Of equal stamps the
//! run that came first in the file goes first.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use foldhash::fast::RandomState;
use plimsoll_format::Thinning;

use super::figure::Figure;
use super::ledger::Ledger;
use super::pending::{Batch, Op, Pending};

/// Events that may wait for their order; then the older half goes ahead. 128 MiB.
const MAX_PENDING: usize = 4 << 20;
/// Events are let go in lots of at least a quarter of this, and of a quarter of those that wait: a few at a time would cost
/// more, and waiting longer is never wrong. Small in tests, so that they see it happen.
const LOT: usize = if cfg!(test) { 4 } else { 1 << 14 };

/// Items that are looked up together.
const NEAR: usize = 32;

/// Frees of an address that are looked at when one is missing.
const NEAR_FREES: usize = 8;

/// Events of one record in order.
#[derive(Default)]
struct Run {
    events: Vec<Pending>,
    /// Numbers of the sources that events name by position.
    sources: Vec<u32>,
    /// Those before this position have been applied.
    at: usize,
    /// Runs before it in the file.
    sequence: u64,
}

impl Run {
    #[inline]
    fn source(&self, item: &Pending) -> u32 {
        self.sources.get(item.source()).copied().unwrap_or(0)
    }
}

/// Stamp of a run's next event, its sequence, its place.
type Head = (u64, u64, usize);

/// Events that wait, and how far the others were let go.
#[derive(Default)]
pub(super) struct Order {
    runs: Vec<Run>,
    /// Places in `runs` that are free.
    free: Vec<usize>,
    heads: BinaryHeap<Reverse<Head>>,
    sequence: u64,
    waiting: usize,
    /// Items that came since the last release.
    fresh: usize,
    thinnings: Vec<Option<Thinning>>,
    /// Addresses that they name.
    thinned: usize,
    /// The watermark before: everything earlier can go when the next one comes.
    watermark: u64,
    /// Everything earlier has been applied.
    released: u64,
    /// Time of each thread's newest event: a thread's events never change places, whatever its clock did.
    newest: Vec<u64>,
    pub(super) late_events: u64,
    pub(super) overflows: u64,
}

impl Order {
    pub(super) fn push<F: Figure>(&mut self, batch: Batch, late_block: bool, ledger: &mut Ledger<'_, F>) {
        let Batch { mut events, sources, mut ascends, .. } = batch;
        let sources: Vec<u32> = sources.into_iter().map(|source| ledger.sources.number(source)).collect();
        if !late_block {
            ascends = self.keep_threads_in_order(&mut events, &sources, ascends, ledger);
        }
        if !ascends {
            events.sort_by_key(|event| event.ticks);
        }
        if events.first().is_some_and(|event| event.ticks < self.released) {
            self.late_events += events.partition_point(|event| event.ticks < self.released) as u64;
        }
        self.wait(events, sources);
        if self.waiting >= MAX_PENDING {
            self.overflows += 1;
            self.release(None, self.waiting / 2, ledger);
        }
    }

    /// Raises stamps that lie before those of earlier events of their threads; whether the events ascend then.
    fn keep_threads_in_order<F: Figure>(
        &mut self,
        events: &mut [Pending],
        sources: &[u32],
        ascends: bool,
        ledger: &Ledger<'_, F>,
    ) -> bool {
        self.newest.resize(ledger.sources.threads(), 0);
        let threads: Vec<usize> = sources.iter().map(|source| ledger.sources.get(*source).thread_at).collect();
        let (Some(first), Some(last), Some(thread)) = (events.first(), events.last(), threads.first()) else {
            return true;
        };
        if ascends && threads.iter().all(|other| other == thread) {
            match self.newest.get_mut(*thread) {
                Some(newest) if *newest <= first.ticks => {
                    *newest = last.ticks;
                    return true;
                }
                _ => {}
            }
        }
        let (mut before, mut ascends) = (0, true);
        for event in events {
            let newest = threads.get(event.source()).and_then(|thread| self.newest.get_mut(*thread));
            if let Some(newest) = newest {
                *newest = event.ticks.max(*newest);
                event.ticks = *newest;
            }
            ascends &= event.ticks >= before;
            before = event.ticks;
        }
        ascends
    }

    /// A thinning waits for its turn among the events.
    pub(super) fn thin<F: Figure>(&mut self, thinning: Thinning, ledger: &mut Ledger<'_, F>) {
        self.thinned += thinning.kept.len() + thinning.dropped.len();
        if self.thinned >= MAX_PENDING {
            self.overflows += 1;
            self.release_all(ledger);
            self.thinned = 0;
        }
        let item = Pending::thinning(thinning.ticks, self.thinnings.len());
        self.thinnings.push(Some(thinning));
        self.wait(vec![item], Vec::new());
    }

    fn wait(&mut self, events: Vec<Pending>, sources: Vec<u32>) {
        let Some(first) = events.first() else { return };
        let ticks = first.ticks;
        self.sequence += 1;
        self.waiting += events.len();
        self.fresh += events.len();
        let run = Run { events, sources, at: 0, sequence: self.sequence };
        let place = match self.free.pop() {
            Some(place) => place,
            None => {
                self.runs.push(Run::default());
                self.runs.len() - 1
            }
        };
        if let Some(free) = self.runs.get_mut(place) {
            *free = run;
            self.heads.push(Reverse((ticks, self.sequence, place)));
        }
    }

    /// Applies what is older than the watermark before this one, when it is worth it.
    pub(super) fn watermark<F: Figure>(&mut self, ticks: u64, ledger: &mut Ledger<'_, F>) {
        let horizon = self.watermark;
        self.watermark = ticks.max(horizon);
        self.release_before(horizon, ledger);
    }

    /// Applies what is stamped before `horizon`, when it is worth it.
    pub(super) fn release_before<F: Figure>(&mut self, horizon: u64, ledger: &mut Ledger<'_, F>) {
        if self.fresh * 4 < self.waiting.max(LOT) {
            return;
        }
        self.release(Some(horizon), usize::MAX, ledger);
        self.released = self.released.max(horizon);
    }

    pub(super) fn release_all<F: Figure>(&mut self, ledger: &mut Ledger<'_, F>) {
        self.release(None, usize::MAX, ledger);
    }

    /// Whether everything up to a moment has been applied.
    pub(super) fn has_released(&self, ticks: u64) -> bool {
        ticks < self.released
    }

    /// Applies what is stamped before `horizon`, at most so many, oldest first.
    fn release<F: Figure>(&mut self, horizon: Option<u64>, most: usize, ledger: &mut Ledger<'_, F>) {
        self.fresh = 0;
        let goal = self.waiting.saturating_sub(most);
        let mut frees = None;
        while let Some(Reverse(head)) = self.heads.peek() {
            let place = head.2;
            if horizon.is_some_and(|horizon| head.0 >= horizon) || self.waiting <= goal {
                break;
            }
            self.heads.pop();
            self.play(place, horizon, goal, &mut frees, ledger);
            match self.runs.get_mut(place) {
                Some(run) if run.at < run.events.len() => {
                    let ticks = run.events.get(run.at).map_or(0, |event| event.ticks);
                    self.heads.push(Reverse((ticks, run.sequence, place)));
                }
                Some(run) => {
                    *run = Run::default();
                    self.free.push(place);
                }
                None => {}
            }
        }
        if self.waiting == 0 {
            self.thinnings.clear();
            self.thinned = 0;
        }
    }

    /// Applies a run's events up to the next one of another run.
    fn play<F: Figure>(
        &mut self,
        place: usize,
        horizon: Option<u64>,
        goal: usize,
        frees: &mut Option<PendingFrees>,
        ledger: &mut Ledger<'_, F>,
    ) {
        let Some(run) = self.runs.get(place) else { return };
        let other = self.heads.peek().map(|Reverse(head)| (head.0, head.1));
        let sequence = run.sequence;
        let is_due = |ticks: u64| {
            horizon.is_none_or(|horizon| ticks < horizon) && other.is_none_or(|other| (ticks, sequence) < other)
        };
        let rest = run.events.get(run.at..).unwrap_or_default();
        let rest = rest.get(..self.waiting - goal).unwrap_or(rest);
        let end = run.at + due(rest, is_due);
        loop {
            let Some(run) = self.runs.get_mut(place) else { return };
            let items = run.events.get(run.at..end).unwrap_or_default();
            let mut done = 0;
            for near in items.chunks(NEAR) {
                ledger.approach(near);
                let applied = near.iter().take_while(|item| match item.op() {
                    Op::Event(kind) => ledger.apply(item, run.source(item), kind),
                    Op::Done => true,
                    Op::Thin => false,
                });
                let applied = applied.count();
                done += applied;
                if applied < near.len() {
                    break;
                }
            }
            run.at += done;
            self.waiting -= done;
            if let Some(last) = run.at.checked_sub(1).and_then(|last| run.events.get(last)) {
                self.released = self.released.max(last.ticks);
            }
            if run.at >= end {
                return;
            }
            self.step(place, frees, ledger);
        }
    }

    /// Applies a run's next item, which is a thinning or wants an address where another block is live.
    fn step<F: Figure>(&mut self, place: usize, frees: &mut Option<PendingFrees>, ledger: &mut Ledger<'_, F>) {
        let Some(run) = self.runs.get_mut(place) else { return };
        let Some(item) = run.events.get(run.at).copied() else { return };
        let source = run.source(&item);
        run.at += 1;
        self.waiting -= 1;
        self.released = self.released.max(item.ticks);
        match item.op() {
            Op::Event(kind) => {
                let frees = frees.get_or_insert_with(|| PendingFrees::of(&self.runs));
                self.make_room(&item, source, frees, ledger);
                // There is room now; an address that is live even so is taken over.
                ledger.apply_anyhow(&item, source, kind);
            }
            Op::Thin => {
                let position = usize::try_from(item.address).unwrap_or(usize::MAX);
                if let Some(thinning) = self.thinnings.get_mut(position).and_then(Option::take) {
                    ledger.thin(&thinning);
                }
            }
            Op::Done => {}
        }
    }

    /// An allocation names a live address, so a free is out of its order. Either it is still to come, or it came before
    /// the allocation of the block that it freed and nothing was known there. Clocks differ by little: of two that
    /// could be it, the one nearer to its place is taken.
    fn make_room<F: Figure>(
        &mut self,
        item: &Pending,
        source: u32,
        frees: &mut PendingFrees,
        ledger: &mut Ledger<'_, F>,
    ) {
        let thread = ledger.sources.get(source).source.thread;
        let pending = frees.find(item.address, &self.runs, |other| ledger.sources.get(other).source.thread != thread);
        let pending_gap = pending.map(|free| free.ticks.saturating_sub(item.ticks));
        let early_gap = ledger.early_gap(item.address);
        if early_gap.is_some() && ledger.window.lacks_past() {
            // What was freed early may as well be a block from before the window.
            ledger.doubts += 1;
        }
        match (early_gap, pending) {
            (Some(early), _) if pending_gap.is_none_or(|gap| early <= gap) => ledger.free_early(item.address),
            (_, Some(free)) => self.pull(&free, ledger),
            (_, None) => ledger.free_unseen(item.address),
        }
    }

    /// Applies a free before its turn: it happened before the allocation that took the address over, whatever its stamp
    /// says.
    fn pull<F: Figure>(&mut self, free: &Waiting, ledger: &mut Ledger<'_, F>) {
        let Some(run) = self.runs.get_mut(free.place) else { return };
        let Some(item) = run.events.get_mut(free.at) else { return };
        let mut pulled = *item;
        item.set_done();
        pulled.ticks = pulled.ticks.min(self.released);
        ledger.repairs.pulled_frees += 1;
        if let Op::Event(kind) = pulled.op() {
            ledger.apply(&pulled, run.source(&pulled), kind);
        }
    }
}

/// How many items at the front are due; they are in order. Mostly it is all or a few.
fn due(items: &[Pending], is_due: impl Fn(u64) -> bool) -> usize {
    if items.last().is_some_and(|last| is_due(last.ticks)) {
        return items.len();
    }
    let near = items.iter().take(8).take_while(|item| is_due(item.ticks)).count();
    if near < 8 { near } else { items.partition_point(|item| is_due(item.ticks)) }
}

/// A waiting free: sorted by address, then in the order of their turns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    address: u64,
    ticks: u64,
    sequence: u64,
    at: usize,
    place: usize,
}

/// The waiting frees by address; made when the first is asked for.
struct PendingFrees {
    frees: Vec<Waiting>,
    /// For each address asked for, where in `frees` to look next.
    next: HashMap<u64, usize, RandomState>,
}

impl PendingFrees {
    fn of(runs: &[Run]) -> PendingFrees {
        let mut frees = Vec::new();
        for (place, run) in runs.iter().enumerate() {
            let later = run.events.iter().enumerate().skip(run.at).filter(|(_, item)| item.frees());
            frees.extend(later.map(|(at, item)| {
                let (address, ticks, sequence) = (item.address, item.ticks, run.sequence);
                Waiting { address, ticks, sequence, at, place }
            }));
        }
        frees.sort_unstable();
        PendingFrees { frees, next: HashMap::default() }
    }

    /// The first free of an address whose turn is to come, by another thread: a thread's own events are in order.
    fn find(&mut self, address: u64, runs: &[Run], is_other_thread: impl Fn(u32) -> bool) -> Option<Waiting> {
        let start = || self.frees.partition_point(|free| free.address < address);
        let next = self.next.entry(address).or_insert_with(start);
        let is_over = |free: &Waiting| {
            let run = runs.get(free.place);
            run.is_none_or(|run| free.at < run.at || run.events.get(free.at).is_none_or(|item| item.op() == Op::Done))
        };
        // What is over is passed for good, each once.
        while self.frees.get(*next).is_some_and(|free| free.address == address && is_over(free)) {
            *next += 1;
        }
        let near = self.frees.get(*next..).unwrap_or_default().iter().take(NEAR_FREES);
        let mut near = near.take_while(|free| free.address == address);
        let is_other = |free: &&Waiting| {
            let run = runs.get(free.place);
            run.and_then(|run| run.events.get(free.at).map(|item| run.source(item))).is_some_and(&is_other_thread)
        };
        near.find(|free| !is_over(free) && is_other(free)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_that_waits_takes_half_a_cache_line() {
        assert_eq!(size_of::<Pending>(), 32);
    }
}
