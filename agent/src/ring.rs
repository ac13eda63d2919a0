//! A bounded ring that any thread may push single events into and the writer takes them out of.
//!
//! Sampled mode sends all its events this way (they are few); exact mode those of threads that have no chunk of their
//! own. The scheme is Vyukov's bounded queue: a position's sequence number says whose turn it is.
//!
//! When full: [`EventRing::push`] refuses, and the caller waits for the writer or counts a loss.

use plimsoll_format::{Event, EventKind};

use crate::arena::{Arena, Zeroed};
use crate::shared_arena::Place;
use crate::sync::atomic::{AtomicU64, Ordering};

/// As `format::arena` reads it.
#[repr(C)]
#[derive(Default)]
struct Position {
    turn: AtomicU64,
    ticks: AtomicU64,
    address: AtomicU64,
    size: AtomicU64,
    interval: AtomicU64,
    /// Stack, and thread above bit 32.
    stack: AtomicU64,
    /// Tag, and kind above bit 32.
    tag: AtomicU64,
}

#[cfg(not(loom))]
const _: () = assert!(size_of::<Position>() == plimsoll_format::RING_POSITION_BYTES);

// SAFETY: integers only.
unsafe impl Zeroed for Position {}

/// See the module's description.
pub(crate) struct EventRing {
    positions: Arena<Position>,
    head: AtomicU64,
    /// Next to be read, and next to be given back.
    tail: AtomicU64,
    given_back: AtomicU64,
}

impl EventRing {
    /// A ring for `capacity` events (a power of two), `None` when the system has no memory for it.
    pub(crate) fn map(capacity: usize, place: &Place) -> Option<EventRing> {
        let positions: Arena<Position> = place.map(|layout| layout.ring, capacity)?;
        let at_start = || AtomicU64::new(0);
        Some(EventRing { positions, head: at_start(), tail: at_start(), given_back: at_start() })
    }

    fn position(&self, at: u64) -> Option<&Position> {
        self.positions.get(at as usize & (self.positions.len() - 1))
    }

    /// Adds an event; false when the ring is full. Never waits.
    pub(crate) fn push(&self, event: &Event) -> bool {
        let capacity = self.positions.len() as u64;
        let mut at = self.head.load(Ordering::Relaxed);
        loop {
            let Some(position) = self.position(at) else { return false };
            // A position that is free for lap n holds turn 2n, one that holds the event of lap n 2n + 1.
            let turn = position.turn.load(Ordering::Acquire);
            let free = at / capacity * 2;
            if turn == free {
                match self.head.compare_exchange_weak(at, at + 1, Ordering::Relaxed, Ordering::Relaxed) {
                    Ok(_) => {
                        position.store(event);
                        kill_point!("ring event stored");
                        position.turn.store(free + 1, Ordering::Release);
                        return true;
                    }
                    Err(now) => at = now,
                }
            } else if turn < free {
                return false;
            } else {
                at = self.head.load(Ordering::Relaxed);
            }
        }
    }

    /// Reads the oldest event that was not read yet; `None` when there is none, or when it is still being written. Its
    /// place is free again after [`EventRing::give_back`]. For one thread only.
    pub(crate) fn pop(&self) -> Option<Event> {
        let at = self.tail.load(Ordering::Relaxed);
        let position = self.position(at)?;
        let taken = at / self.positions.len() as u64 * 2 + 1;
        if position.turn.load(Ordering::Acquire) != taken {
            return None;
        }
        let event = position.load();
        self.tail.store(at + 1, Ordering::Relaxed);
        event
    }

    /// How many events were read so far.
    pub(crate) fn taken(&self) -> u64 {
        self.tail.load(Ordering::Relaxed)
    }

    /// Frees the places of the first `taken` events of all: the capture has them. By the thread that reads.
    pub(crate) fn give_back(&self, taken: u64) {
        let capacity = self.positions.len() as u64;
        for at in self.given_back.load(Ordering::Relaxed)..taken {
            if let Some(position) = self.position(at) {
                position.turn.store(at / capacity * 2 + 2, Ordering::Release);
            }
            kill_point!("ring place given back");
        }
        self.given_back.fetch_max(taken, Ordering::Relaxed);
    }

    /// Whether so many events wait that the writer should not sleep any longer.
    pub(crate) fn is_half_full(&self) -> bool {
        let waiting = self.head.load(Ordering::Relaxed).wrapping_sub(self.tail.load(Ordering::Relaxed));
        waiting as usize * 2 >= self.positions.len()
    }

    /// Bytes touched at most.
    pub(crate) fn touched_bytes(&self) -> u64 {
        self.head.load(Ordering::Relaxed).min(self.positions.len() as u64) * size_of::<Position>() as u64
    }
}

impl Position {
    fn store(&self, event: &Event) {
        self.ticks.store(event.ticks, Ordering::Relaxed);
        self.address.store(event.address, Ordering::Relaxed);
        self.size.store(event.size_bytes, Ordering::Relaxed);
        self.interval.store(event.interval_bytes, Ordering::Relaxed);
        self.stack.store(u64::from(event.stack) | u64::from(event.thread) << 32, Ordering::Relaxed);
        self.tag.store(u64::from(event.tag) | (event.kind as u64) << 32, Ordering::Relaxed);
    }

    fn load(&self) -> Option<Event> {
        let stack = self.stack.load(Ordering::Relaxed);
        let tag = self.tag.load(Ordering::Relaxed);
        Some(Event {
            kind: EventKind::from_number(tag >> 32)?,
            ticks: self.ticks.load(Ordering::Relaxed),
            address: self.address.load(Ordering::Relaxed),
            size_bytes: self.size.load(Ordering::Relaxed),
            stack: stack as u32,
            thread: (stack >> 32) as u32,
            tag: tag as u32,
            interval_bytes: self.interval.load(Ordering::Relaxed),
        })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    fn event(thread: u32, number: u64) -> Event {
        Event {
            kind: EventKind::ReallocAlloc,
            ticks: number,
            address: number * 16,
            size_bytes: 5,
            stack: 6,
            thread,
            tag: 8,
            interval_bytes: 9,
        }
    }

    #[test]
    fn refuses_when_full_and_goes_round() {
        let ring = EventRing::map(4, &Place::Private(String::new())).expect("memory");
        for lap in 0..10 {
            (0..4).for_each(|n| assert!(ring.push(&event(1, lap * 4 + n))));
            assert!(!ring.push(&event(1, 99)));
            (0..4).for_each(|n| assert_eq!(ring.pop(), Some(event(1, lap * 4 + n))));
            assert_eq!(ring.pop(), None);
            assert!(!ring.push(&event(1, 99)), "what is not in the capture stays");
            ring.give_back(ring.taken());
        }
    }

    #[test]
    fn keeps_every_event_and_each_threads_order() {
        const EACH: u64 = 50_000;
        let ring = EventRing::map(64, &Place::Private(String::new())).expect("memory");
        let mut next = [0u64; 3];
        std::thread::scope(|scope| {
            for thread in 0..3 {
                let ring = &ring;
                scope.spawn(move || {
                    for number in 0..EACH {
                        while !ring.push(&event(thread, number)) {
                            std::thread::yield_now();
                        }
                    }
                });
            }
            while next.iter().sum::<u64>() < 3 * EACH {
                let Some(got) = ring.pop() else {
                    ring.give_back(ring.taken());
                    std::thread::yield_now();
                    continue;
                };
                let expected = &mut next[got.thread as usize];
                assert_eq!(got, event(got.thread, *expected));
                *expected += 1;
            }
        });
    }
}
