//! Reads capture files: finds the segments, streams their blocks, collects everything but events into a
//! [`Profile`].
//!
//! One thread reads, others decode block by block, the caller's takes what they made in the file's order (`pipeline`).
//! Files are read, never mapped: a capture may be cut or grow while it is read. Reading stops where the file ended
//! when it was opened, so that every pass sees the same bytes. Nothing is kept of the events: memory is bounded by
//! what the capture defines, not by its length.

mod arena;
mod collect;
mod coming;
mod cost;
mod end;
mod error;
mod files;
mod guess;
mod pipeline;
mod scan;
mod series;
mod warnings;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Profile;

pub(crate) use arena::ARENA_SEGMENT;
pub use arena::{ArenaFile, in_shared_memory, inside};
pub(crate) use arena::{of_session, start_time};
use collect::{Collector, Noted};
pub(crate) use coming::{Coming, Position};
pub use error::LoadError;
use files::SegmentFile;
pub(crate) use files::{parts, segment_path};
use pipeline::Decode;
#[cfg(test)]
pub(crate) use pipeline::each;
pub(crate) use scan::Sequence;
pub use scan::{BlockFate, Found};
use scan::{Source, Wanted};

/// Called with the bytes read and the bytes in all.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// How to load.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// Called now and then, in this pass and in replays.
    pub progress: Option<Progress>,
    /// The events that will be asked for: what is said of damage and gaps holds for them.
    pub events: Events,
}

/// Which events a capture is opened for. Blocks that hold nothing but other events are passed over where the capture says
/// of what time they are: of a large one little has to be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Events {
    /// All of them: everything is read and checked.
    #[default]
    All,
    /// Those of this span of time.
    Between {
        /// Its first tick.
        first_ticks: u64,
        /// Its last one.
        last_ticks: u64,
    },
    /// None: enough to learn how long the capture is, and what moments it names.
    None,
}

impl Events {
    /// Whether any event from one moment to another is asked for.
    fn wants(self, first: u64, last: u64) -> bool {
        match self {
            Events::All => true,
            Events::Between { first_ticks, last_ticks } => first <= last_ticks && last >= first_ticks,
            Events::None => false,
        }
    }
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let progress = self.progress.is_some();
        f.debug_struct("LoadOptions").field("progress", &progress).field("events", &self.events).finish()
    }
}

/// An opened capture: what it says, and its files for further passes.
#[derive(Debug)]
pub struct Capture {
    /// Everything but the events.
    pub profile: Profile,
    /// How early the events are that are still to come, at each place in the files.
    pub(crate) coming: Coming,
    files: Vec<SegmentFile>,
    session: u64,
    options: LoadOptions,
}

/// Opens the capture that `path` belongs to and reads everything but its events.
///
/// Of a capture in segments (`NAME`, `NAME.1`, …) all that are left are read as one, whichever of them is named, and
/// also when `NAME` itself is gone. What a killed process left in shared memory is read with them. Damage, loss and a missing end are no errors: they are told in
/// [`Profile::warnings`].
///
/// # Errors
///
/// When there is no such file, it cannot be read, or it is no capture; see [`LoadError`].
pub fn open(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Capture, LoadError> {
    let path = path.as_ref();
    let mut found = files::find(path)?;
    let segments = found.files.iter().map(SegmentFile::info).collect();
    let left = arena::find(&found, &found.base);
    if let Some((file, remains)) = &left {
        arena::add(&mut found, file, remains);
    }
    let mut collector = Collector::new(path, found.files.iter().fold(0, |sum, file| sum.saturating_add(file.bytes)));
    let wanted = |first, last| options.events.wants(first, last);
    let progress = options.progress.as_deref();
    let source = Source { files: &found.files, session: found.session, wanted: &wanted, progress };
    pipeline::scan(&source, &pipeline::each(Noted::of), &mut |item| collector.take(item))?;
    let coming = collector.coming();
    let profile = collector.finish(found.session, segments, found.warnings, left)?;
    Ok(Capture { profile, coming, files: found.files, session: found.session, options: options.clone() })
}

impl Capture {
    /// Goes through the raw capture once more: files, blocks, records and damage as they stand.
    ///
    /// # Errors
    ///
    /// When a file can no longer be read.
    pub fn scan(&self, take: &mut dyn FnMut(Found<'_>)) -> Result<(), LoadError> {
        self.scan_as(&|_, _| true, &pipeline::each(|record| record), take)
    }

    /// The same, without blocks of events that are not `wanted`, and with records as `decode` makes them; it is called on
    /// other threads.
    pub(crate) fn scan_as<T: Send>(
        &self,
        wanted: &Wanted<'_>,
        decode: &Decode<'_, T>,
        take: &mut dyn FnMut(Found<'_, T>),
    ) -> Result<(), LoadError> {
        let progress = self.options.progress.as_deref();
        let source = Source { files: &self.files, session: self.session, wanted, progress };
        pipeline::scan(&source, decode, take)
    }

    /// The files of the capture, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.profile.segments.iter().map(|file| file.path.clone()).collect()
    }
}
