//! `report` and `leaks`: totals and a list of sites.

use std::path::Path;

use crate::analysis::summary;
use crate::present::json::SitesJson;
use crate::present::{Screen, View, advice_text, leaks_text, report_text};
use crate::replay::Heap;
use crate::symbolize::Symbolizer;
use crate::view::{Filter, Grouping, ViewOptions};

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
    let json = |view: &View<'_>| SitesJson::new(view, &view.ranked_with_past()).with_timeline(view);
    show(&args.input, &args.list, &args.look, text, json)
}

pub(super) fn leaks(args: &LeaksArgs) -> Result<(), CliError> {
    show(&args.input, &args.list, &args.look, leaks_text, |view| SitesJson::new(view, &view.ranked()))
}

/// The report of a capture with the options' defaults, as `run` ends with it.
pub(super) fn plain_report(capture: &Path) -> Result<String, CliError> {
    let loaded = Loaded::open(capture)?;
    let heap = loaded.replay()?;
    let options = ViewOptions::default();
    Ok(with_view(&loaded, &heap, &options, &[], 10, |view| report_text(view, Screen::of_stdout())))
}

fn show(
    input: &Input,
    list: &List,
    look: &Look,
    text: impl Fn(&View<'_>, Screen) -> String,
    json: impl Fn(&View<'_>) -> SitesJson,
) -> Result<(), CliError> {
    let loaded = Loaded::open_for(&input.capture, &list.moment.asked())?;
    let heap = loaded.replay()?;
    with_view(&loaded, &heap, &look.options(), &look.symbols.directories, list.top, |view| {
        if input.json { print_json(&json(view)) } else { print(&text(view, Screen::of_stdout())) }
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
    let grouping = Grouping::new(profile, heap, &mut symbolizer, options);
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
        warnings: &warnings,
    };
    show(&view)
}

/// Everything a reader should know: of the capture, its replay and its symbols.
pub(super) fn warnings(loaded: &Loaded, heap: &Heap, symbols: &[String]) -> Vec<String> {
    [&loaded.capture.profile.warnings, &heap.warnings, symbols].into_iter().flatten().cloned().collect()
}
