//! Counts bytes with one subtraction, which also tells when enough have gone by.
//!
//! The word that an event touches counts *down* to the next stop and turns negative when the bytes up to there are
//! used up; the processor tells that for free. The total is the distance to a mark that moves with each new stop.
//!
//! Another thread can call for a stop by setting the two highest bits, which are no part of a total. The counting
//! thread's subtraction is not a locked instruction and may overwrite them once: see `slot::stop_all`.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// A countdown that is used up at once and stays so however much is counted.
pub(crate) const ALWAYS: i64 = -1 << 62;
/// The bits that hold the count; the others say that a stop is due.
const COUNT: u64 = (1 << 62) - 1;

/// See the module's description. Written by one thread, read by any. All zero is a counter of nothing.
pub(crate) struct ByteCounter {
    /// Bytes left to the stop, as a signed number.
    left: AtomicU64,
    /// `mark − left` is the total.
    mark: AtomicU64,
    /// The total when `mark` and `left` were last about to be changed.
    settled: AtomicU64,
    /// Odd while they are being changed.
    version: AtomicU32,
}

impl ByteCounter {
    /// Where in a counter the word lies that events count down.
    pub(crate) const LEFT: usize = std::mem::offset_of!(ByteCounter, left);

    /// A counter of nothing, always due.
    pub(crate) const fn due() -> ByteCounter {
        let (left, mark) = (AtomicU64::new(ALWAYS as u64), AtomicU64::new(ALWAYS as u64));
        ByteCounter { left, mark, settled: AtomicU64::new(0), version: AtomicU32::new(0) }
    }

    /// Bytes counted so far, exact when the counting thread rests. Never less than what was read before.
    pub(crate) fn total(&self) -> u64 {
        loop {
            let version = self.version.load(Ordering::Acquire);
            if version % 2 == 1 {
                // The two words don't fit each other now; their thread may even wait for us, below in a signal handler.
                return self.settled.load(Ordering::Relaxed);
            }
            let (mark, left) = (self.mark.load(Ordering::Relaxed), self.left.load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if self.version.load(Ordering::Relaxed) == version {
                return mark.wrapping_sub(left) & COUNT;
            }
        }
    }

    /// The same, read by the counting thread while it changes nothing.
    #[inline(always)]
    pub(crate) fn own_total(&self) -> u64 {
        self.mark.load(Ordering::Relaxed).wrapping_sub(self.left.load(Ordering::Relaxed)) & COUNT
    }

    /// Whether the countdown is used up or a stop was called for.
    #[inline(always)]
    pub(crate) fn is_due(&self) -> bool {
        (self.left.load(Ordering::Acquire) as i64) < 0
    }

    /// Sets the countdown. By the counting thread alone.
    pub(crate) fn set_left(&self, left: i64) {
        let mut now = self.left.load(Ordering::Relaxed);
        if now == left as u64 || left == ALWAYS && (now as i64) < ALWAYS / 2 {
            return;
        }
        let mark = self.mark.load(Ordering::Relaxed);
        self.settled.store(mark.wrapping_sub(now) & COUNT, Ordering::Relaxed);
        // Odd already if a signal handler once jumped out of here.
        let changing = self.version.load(Ordering::Relaxed) | 1;
        self.version.store(changing, Ordering::Release);
        fence(Ordering::Release);
        loop {
            let moved = mark.wrapping_sub(now).wrapping_add(left as u64);
            self.mark.store(moved, Ordering::Relaxed);
            // Fails when a signal handler counts in between.
            match self.left.compare_exchange_weak(now, left as u64, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(other) => now = other,
            }
        }
        self.version.store(changing.wrapping_add(1), Ordering::Release);
    }

    /// Makes the next event due. By any thread; may have to be said again, see the module's description.
    pub(crate) fn stop(&self) {
        self.left.fetch_or(!COUNT, Ordering::AcqRel);
    }

    /// Counts on behalf of threads that share the counter.
    pub(crate) fn add_shared(&self, bytes: u64) {
        self.left.fetch_sub(bytes, Ordering::Relaxed);
    }
}
