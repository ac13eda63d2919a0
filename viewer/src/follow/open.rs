//! The files of one session as they grow: reads them on, goes over to the next segment, and watches the process.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use plimsoll_format::{Block, Record};

use crate::capture::{BlockFate, Sequence, parts, segment_path};
use crate::present::json::LostJson;

use super::alive::{Life, Watch};
use super::session::Session;
use super::tail::{Change, FileTail, Piece};

/// The files of one session.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) session: u64,
    tail: FileTail,
    segment: u32,
    /// Bytes of the segments before.
    before_bytes: u64,
    pub(super) reading: Content,
    watch: Watch,
    pub(super) life: Life,
}

/// What was read of a session.
#[derive(Debug)]
pub(super) struct Content {
    session: u64,
    sequence: Sequence,
    /// `None` before the first header.
    pub(super) known: Option<Session>,
    /// What could not be read.
    unread: LostJson,
    /// Blocks of another session were met.
    pub(super) is_doubtful: bool,
    given_limit: Option<u64>,
}

impl Open {
    /// Opens one segment of a session.
    pub(super) fn segment(path: &Path, session: u64, segment: u32, given_limit: Option<u64>) -> io::Result<Open> {
        let mut sequence = Sequence::default();
        sequence.segment(segment);
        Ok(Open {
            session,
            tail: FileTail::open(path)?,
            segment,
            before_bytes: 0,
            reading: Content {
                session,
                sequence,
                known: None,
                unread: LostJson::default(),
                is_doubtful: false,
                given_limit,
            },
            watch: Watch::default(),
            life: Life::Unknown,
        })
    }

    /// Reads what has come to the files of the capture `base`.
    pub(super) fn poll(&mut self, base: &Path) -> io::Result<Change> {
        // Asked first: what the process wrote before it went is read after.
        if let Some(known) = self.reading.known.as_ref().filter(|known| known.end.is_none()) {
            self.life = self.watch.look(&known.header, base, known.arena.as_deref());
        }
        let mut change = Change::Grown;
        loop {
            // Seen before the end of this segment is read, so that nothing is written to it any more.
            let next = self.next_segment(base);
            change = match self.tail.poll(&mut |piece| self.reading.take(piece))? {
                Change::Cut => Change::Cut,
                Change::Grown => change,
            };
            let Some((segment, tail)) = next.filter(|_| self.tail.behind_bytes() == 0) else { break };
            self.reading.take(Piece::Damage(self.tail.pending_bytes()));
            self.before_bytes = self.before_bytes.saturating_add(self.tail.settled_bytes());
            (self.segment, self.tail) = (segment, tail);
            self.reading.sequence.segment(segment);
        }
        if let Some(known) = &mut self.reading.known {
            known.settle();
        }
        Ok(change)
    }

    /// The segment after this one; of those that are left when it was dropped already.
    fn next_segment(&self, base: &Path) -> Option<(u32, FileTail)> {
        let open = |number: u32, path: &Path| Some((number, FileTail::open(path).ok()?));
        let number = self.segment.checked_add(1)?;
        if let Some(next) = open(number, &segment_path(base, number)) {
            return Some(next);
        }
        if self.tail.is_replaced().is_some() {
            return None;
        }
        let left = parts(base).ok().filter(|left| left.session == self.session)?;
        let (number, path) = left.files.into_iter().find(|(number, _)| *number > self.segment)?;
        open(number, &path)
    }

    /// Whether another file has the name of the one that is read.
    pub(super) fn is_replaced(&self) -> bool {
        self.tail.is_replaced() == Some(true)
    }

    /// Whether the file that is read is gone.
    pub(super) fn is_removed(&self) -> bool {
        self.tail.is_replaced().is_none()
    }

    /// Bytes of whole blocks read so far.
    pub(super) fn settled_bytes(&self) -> u64 {
        self.before_bytes.saturating_add(self.tail.settled_bytes())
    }

    /// Bytes still to be read.
    pub(super) fn behind_bytes(&self) -> u64 {
        self.tail.behind_bytes()
    }

    /// Whether the file ends in something that is no whole block.
    pub(super) fn is_torn(&self) -> bool {
        self.tail.pending_bytes() > 0
    }

    /// When the file was written to last.
    pub(super) fn modified(&self) -> Option<SystemTime> {
        self.tail.modified()
    }
}

impl Content {
    fn take(&mut self, piece: Piece) {
        match piece {
            Piece::Block(block) => self.block(&block),
            Piece::PassedOver(header) if header.session == self.session => drop(self.is_new(header.sequence)),
            Piece::PassedOver(_) => self.is_doubtful = true,
            Piece::Damage(bytes) => {
                self.unread.damaged_bytes = self.unread.damaged_bytes.saturating_add(bytes);
            }
        }
    }

    /// Whether a block was not read before; counts those that are missing before it.
    fn is_new(&mut self, sequence: u64) -> bool {
        let (fate, gap) = self.sequence.take(sequence);
        let missing = &mut self.unread.missing_blocks;
        match (fate, gap) {
            (_, Some(gap)) => *missing = missing.saturating_add(gap.blocks),
            (BlockFate::Late, None) => *missing = missing.saturating_sub(1),
            _ => {}
        }
        matches!(fate, BlockFate::Kept | BlockFate::Late)
    }

    fn block(&mut self, block: &Block) {
        if block.header.session != self.session {
            self.is_doubtful = true;
            return;
        }
        if !self.is_new(block.header.sequence) {
            return;
        }
        let Ok(found) = block.try_records() else {
            self.unread.unread_blocks += 1;
            return;
        };
        let mut records = Vec::new();
        for record in found.without_events() {
            match record {
                Ok(Record::StackNodes(_) | Record::LiveBlocks(_) | Record::Module(_) | Record::Symbols(_)) => {}
                Ok(record) => records.push(record),
                Err(_) => self.unread.unread_records += 1,
            }
        }
        self.records(records);
    }

    fn records(&mut self, records: Vec<Record>) {
        if self.known.is_none() {
            let header = records.iter().find_map(|record| match record {
                Record::Header(header) if header.session == self.session => Some(header.clone()),
                _ => None,
            });
            self.known = header.map(|header| Session::new(header, self.given_limit));
        }
        if let Some(known) = &mut self.known {
            known.take(records);
        }
    }

    /// Everything that could not be recorded or read.
    pub(super) fn lost(&self) -> LostJson {
        let recorded = self.known.as_ref().map(|known| known.lost.clone()).unwrap_or_default();
        LostJson {
            unread_records: self.unread.unread_records,
            unread_blocks: self.unread.unread_blocks,
            damaged_bytes: self.unread.damaged_bytes,
            missing_blocks: recorded.missing_blocks.saturating_add(self.unread.missing_blocks),
            ..recorded
        }
    }
}
