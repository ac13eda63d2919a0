//! What one capture may make a reader keep. A capture is hostile input: a megabyte of it, well compressed, can define
//! millions of stacks and leave millions of blocks live. Bounds grow with the files, so that what a program really did fits;
//! what is beyond them is counted and said.

/// Bounds of one capture. `docs/hostile.md` says what they hold and how near real captures come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Memory of definitions and readings: stacks, modules, threads, tags, symbols, markers, losses.
    pub(crate) definition_bytes: u64,
    /// Blocks that are followed until they are freed.
    pub(crate) live_blocks: usize,
    /// Sites told apart.
    pub(crate) sites: usize,
    /// Pairs of thread and tag told apart.
    pub(crate) sources: usize,
    /// Frames of all shown stacks.
    pub(crate) frames: usize,
}

impl Limits {
    /// Of a capture whose files have this many bytes.
    pub(crate) fn of(file_bytes: u64) -> Limits {
        let count = |least: u64, bytes: u64| usize::try_from(least + file_bytes / bytes).unwrap_or(usize::MAX);
        Limits {
            definition_bytes: (64u64 << 20).saturating_add(file_bytes.saturating_mul(64)).min(8 << 30),
            live_blocks: count(1 << 20, 2),
            sites: count(1 << 15, 64),
            sources: count(1 << 16, 16),
            frames: count(1 << 20, 2),
        }
    }
}

/// Memory that is handed out until there is none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    left: u64,
    is_spent: bool,
    /// What was refused, by number.
    pub(crate) refused: u64,
}

impl Budget {
    pub(crate) fn new(bytes: u64) -> Budget {
        Budget { left: bytes, is_spent: false, refused: 0 }
    }

    /// Whether there is room for one thing more, which takes so many bytes.
    pub(crate) fn has_room(&mut self, bytes: usize) -> bool {
        match self.left.checked_sub(bytes as u64) {
            Some(left) => self.left = left,
            None => (self.left, self.is_spent) = (0, true),
        }
        self.refused += u64::from(self.is_spent);
        !self.is_spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_ends_once_and_for_all() {
        let mut budget = Budget::new(10);
        assert!(budget.has_room(6) && budget.has_room(4));
        // What comes after a refusal is refused too, however small: a later thing may build on an earlier one.
        assert!(!budget.has_room(1) && !budget.has_room(0));
        assert_eq!(budget.refused, 2);
    }

    #[test]
    fn bounds_grow_with_the_files_and_never_overflow() {
        let (small, large) = (Limits::of(0), Limits::of(u64::MAX));
        assert!(small.live_blocks >= 1 << 20 && large.live_blocks > small.live_blocks);
        assert_eq!((small.definition_bytes, large.definition_bytes), (64 << 20, 8 << 30));
    }
}
