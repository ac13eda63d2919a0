//! Threads, tags and intervals of events by small numbers.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::pending::{MAX_SOURCES, Source};

/// A source, and the position of its thread among the threads met so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) source: Source,
    pub(super) thread_at: usize,
}

/// All sources met so far.
#[derive(Debug)]
pub(super) struct Sources {
    /// Told apart at most; what comes after them is told as of thread 0.
    most: u32,
    known: Vec<Known>,
    by_source: HashMap<Source, u32, RandomState>,
    threads: HashMap<u32, usize, RandomState>,
}

impl Sources {
    /// Only the source 0, of which nothing is known.
    pub(super) fn new(most: usize) -> Sources {
        let most = u32::try_from(most).unwrap_or(u32::MAX).min(MAX_SOURCES);
        let mut sources =
            Sources { most, known: Vec::new(), by_source: HashMap::default(), threads: HashMap::default() };
        sources.number(Source { thread: 0, tag: 0, interval_bytes: 1 });
        sources
    }

    /// The number of a source.
    pub(super) fn number(&mut self, source: Source) -> u32 {
        if let Some(number) = self.by_source.get(&source) {
            return *number;
        }
        let number = self.known.len() as u32;
        if number >= self.most {
            return 0;
        }
        let next = self.threads.len();
        let thread_at = *self.threads.entry(source.thread).or_insert(next);
        self.known.push(Known { source, thread_at });
        self.by_source.insert(source, number);
        number
    }

    #[inline]
    pub(super) fn get(&self, number: u32) -> Known {
        let unknown = Known { source: Source { thread: 0, tag: 0, interval_bytes: 1 }, thread_at: 0 };
        self.known.get(number as usize).copied().unwrap_or(unknown)
    }

    /// Threads met so far.
    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }
}
