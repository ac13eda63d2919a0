//! `diff`: what changed between two captures, or two moments of one.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use crate::analysis::{Summary, changes, summary};
use crate::model::Profile;
use crate::present::json::DiffJson;
use crate::present::{Comparison, DiffFlameGraph, DiffOf, Screen, View, diff_markdown, diff_text, safe};
use crate::replay::{Heap, Moment, Range, ReplayOptions};
use crate::symbolize::Symbolizer;
use crate::view::{At, GroupBy, Grouping, Pair, ViewOptions, pair_captures, pair_moments};

use super::args::{Look, MomentArg};
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::sites::warnings;

/// Show what changed between two captures, or between two moments of one
///
/// Sites are matched by the names of their functions, so the captures may be of different builds. Differences of exact
/// captures are reported however small. Of sampled ones only those that sampling does not explain: comparing two runs of
/// the same program reports anything at all once in a hundred times, at most.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll diff before.plim after.plim\n  \
    plimsoll diff before.plim after.plim --of peak --by crate\n  \
    plimsoll diff service.plim --from 1m --to 10m\n  \
    plimsoll diff before.plim after.plim -o change.svg\n  \
    plimsoll diff base.plim branch.plim --markdown >> comment.md")]
pub(super) struct DiffArgs {
    /// The capture before
    #[arg(value_hint = ValueHint::FilePath)]
    before: PathBuf,
    /// The capture after; without it, --from and --to are two moments of the first
    #[arg(value_hint = ValueHint::FilePath)]
    after: Option<PathBuf>,
    /// What is compared
    #[arg(long, value_enum, default_value_t = DiffOf::Live)]
    of: DiffOf,
    /// Changes to list, 0 for all
    #[arg(long, value_name = "N", default_value_t = 10)]
    top: usize,
    /// List differences that sampling may explain too
    #[arg(long)]
    all: bool,
    /// Draw a flame graph of the changes into this file: red for more, blue for less
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: Option<PathBuf>,
    /// Print JSON; viewer/docs/json in the sources holds its schema
    #[arg(long)]
    json: bool,
    /// Print Markdown, for a comment on a pull request
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    moment: MomentArg,
    #[command(flatten)]
    look: Look,
}

/// A capture at a moment, or in a range.
struct Side {
    loaded: Loaded,
    heap: Heap,
    summary: Summary,
    warnings: Vec<String>,
    /// By site, which is what pictures are made of, and as asked for.
    groupings: [Grouping; 2],
}

impl Side {
    fn new(loaded: Loaded, look: &Look) -> Result<Side, CliError> {
        let heap = loaded.replay()?;
        let profile = &loaded.capture.profile;
        let mut symbolizer = Symbolizer::new(profile, &look.symbols.directories);
        let options = look.options();
        let groupings = [GroupBy::Site, options.by]
            .map(|by| Grouping::new(profile, &heap, &mut symbolizer, &ViewOptions { by, ..options.clone() }));
        let mut warnings = warnings(&loaded, &heap, &symbolizer.warnings());
        warnings.extend(groupings[0].warnings());
        let summary = summary(profile, &heap);
        Ok(Side { loaded, heap, summary, warnings, groupings })
    }

    fn view(&self, args: &DiffArgs) -> View<'_> {
        View {
            profile: &self.loaded.capture.profile,
            heap: &self.heap,
            summary: &self.summary,
            grouping: &self.groupings[1],
            by: args.look.by,
            raw_frames: args.look.raw_frames,
            top: args.top,
            room: None,
            warnings: &self.warnings,
        }
    }
}

