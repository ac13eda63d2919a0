//! What the first pass notes of the events' times, so that a replay need not hold them back for longer than it must.
//!
//! The events of one record may be earlier than those of the record before it, when another thread filled it. Events
//! that are earlier than everything that is still to come can take their turn at once.

/// Entries kept at most: half a megabyte, whatever the length of the capture.
const MAX_ENTRIES: usize = 1 << 16;

/// The earliest stamp of each few records of events, in the file's order; afterwards the earliest from there on.
#[derive(Debug, Clone)]
pub(crate) struct Coming {
    earliest: Vec<u64>,
    /// Records that one entry is for; it doubles when there are too many entries.
    stride: u64,
    records: u64,
}

impl Default for Coming {
    fn default() -> Coming {
        Coming { earliest: Vec::new(), stride: 1, records: 0 }
    }
}

impl Coming {
    /// Notes the next record's earliest stamp.
    pub(super) fn note(&mut self, earliest_ticks: u64) {
        if self.records.is_multiple_of(self.stride) {
            if self.earliest.len() >= MAX_ENTRIES {
                let pairs = self.earliest.chunks(2).map(|pair| pair.iter().copied().min().unwrap_or(u64::MAX));
                self.earliest = pairs.collect();
                self.stride *= 2;
            }
            // All entries were full, so that one begins here with the new stride too.
            self.earliest.push(u64::MAX);
        }
        self.records += 1;
        if let Some(last) = self.earliest.last_mut() {
            *last = earliest_ticks.min(*last);
        }
    }

    /// All records have been noted.
    pub(super) fn finish(&mut self) {
        let mut earliest = u64::MAX;
        for entry in self.earliest.iter_mut().rev() {
            earliest = earliest.min(*entry);
            *entry = earliest;
        }
    }

    /// No event after the first `records` records is stamped earlier than this; records that share an entry with one
    /// after them count as after.
    pub(crate) fn after(&self, records: u64) -> u64 {
        let entry = usize::try_from(records / self.stride).unwrap_or(usize::MAX);
        self.earliest.get(entry).copied().unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(stamps: impl IntoIterator<Item = u64>) -> Coming {
        let mut coming = Coming::default();
        stamps.into_iter().for_each(|ticks| coming.note(ticks));
        coming.finish();
        coming
    }

    #[test]
    fn what_comes_is_never_earlier_than_told() {
        let coming = noted([5, 9, 3, 7]);
        assert_eq!([0, 1, 2, 3, 4, 5].map(|at| coming.after(at)), [3, 3, 3, 7, u64::MAX, u64::MAX]);
    }

    #[test]
    fn long_captures_are_noted_coarsely() {
        let length = 5 * MAX_ENTRIES as u64;
        // In order, but for one record near the end.
        let stamp = |at: u64| if at == length - 9 { 1_000 } else { 10 * at + 10 };
        let coming = noted((0..length).map(stamp));
        assert!(coming.earliest.len() <= MAX_ENTRIES, "{}", coming.earliest.len());
        for at in (0..length).step_by(97).chain(length - 20..length) {
            let truth = (at..length).map(stamp).min().unwrap_or(u64::MAX);
            assert!(coming.after(at) <= truth, "{at}");
            assert!(coming.after(at) + 10 * coming.stride >= truth.min(coming.after(at + coming.stride)), "{at}");
        }
        assert_eq!(coming.after(length + 8), u64::MAX);
    }
}
