//! How the writer's blocks get into the file, and what becomes of them when they do not: a failed write is said once, its
//! events are counted as lost, and what no keyframe repeats is kept until something can be written again.

use std::sync::atomic::Ordering;

use plimsoll_format::{Event, LiveBlock, Reader, Record, unpack};

use super::{Balance, Writer};
use crate::clock;

/// Records kept for later while writes fail.
const MOST_UNSAID: usize = 16 << 10;
/// Live blocks in one record.
const LIVE_BATCH: usize = 4096;

impl Writer {
    /// Writes what is finished and what is not. While writes fail nothing is tried here, but at each tick.
    pub(super) fn flush(&mut self) {
        self.blocks.finish(&mut self.buffer);
        if self.buffer.is_empty() {
            // What was drained may have held nothing new.
            self.chunks.give_back(&self.recorder.chunks);
            return;
        }
        if self.failing.is_some() {
            self.salvage(true);
        } else {
            kill_point!("about to write");
            match self.output.append(&self.buffer) {
                Ok(()) => self.written_bytes += self.buffer.len() as u64,
                Err(error) => {
                    self.failed(&error);
                    self.salvage(true);
                }
            }
        }
        self.buffer.clear();
        self.give_back();
    }

    /// States that the capture has what was taken out of the arena's tables (or that it is counted as lost), and lets hooks
    /// have the room again.
    fn give_back(&mut self) {
        kill_point!("blocks written");
        let recorder = self.recorder;
        recorder.arena.state(self.output.segment(), self.output.bytes(), self.ring_taken);
        self.chunks.give_back(&recorder.chunks);
        recorder.ring.give_back(self.ring_taken);
    }

    /// Tries to go on after a failure: with everything that was defined, as the definitions since may be lost, and with
    /// what was left unsaid.
    pub(super) fn recover(&mut self) {
        self.flush();
        self.keyframe();
        for record in self.unsaid.clone() {
            self.push(&record);
        }
        if self.owes_live_blocks {
            self.push_live_blocks();
        }
        self.write_losses(clock::now());
        self.blocks.finish(&mut self.buffer);
        match self.output.append(&self.buffer) {
            Ok(()) => {
                self.written_bytes += self.buffer.len() as u64;
                self.failing = None;
                self.owes_live_blocks = false;
                self.unsaid.clear();
                self.recorder.writer_stuck.store(false, Ordering::Relaxed);
            }
            Err(error) => {
                self.failed(&error);
                self.salvage(false);
            }
        }
        self.buffer.clear();
        self.give_back();
    }

    fn failed(&mut self, error: &std::io::Error) {
        let code = error.raw_os_error().unwrap_or(libc::EIO);
        self.failing = Some(code);
        self.last_error = code;
        self.recorder.writer_stuck.store(true, Ordering::Relaxed);
        let said = format!("{error} ({})", self.output.current().display());
        if !self.said {
            self.said = true;
            crate::session::say(&format!(
                "cannot write {}: {error}; the program goes on, the capture will have a gap",
                self.output.current().display()
            ));
        }
        self.outcome.write_error = Some(said);
    }

    /// Goes through a buffer that could not be written: counts its events as lost, and keeps what must still be said
    /// (unless that is where it came from).
    fn salvage(&mut self, keep_unsaid: bool) {
        let mut reader = Reader::new();
        reader.feed(&self.buffer);
        reader.end();
        let losses = &self.recorder.losses;
        let cause = plimsoll_format::LossCause::WriteFailed(self.last_error);
        while let Some(plimsoll_format::Item::Block(block)) = reader.next_item() {
            for record in block.records().flatten() {
                match record {
                    Record::Events(events) => {
                        let lost = unpack(events.state, &events.packed).flatten();
                        lost.for_each(|event: Event| losses.event(cause, &event));
                    }
                    Record::Loss(loss) => losses.put_back(&loss),
                    Record::LiveBlocks(_) => self.owes_live_blocks = true,
                    record if keep_unsaid && must_be_said(&record) && self.unsaid.len() < MOST_UNSAID => {
                        self.unsaid.push(record);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Goes on in a new segment, which says everything that is needed to read it alone.
    pub(super) fn rotate(&mut self) {
        if let Err(error) = self.output.next_segment() {
            return self.failed(&error);
        }
        self.keyframe();
        self.push(&Record::Counters(self.counters()));
        self.push_live_blocks();
        self.flush();
        self.output.segment_opened();
    }

    fn push_live_blocks(&mut self) {
        let live = self.balance.as_ref().map_or_else(|| self.live_samples(), Balance::live);
        for blocks in live.chunks(LIVE_BATCH) {
            self.push(&Record::LiveBlocks(blocks.to_vec()));
        }
    }

    /// All live samples, also those whose allocation follows in the new segment: address and time tell that they are
    /// one and the same.
    fn live_samples(&self) -> Vec<LiveBlock> {
        let recorder = self.recorder;
        let samples = recorder.live.samples();
        samples
            .map(|sample| LiveBlock {
                address: sample.address as u64,
                size_bytes: sample.size,
                ticks: sample.ticks,
                stack: sample.stack,
                thread: sample.thread,
                tag: sample.tag,
                interval_bytes: recorder.intervals.of(sample.step),
            })
            .collect()
    }
}

/// Whether a record that was not written must come later, as no keyframe has it.
fn must_be_said(record: &Record) -> bool {
    matches!(
        record,
        Record::Thinning(_)
            | Record::Phase { .. }
            | Record::Marker { .. }
            | Record::Thread(_)
            | Record::ThreadEnd { .. }
            | Record::ThreadTotals { .. }
            | Record::ModuleUnloaded { .. }
    )
}
