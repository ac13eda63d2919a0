//! The heavy picture of a capture: its sites, their verdicts and everything that `report` and `leaks` say, at one
//! moment.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::analysis::verdict::Room;
use crate::analysis::{Summary, summary};
use crate::capture::{Events, LoadError, LoadOptions, open};
use crate::model::Profile;
use crate::present::View;
use crate::replay::Heap;
use crate::symbolize::{Names, Symbolizer};
use crate::view::{Asked, AtError, Filter, GroupBy, Grouping, ViewOptions};

/// How a look is taken.
#[derive(Debug, Clone)]
pub struct LookOptions {
    /// The part of the capture that is looked at.
    pub asked: Asked,
    /// The groupings that are made; the first is that of the [`Look`] when another is asked for that was not made.
    pub by: Vec<GroupBy>,
    /// Which stacks.
    pub filter: Filter,
    /// Show allocator and runtime frames too.
    pub raw_frames: bool,
    /// Where binaries and debug files are looked for too.
    pub symbols: Vec<PathBuf>,
    /// What earlier looks have looked up there.
    pub names: Names,
    /// The limit that leaks run into; `None` for the cgroup's.
    pub limit_bytes: Option<u64>,
}

impl Default for LookOptions {
    /// All of the capture by everything that sites can be grouped by.
    fn default() -> LookOptions {
        use GroupBy::{Crate, Function, Site, Tag, Thread, Type};
        LookOptions {
            asked: Asked::default(),
            by: vec![Site, Function, Crate, Type, Thread, Tag],
            filter: Filter::default(),
            raw_frames: false,
            symbols: Vec::new(),
            names: Names::default(),
            limit_bytes: None,
        }
    }
}

/// Why a look failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LookError {
    /// The capture could not be read.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// What was asked for means nothing in it.
    #[error(transparent)]
    At(#[from] AtError),
}

/// A capture as it stood when it was looked at: replayed, symbolized, grouped and judged.
#[derive(Debug)]
pub struct Look {
    /// Everything but the events.
    pub profile: Profile,
    /// The replay.
    pub heap: Heap,
    /// Totals and peak.
    pub summary: Summary,
    /// What makes two sites one, and the sites then; judged.
    groupings: Vec<(GroupBy, Grouping)>,
    /// Allocator and runtime frames are in the stacks.
    pub raw_frames: bool,
    /// Memory left before the limit, where there is one.
    pub room: Option<Room>,
    /// Everything a reader should know, one sentence each.
    pub warnings: Vec<String>,
    /// When the look was begun.
    pub at: SystemTime,
    /// The moment of its live figures, nanoseconds since the session's start.
    pub at_ns: u64,
    /// How long it took.
    pub took: Duration,
}

impl Look {
    /// Opens the capture that `path` belongs to and looks at the part of it that is asked for.
    ///
    /// # Errors
    ///
    /// When the capture cannot be read, or what is asked for means nothing in it.
    pub fn at(path: &Path, options: &LookOptions) -> Result<Look, LookError> {
        let (at, begin) = (SystemTime::now(), Instant::now());
        let asked = &options.asked;
        let load = |events| open(path, &LoadOptions { progress: None, events });
        let mut capture = load(if asked.is_of_all() { Events::All } else { Events::None })?;
        let replay = asked.resolve(&capture.profile)?;
        if !asked.is_of_all() {
            capture = load(replay.events(&capture.profile))?;
        }
        let heap = capture.replay(&replay)?;
        let profile = capture.profile;
        let summary = summary(&profile, &heap);
        let (groupings, warnings) = group(&profile, &heap, options);
        Ok(Look {
            room: Room::of(&profile, options.limit_bytes),
            at_ns: heap.moment_ns,
            profile,
            heap,
            summary,
            groupings,
            raw_frames: options.raw_frames,
            warnings,
            at,
            took: begin.elapsed(),
        })
    }

    /// The sites put together by this, or by what the look has instead, which is told.
    pub fn grouping(&self, by: GroupBy) -> Option<(GroupBy, &Grouping)> {
        let found = self.groupings.iter().find(|(made, _)| *made == by).or(self.groupings.first());
        found.map(|(by, grouping)| (*by, grouping))
    }

    /// What screens, JSON and pictures are made of: the sites put together by this, `top` of them, 0 for all. `None` when
    /// the look has no grouping.
    pub fn view(&self, by: GroupBy, top: usize) -> Option<View<'_>> {
        let (by, grouping) = self.grouping(by)?;
        Some(View {
            profile: &self.profile,
            heap: &self.heap,
            summary: &self.summary,
            grouping,
            by,
            raw_frames: self.raw_frames,
            top,
            room: self.room,
            warnings: &self.warnings,
        })
    }
}

/// All groupings, each judged, and everything that a reader should know.
fn group(profile: &Profile, heap: &Heap, options: &LookOptions) -> (Vec<(GroupBy, Grouping)>, Vec<String>) {
    let mut symbolizer = Symbolizer::with_names(profile, &options.symbols, &options.names);
    let mut groupings = Vec::new();
    for by in &options.by {
        let view = ViewOptions {
            by: *by,
            filter: options.filter.clone(),
            raw_frames: options.raw_frames,
            ..ViewOptions::default()
        };
        let mut grouping = Grouping::new(profile, heap, &mut symbolizer, &view);
        grouping.judge(profile, heap);
        groupings.push((*by, grouping));
    }
    let mut warnings: Vec<String> =
        [&profile.warnings, &heap.warnings, &symbolizer.warnings()].into_iter().flatten().cloned().collect();
    warnings.extend(groupings.first().map(|(_, grouping)| grouping.warnings()).unwrap_or_default());
    symbolizer.keep_names(&options.names);
    (groupings, warnings)
}
