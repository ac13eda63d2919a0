//! `report` and `leaks`: totals and a list of sites.

use std::path::Path;

use crate::analysis::summary;
use crate::analysis::verdict::Room;
use crate::present::json::SitesJson;
use crate::present::{Screen, View, advice_text, leaks_text, report_text};
use crate::replay::Heap;
use crate::symbolize::Symbolizer;
use crate::view::{Filter, Group, Grouping, ViewOptions};

use super::args::{Input, LeaksArgs, List, Look, ReportArgs};
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};

impl Look {
    pub(super) fn options(&self) -> ViewOptions {
        let filter = Filter { focus: self.focus.clone(), ignore: self.ignore.clone() };
        ViewOptions { by: self.by, filter, raw_frames: self.raw_frames }
    }
}

pub(super) fn report(args: &ReportArgs) -> Result<(), CliError> {
    let text = |view: &View<'_>, screen| report_text(view, screen) + &advice_text(view);
    show(&args.input, &args.list, &args.look, text, |view| view.ranked_with_past())
}

pub(super) fn leaks(args: &LeaksArgs) -> Result<(), CliError> {
    show(&args.input, &args.list, &args.look, leaks_text, |view| view.ranked())
}

/// The report of a capture with the options' defaults, as `run` ends with it.
pub(super) fn plain_report(capture: &Path) -> Result<String, CliError> {
    let loaded = Loaded::open(capture)?;
    let heap = loaded.replay_moment(crate::replay::Moment::End)?;
    let options = ViewOptions::default();
    Ok(with_view(&loaded, &heap, &options, &[], 10, |view| report_text(view, Screen::of_stdout())))
}

fn show(
    input: &Input,
    list: &List,
    look: &Look,
    text: impl Fn(&View<'_>, Screen) -> String,
    listed: impl for<'a> Fn(&View<'a>) -> Vec<&'a Group>,
) -> Result<(), CliError> {
    let loaded = Loaded::open(&input.capture)?;
    let heap = loaded.replay(&list.moment.at)?;
    with_view(&loaded, &heap, &look.options(), &look.symbols.directories, list.top, |view| {
        if input.json {
            print_json(&SitesJson::new(view, &listed(view)))
        } else {
            print(&text(view, Screen::of_stdout()))
        }
    })
}

/// Symbolizes, groups and sums up, then shows.
fn with_view<T>(
    loaded: &Loaded,
    heap: &Heap,
    options: &ViewOptions,
    symbols: &[std::path::PathBuf],
    top: usize,
    show: impl FnOnce(&View<'_>) -> T,
) -> T {
    let profile = &loaded.capture.profile;
    let mut symbolizer = Symbolizer::new(profile, symbols);
    let mut grouping = Grouping::new(profile, heap, &mut symbolizer, options);
    grouping.judge(profile, heap);
    let summary = summary(profile, heap);
    let mut warnings = warnings(loaded, heap, &symbolizer.warnings());
    warnings.extend(grouping.warnings());
    let view = View {
        profile,
        heap,
        summary: &summary,
        grouping: &grouping,
        by: options.by,
        raw_frames: options.raw_frames,
        top,
        room: Room::of(profile, None),
        warnings: &warnings,
    };
    show(&view)
}

/// Everything a reader should know: of the capture, its replay and its symbols.
pub(super) fn warnings(loaded: &Loaded, heap: &Heap, symbols: &[String]) -> Vec<String> {
    [&loaded.capture.profile.warnings, &heap.warnings, symbols].into_iter().flatten().cloned().collect()
}
