//! Opens captures, with a progress bar for large ones.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::capture::{Capture, Events, LoadOptions, Progress, open};
use crate::model::Profile;
use crate::replay::{Heap, ReplayOptions};
use crate::view::Asked;

use super::error::CliError;

/// Smaller captures are read before a bar could be seen.
const BAR_FROM_BYTES: u64 = 64 << 20;

/// A capture and the bar that its passes move.
pub(super) struct Loaded {
    pub(super) capture: Capture,
    /// What was asked for.
    pub(super) options: ReplayOptions,
    bar: ProgressBar,
}

impl Loaded {
    /// Opens a capture, all of it.
    pub(super) fn open(path: &Path) -> Result<Loaded, CliError> {
        Loaded::open_for(path, &Asked::default())
    }

    /// Opens a capture for what is asked. Of a moment or a range it reads what is needed, and no more where the capture
    /// says what that is.
    pub(super) fn open_for(path: &Path, asked: &Asked) -> Result<Loaded, CliError> {
        Loaded::open_part(path, asked.is_of_all(), |profile| Ok(asked.resolve(profile)?))
    }

    /// Opens a capture for a part of it that depends on what it holds. Reads as [`Loaded::open_for`] does.
    pub(super) fn open_with(
        path: &Path,
        options: impl Fn(&Profile) -> Result<ReplayOptions, CliError>,
    ) -> Result<Loaded, CliError> {
        Loaded::open_part(path, false, options)
    }

    /// Opens a capture for parts of it that depend on what it holds: all events can be replayed.
    pub(super) fn open_all(
        path: &Path,
        options: impl Fn(&Profile) -> Result<ReplayOptions, CliError>,
    ) -> Result<Loaded, CliError> {
        Loaded::open_part(path, true, options)
    }

    fn open_part(
        path: &Path,
        is_all: bool,
        options: impl Fn(&Profile) -> Result<ReplayOptions, CliError>,
    ) -> Result<Loaded, CliError> {
        let bar = ProgressBar::hidden();
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {percent} %") {
            bar.set_style(style);
        }
        bar.set_message("reading");
        let loaded = load(path, is_all, options, &bar);
        if loaded.is_err() {
            bar.finish_and_clear();
        }
        let (capture, options) = loaded?;
        Ok(Loaded { capture, options, bar })
    }

    /// Replays what was asked for.
    pub(super) fn replay(&self) -> Result<Heap, CliError> {
        self.bar.set_message("replaying");
        let heap = self.capture.replay(&self.options);
        self.bar.finish_and_clear();
        Ok(heap?)
    }
}

fn load(
    path: &Path,
    is_all: bool,
    options: impl Fn(&Profile) -> Result<ReplayOptions, CliError>,
    bar: &ProgressBar,
) -> Result<(Capture, ReplayOptions), CliError> {
    let progress: Progress = Arc::new(moving(bar));
    let open = |events| open(path, &LoadOptions { progress: Some(progress.clone()), events });
    // How long the capture is, and which moments it names, is known without its events.
    let capture = open(if is_all { Events::All } else { Events::None })?;
    let options = options(&capture.profile)?;
    if is_all {
        return Ok((capture, options));
    }
    let events = options.events(&capture.profile);
    Ok((open(events)?, options))
}

/// Moves the bar, which is drawn for large captures only.
fn moving(bar: &ProgressBar) -> impl Fn(u64, u64) + Send + Sync + use<> {
    let moved = bar.clone();
    let shown = AtomicBool::new(false);
    move |done: u64, total: u64| {
        if total < BAR_FROM_BYTES {
            return;
        }
        if !shown.swap(true, Ordering::Relaxed) {
            // Draws nothing where standard error is no terminal.
            moved.set_draw_target(ProgressDrawTarget::stderr());
            moved.set_length(total);
        }
        moved.set_position(done);
    }
}
