//! Reads capture files: finds the segments, streams their blocks, collects everything but events into a
//! [`Profile`].
//!
//! One thread reads, others decode block by block, the caller's takes what they made in the file's order (`pipeline`).
//! Files are read, never mapped: a capture may be cut or grow while it is read. Reading stops where the file ended
//! when it was opened, so that every pass sees the same bytes. Nothing is kept of the events: memory is bounded by
//! what the capture defines, not by its length.

mod collect;
mod coming;
mod end;
mod error;
mod files;
mod pipeline;
mod scan;
mod series;
mod warnings;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::model::Profile;

use plimsoll_format::Record;

use collect::{Collector, Noted};
pub(crate) use coming::Coming;
pub use error::LoadError;
use files::SegmentFile;
pub use scan::{BlockFate, Found};

/// Called with the bytes read and the bytes in all.
pub type Progress = Arc<dyn Fn(u64, u64) + Send + Sync>;

/// How to load.
#[derive(Clone, Default)]
pub struct LoadOptions {
    /// Called now and then, in this pass and in replays.
    pub progress: Option<Progress>,
}

impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions").field("progress", &self.progress.is_some()).finish()
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
/// also when `NAME` itself is gone. Damage, loss and a missing end are no errors: they are told in
/// [`Profile::warnings`].
///
/// # Errors
///
/// When there is no such file, it cannot be read, or it is no capture; see [`LoadError`].
pub fn open(path: impl AsRef<Path>, options: &LoadOptions) -> Result<Capture, LoadError> {
    let path = path.as_ref();
    let found = files::find(path)?;
    let mut collector = Collector::new(path);
    let progress = options.progress.as_deref();
    pipeline::scan(&found.files, found.session, progress, &Noted::of, &mut |item| collector.take(item))?;
    let segments = found.files.iter().map(SegmentFile::info).collect();
    let coming = collector.coming();
    let profile = collector.finish(segments, found.warnings)?;
    Ok(Capture { profile, coming, files: found.files, session: found.session, options: options.clone() })
}

impl Capture {
    /// Goes through the raw capture once more: files, blocks, records and damage as they stand.
    ///
    /// # Errors
    ///
    /// When a file can no longer be read.
    pub fn scan(&self, take: &mut dyn FnMut(Found<'_>)) -> Result<(), LoadError> {
        self.scan_as(&|record| record, take)
    }

    /// The same, with records as `decode` makes them; it is called on other threads.
    pub(crate) fn scan_as<T: Send>(
        &self,
        decode: &(dyn Fn(Record) -> T + Sync),
        take: &mut dyn FnMut(Found<'_, T>),
    ) -> Result<(), LoadError> {
        pipeline::scan(&self.files, self.session, self.options.progress.as_deref(), decode, take)
    }

    /// The files of the capture, in order.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|file| file.path.clone()).collect()
    }
}
