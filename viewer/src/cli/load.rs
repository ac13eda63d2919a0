//! Opens captures, with a progress bar for large ones.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::capture::{Capture, LoadOptions, open};
use crate::replay::{Heap, ReplayOptions};
use crate::view::Asked;

use super::error::CliError;

/// Smaller captures are read before a bar could be seen.
const BAR_FROM_BYTES: u64 = 64 << 20;

/// A capture and the bar that its passes move.
pub(super) struct Loaded {
    pub(super) capture: Capture,
    bar: ProgressBar,
}

impl Loaded {
    /// Opens a capture.
    pub(super) fn open(path: &Path) -> Result<Loaded, CliError> {
        let bar = ProgressBar::hidden();
        if let Ok(style) = ProgressStyle::with_template("{msg} {bar:40} {percent} %") {
            bar.set_style(style);
        }
        bar.set_message("reading");
        let moved = bar.clone();
        let shown = AtomicBool::new(false);
        let progress = move |done: u64, total: u64| {
            if total < BAR_FROM_BYTES {
                return;
            }
            if !shown.swap(true, Ordering::Relaxed) {
                // Draws nothing where standard error is no terminal.
                moved.set_draw_target(ProgressDrawTarget::stderr());
                moved.set_length(total);
            }
            moved.set_position(done);
        };
        let capture = open(path, &LoadOptions { progress: Some(Arc::new(progress)) });
        if capture.is_err() {
            bar.finish_and_clear();
        }
        Ok(Loaded { capture: capture?, bar })
    }

    /// Replays what is asked for.
    pub(super) fn replay(&self, asked: &Asked) -> Result<Heap, CliError> {
        self.replay_as(&asked.resolve(&self.capture.profile)?)
    }

    /// Replays it.
    pub(super) fn replay_as(&self, options: &ReplayOptions) -> Result<Heap, CliError> {
        self.bar.set_message("replaying");
        let heap = self.capture.replay(options);
        self.bar.finish_and_clear();
        Ok(heap?)
    }
}
