//! `report` and `leaks`: totals and a list of sites.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};
use regex::Regex;

use crate::analysis::summary;
use crate::analysis::verdict::{Class, Room};
use crate::present::json::SitesJson;
use crate::present::{Screen, View, advice_text, explain_text, leaks_text, report_text};
use crate::replay::Heap;
use crate::symbolize::Symbolizer;
use crate::view::{Filter, Group, Grouping, ViewOptions};

use super::args::{Input, LeaksArgs, List, Look, ReportArgs};
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::size::Size;
use super::suppress::{SuppressArg, write_suppressions};

/// Verdicts on sites, and what to make of them.
#[derive(Debug, Default, Args)]
pub(super) struct VerdictArgs {
    /// Memory the program may use, such as 512MiB: tells the time a leak has left [default: the cgroup's limit]
    #[arg(long, value_name = "SIZE")]
    limit: Option<Size>,
    /// Show the evidence for one site: its number in the list, or a regex that matches one of its functions
    #[arg(long, value_name = "SITE", conflicts_with = "json")]
    explain: Option<String>,
    /// Exit with code 1 when a site has this verdict; may be given several times
    #[arg(long, value_name = "VERDICT")]
    fail_on: Vec<FailOn>,
    /// Write a rule for each site that leaks into FILE, which must not exist, to start a file for --suppress from
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "json")]
    write_suppressions: Option<PathBuf>,
    #[command(flatten)]
    suppress: SuppressArg,
}

/// A verdict by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FailOn(Class);

impl ValueEnum for FailOn {
    fn value_variants<'a>() -> &'a [FailOn] {
        const ALL: [FailOn; 6] = [
            FailOn(Class::Leak),
            FailOn(Class::TooLittleEvidence),
            FailOn(Class::Bounded),
            FailOn(Class::WarmUp),
            FailOn(Class::Churn),
            FailOn(Class::OneShot),
        ];
        &ALL
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.0.name()))
    }
}

impl Look {
    pub(super) fn options(&self) -> ViewOptions {
        let filter = Filter { focus: self.focus.clone(), ignore: self.ignore.clone() };
        ViewOptions { by: self.by, filter, raw_frames: self.raw_frames, ..ViewOptions::default() }
    }
}

pub(super) fn report(args: &ReportArgs) -> Result<(), CliError> {
    let text = |view: &View<'_>, screen| report_text(view, screen) + &advice_text(view);
    let options = args.look.options();
    show(&args.input, &args.list, (&args.look, &options), None, |view| match args.input.json {
        true => print_json(&SitesJson::new(view, &view.ranked_with_past()).with_timeline(view)),
        false => print(&text(view, Screen::of_stdout())),
    })
}

pub(super) fn leaks(args: &LeaksArgs) -> Result<(), CliError> {
    let limit = args.verdict.limit.map(|limit| limit.0);
    let options = ViewOptions { suppressions: args.verdict.suppress.read()?, ..args.look.options() };
    show(&args.input, &args.list, (&args.look, &options), limit, |view| {
        let ranked = view.ranked_by_verdict();
        if args.input.json {
            print_json(&SitesJson::new(view, &ranked))?;
        } else if let Some(site) = &args.verdict.explain {
            print(&explain_text(view, choose(&ranked, site)?, Screen::of_stdout()))?;
        } else {
            print(&leaks_text(view, Screen::of_stdout()))?;
        }
        if let Some(path) = &args.verdict.write_suppressions {
            print(&write_suppressions(path, view)?)?;
        }
        let fails = |group: &&Group| {
            group.verdict.as_ref().is_some_and(|verdict| args.verdict.fail_on.contains(&FailOn(verdict.class)))
        };
        if ranked.iter().any(fails) { Err(CliError::Failed) } else { Ok(()) }
    })
}

/// The site with a number in the list, or the first with a function that matches.
fn choose<'a>(ranked: &[&'a Group], site: &str) -> Result<&'a Group, CliError> {
    let refuse = |why: String| CliError::Refused(format!("--explain {site}: {why}; plimsoll leaks lists them"));
    if let Ok(number) = site.parse::<usize>() {
        let group = number.checked_sub(1).and_then(|at| ranked.get(at));
        return group.copied().ok_or_else(|| refuse(format!("there are {} sites with live blocks", ranked.len())));
    }
    let regex = Regex::new(site).map_err(|error| {
        let error = error.to_string();
        refuse(format!("it is neither a number nor a regex ({})", error.lines().last().unwrap_or_default()))
    })?;
    let matches =
        |group: &&&Group| regex.is_match(&group.name) || group.frames.iter().any(|frame| regex.is_match(&frame.name()));
    ranked
        .iter()
        .find(matches)
        .copied()
        .ok_or_else(|| refuse("no site with live blocks has such a function".to_owned()))
}

/// The report of a capture with the options' defaults, as `run` ends with it.
pub(super) fn plain_report(capture: &Path) -> Result<String, CliError> {
    let loaded = Loaded::open(capture)?;
    let heap = loaded.replay()?;
    let options = ViewOptions::default();
    Ok(with_view(&loaded, &heap, &options, &[], (10, None), |view| report_text(view, Screen::of_stdout())))
}

fn show(
    input: &Input,
    list: &List,
    (look, options): (&Look, &ViewOptions),
    limit: Option<u64>,
    print: impl FnOnce(&View<'_>) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let loaded = Loaded::open_for(&input.capture, &list.moment.asked())?;
    let heap = loaded.replay()?;
    with_view(&loaded, &heap, options, &look.symbols.directories, (list.top, limit), print)
}

/// Symbolizes, groups, judges and sums up, then shows: so many sites, with this limit of memory.
fn with_view<T>(
    loaded: &Loaded,
    heap: &Heap,
    options: &ViewOptions,
    symbols: &[std::path::PathBuf],
    (top, limit): (usize, Option<u64>),
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
        room: Room::of(profile, limit),
        warnings: &warnings,
    };
    show(&view)
}

/// Everything a reader should know: of the capture, its replay and its symbols.
pub(super) fn warnings(loaded: &Loaded, heap: &Heap, symbols: &[String]) -> Vec<String> {
    [&loaded.capture.profile.warnings, &heap.warnings, symbols].into_iter().flatten().cloned().collect()
}
