//! What the control thread asks of the writer, and how the writer answers.
//!
//! One thing at a time, and nobody holds a lock while waiting: the writer looks between two of its rounds, and an answer
//! that comes too late is nobody's.

use std::sync::Mutex;
use std::time::Duration;

use plimsoll_format::{Record, Thinning};

use super::Writer;
use super::shared::{Shared, lock};
use crate::recorder::Recorder;
use crate::{clock, sys};

/// Something that the writer alone can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Write everything that has been recorded.
    Flush,
    /// The same, with a marker of this name before and all definitions after.
    Snapshot(String),
    /// Another sampling interval, in bytes.
    Interval(u64),
}

/// What lies between the two threads.
#[derive(Default)]
pub(crate) struct Desk {
    asked: Mutex<(u64, Option<Ask>)>,
    answered: Mutex<Option<(u64, Result<(), String>)>>,
}

impl Desk {
    /// Leaves a question; its number.
    pub(crate) fn ask(&self, recorder: &Recorder, ask: Ask) -> u64 {
        let number = {
            let mut asked = lock(&self.asked);
            *asked = (asked.0 + 1, Some(ask));
            asked.0
        };
        recorder.call_writer();
        number
    }

    /// Waits for the writer to have done it, `longest` at most.
    ///
    /// # Errors
    /// It could not be done, or not in time; why, in one line.
    pub(crate) fn wait(&self, number: u64, shared: &Shared, longest: Duration) -> Result<(), String> {
        let start = clock::monotonic_ns();
        loop {
            // Looked at first: the writer answers before it ends.
            let has_ended = lock(&shared.ending).is_some();
            if let Some((answered, answer)) = lock(&self.answered).take()
                && answered == number
            {
                return answer;
            }
            if has_ended {
                return Err("the session ended meanwhile".to_owned());
            }
            if clock::monotonic_ns().saturating_sub(start) > longest.as_nanos() as u64 {
                // What the writer has not begun it is not to do later, when nobody expects it.
                lock(&self.asked).1 = None;
                return Err(format!("the writer did not get to it within {} s; is its disk stuck?", longest.as_secs()));
            }
            sys::sleep(Duration::from_micros(500));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.asked).1.is_none()
    }
}

impl Writer {
    /// Does what is asked, if something is.
    pub(super) fn look_at_desk(&mut self) {
        let (number, ask) = {
            let mut asked = lock(&self.shared.desk.asked);
            (asked.0, asked.1.take())
        };
        let Some(ask) = ask else { return };
        let done = match ask {
            Ask::Flush => {
                self.tick();
                Ok(())
            }
            Ask::Snapshot(name) => {
                self.push(&Record::Marker { ticks: clock::now(), name });
                self.tick();
                self.keyframe();
                Ok(())
            }
            Ask::Interval(bytes) => self.set_interval(bytes),
        };
        self.flush();
        let is_written = self.failing.map_or(Ok(()), |code| Err(std::io::Error::from_raw_os_error(code).to_string()));
        let is_written = is_written.map_err(|error| format!("the capture cannot be written: {error}"));
        *lock(&self.shared.desk.answered) = Some((number, done.and(is_written)));
    }

    /// Gaps that are drawn from now on have this mean. Samples keep the interval that chose them, so no estimate changes.
    fn set_interval(&mut self, bytes: u64) -> Result<(), String> {
        let recorder = self.recorder;
        let from = recorder.intervals.now();
        if from == bytes {
            return Ok(());
        }
        if recorder.intervals.set(bytes).is_none() {
            return Err("the interval was changed too often in this capture; start another".to_owned());
        }
        self.push(&Record::Thinning(Thinning {
            ticks: clock::now(),
            from_interval_bytes: from,
            to_interval_bytes: recorder.intervals.now(),
            kept: Vec::new(),
            dropped: Vec::new(),
        }));
        Ok(())
    }
}
