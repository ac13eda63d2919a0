//! What the first pass notes of the events' times, so that a replay need not hold them back for longer than it must.
//!
//! The events of one block may be earlier than those of the block before it, when another thread filled a part of it.
//! Events that are earlier than everything that is still to come can take their turn at once.

/// Entries kept at most: a megabyte and a half, whatever the length of the capture.
const MAX_ENTRIES: usize = 1 << 16;

/// Where a block stands: which of the files, and where in it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) file: u32,
    pub(crate) offset: u64,
}

/// Blocks in a row.
#[derive(Debug, Clone, Copy)]
struct Entry {
    /// The last one.
    last: Position,
    /// The earliest stamp of their events; afterwards the earliest from there on.
    earliest: u64,
}

/// The earliest stamp of each few blocks with events, in the files' order.
#[derive(Debug, Clone)]
pub(crate) struct Coming {
    entries: Vec<Entry>,
    /// Blocks that one entry is for; it doubles when there are too many entries.
    stride: u64,
    blocks: u64,
}

impl Default for Coming {
    fn default() -> Coming {
        Coming { entries: Vec::new(), stride: 1, blocks: 0 }
    }
}

impl Coming {
    /// Notes the earliest stamp of a block, or of a part of one. Blocks come in order.
    pub(super) fn note(&mut self, at: Position, earliest_ticks: u64) {
        if let Some(last) = self.entries.last_mut().filter(|last| last.last == at) {
            last.earliest = last.earliest.min(earliest_ticks);
            return;
        }
        if self.blocks.is_multiple_of(self.stride) {
            if self.entries.len() >= MAX_ENTRIES {
                self.halve();
            }
            // All entries were full, so that one begins here with the new stride too.
            self.entries.push(Entry { last: at, earliest: u64::MAX });
        }
        self.blocks += 1;
        if let Some(last) = self.entries.last_mut() {
            *last = Entry { last: at, earliest: last.earliest.min(earliest_ticks) };
        }
    }

    fn halve(&mut self) {
        let merged = |pair: &[Entry]| {
            let last = pair.last()?.last;
            Some(Entry { last, earliest: pair.iter().map(|entry| entry.earliest).min()? })
        };
        self.entries = self.entries.chunks(2).filter_map(merged).collect();
        self.stride *= 2;
    }

    /// All blocks have been noted.
    pub(super) fn finish(&mut self) {
        let mut earliest = u64::MAX;
        for entry in self.entries.iter_mut().rev() {
            earliest = earliest.min(entry.earliest);
            entry.earliest = earliest;
        }
    }

    /// No event after the block at this place is stamped earlier than this; blocks that share an entry with one after
    /// it count as after.
    pub(crate) fn after(&self, at: Position) -> u64 {
        let next = self.entries.partition_point(|entry| entry.last <= at);
        self.entries.get(next).map_or(u64::MAX, |entry| entry.earliest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(number: u64) -> Position {
        Position { file: (number / 1_000) as u32, offset: 16 + number % 1_000 * 100 }
    }

    fn noted(stamps: impl IntoIterator<Item = u64>) -> Coming {
        let mut coming = Coming::default();
        (0..).zip(stamps).for_each(|(number, ticks)| coming.note(at(number), ticks));
        coming.finish();
        coming
    }

    #[test]
    fn what_comes_is_never_earlier_than_told() {
        let coming = noted([5, 9, 3, 7]);
        assert_eq!([0, 1, 2, 3, 4].map(|number| coming.after(at(number))), [3, 3, 7, u64::MAX, u64::MAX]);
        assert_eq!(coming.after(Position::default()), 3, "before the first block all of them are to come");
    }

    #[test]
    fn a_block_is_as_early_as_its_earliest_part() {
        let mut coming = Coming::default();
        for (number, ticks) in [(0, 9), (1, 8), (1, 4), (1, 6), (2, 7)] {
            coming.note(at(number), ticks);
        }
        coming.finish();
        assert_eq!([0, 1, 2].map(|number| coming.after(at(number))), [4, 7, u64::MAX]);
    }

    #[test]
    fn long_captures_are_noted_coarsely() {
        let length = 5 * MAX_ENTRIES as u64;
        // In order, but for one block near the end.
        let stamp = |number: u64| if number == length - 9 { 1_000 } else { 10 * number + 10 };
        let coming = noted((0..length).map(stamp));
        assert!(coming.entries.len() <= MAX_ENTRIES, "{}", coming.entries.len());
        for number in (0..length - 1).step_by(97).chain(length - 20..length - 1) {
            let truth = (number + 1..length).map(stamp).min().unwrap_or(u64::MAX);
            let told = coming.after(at(number));
            assert!(told <= truth, "{number}");
            let further = coming.after(at(number + coming.stride));
            assert!(told + 10 * coming.stride >= truth.min(further), "{number}");
        }
        assert_eq!(coming.after(at(length)), u64::MAX);
    }
}