pub(super) fn diff(args: &DiffArgs) -> Result<(), CliError> {
    let ([before, after], [by_site, asked]) = match &args.after {
        Some(after) => two_captures(args, after)?,
        None => two_moments(args)?,
    };
    let changes = changes(asked);
    let comparison = Comparison {
        before: before.view(args),
        after: after.view(args),
        of: args.of,
        of_moments: args.after.is_none(),
        changes: &changes,
        all: args.all,
    };
    let picture = match &args.output {
        Some(output) => Some(draw(&comparison, by_site, output)?),
        None => None,
    };
    match (args.json, args.markdown) {
        (true, _) => print_json(&DiffJson::new(&comparison)),
        (false, true) => print(&diff_markdown(&comparison)),
        (false, false) => print(&(diff_text(&comparison, Screen::of_stdout()) + &picture.unwrap_or_default())),
    }
}

/// Both sides, and their pairs by site and as asked for.
type Compared = ([Side; 2], [Vec<Pair>; 2]);

fn two_captures(args: &DiffArgs, after: &Path) -> Result<Compared, CliError> {
    if let Some(at) = args.moment.at.as_ref().map(At::text).filter(|_| args.of != DiffOf::Live) {
        let of = args.of.name();
        return Err(CliError::Refused(format!("--at {at} does not go with --of {of}: use --of live, or --to {at}")));
    }
    let side = |path: &Path| Side::new(Loaded::open_for(path, &args.moment.asked())?, &args.look);
    let sides = [side(&args.before)?, side(after)?];
    let intervals = [0, 1].map(|side: usize| sides[side].heap.interval_bytes);
    let by = [GroupBy::Site, args.look.by];
    let pairs = [0, 1].map(|at: usize| {
        let [before, after] = [0, 1].map(|side: usize| &sides[side].groupings[at]);
        pair_captures([before, after], by[at], intervals, |group| args.of.figure(group))
    });
    Ok((sides, pairs))
}

fn two_moments(args: &DiffArgs) -> Result<Compared, CliError> {
    let refuse =
        |why: &str| Err(CliError::Refused(format!("cannot compare moments of {}: {why}", args.before.display())));
    let moment = &args.moment;
    if moment.at.is_some() || (moment.from.is_none() && moment.to.is_none()) {
        return refuse("name them with --from and --to, or name a second capture");
    }
    if args.of != DiffOf::Live {
        return refuse(
            "only what is live can be compared; plimsoll report --from --to shows what was allocated in between",
        );
    }
    let options = |part: fn(Range) -> ReplayOptions| {
        move |profile: &Profile| {
            Ok(part(moment.asked().resolve(profile)?.range.unwrap_or(Range { from_ns: 0, to_ns: 0 })))
        }
    };
    let side = |part| Side::new(Loaded::open_with(&args.before, options(part))?, &args.look);
    let before = side(|range| ReplayOptions { moment: Moment::Time(range.from_ns), ..ReplayOptions::default() })?;
    let after = side(|range| ReplayOptions { moment: Moment::Time(range.to_ns), ..ReplayOptions::default() })?;
    let between = side(|range| ReplayOptions {
        moment: Moment::Time(range.to_ns),
        range: Some(range),
        ..ReplayOptions::default()
    })?;
    let by = [GroupBy::Site, args.look.by];
    let interval_bytes = after.heap.interval_bytes;
    let pairs = [0, 1].map(|at: usize| {
        let groupings = [&before.groupings[at], &after.groupings[at], &between.groupings[at]];
        pair_moments(groupings, by[at], interval_bytes)
    });
    Ok(([before, after], pairs))
}

/// Draws the picture; gives the line that says so.
fn draw(comparison: &Comparison<'_>, by_site: Vec<Pair>, output: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Write { path: output.to_owned(), source };
    let changes = changes(by_site);
    let graph = DiffFlameGraph::new(&changes);
    let mut file = BufWriter::new(File::create(output).map_err(failed)?);
    match graph.draw(comparison, &mut file) {
        // A picture of nothing says so itself.
        Err(_) if graph.is_empty() => {}
        result => result.map_err(failed)?,
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(format!("Flame graph: {}\n", safe(&output.to_string_lossy())))
}
