//! `check`: a gate for continuous integration.

use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::{Args, ValueHint};

use crate::analysis::{Check, Evidence, Limits, Status, Whole, check as analyse, summary};
use crate::present::json::CheckJson;
use crate::present::{Checked, View, check_markdown, check_text};
use crate::view::{GroupBy, Grouping, ViewOptions};

use super::args::{Input, SymbolsArg};
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::sites::warnings;
use super::size::Size;
use super::suppress::SuppressArg;
use crate::symbolize::Symbolizer;

/// Check a capture against limits, for CI: exit code 1 and the reason when one does not hold
///
/// A limit holds when the whole interval of the figure is within it, and is broken when none of it is. What lies between,
/// or cannot be known, fails too, and says why; --lenient lets it pass.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll check service.plim --max-peak 512MiB --no-leak\n  \
    plimsoll check service.plim --max-growth-rate 1MiB/h --json\n  \
    plimsoll check pr.plim --baseline main.plim --max-regression 5% --markdown >> \"$GITHUB_STEP_SUMMARY\"\n\n\
    Exit codes: 0 everything passed, 1 a check failed or cannot be told, 2 wrong usage or unreadable input.")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    input: Input,
    /// Let pass what cannot be told, and say so
    #[arg(long)]
    lenient: bool,
    /// Print Markdown, for a pull request
    #[arg(long, conflicts_with = "json")]
    markdown: bool,
    #[command(flatten)]
    symbols: SymbolsArg,
    #[command(flatten)]
    suppress: SuppressArg,
    // Last, since its heading is that of everything after it.
    #[command(flatten)]
    gates: GateArgs,
}

/// What is checked.
#[derive(Debug, Args)]
#[command(next_help_heading = "Gates (at least one)")]
struct GateArgs {
    /// Most bytes live at once, such as 512MiB
    #[arg(long, value_name = "SIZE")]
    max_peak: Option<Size>,
    /// Most bytes live at the end
    #[arg(long, value_name = "SIZE")]
    max_live_at_end: Option<Size>,
    /// Most allocations, such as 1_000_000
    #[arg(long, value_name = "NUMBER")]
    max_allocations: Option<Number>,
    /// Most bytes allocated in all
    #[arg(long, value_name = "SIZE")]
    max_bytes: Option<Size>,
    /// Most that all leaks together may grow by, such as 1MiB/h or 100KiB/s
    #[arg(long, value_name = "RATE")]
    max_growth_rate: Option<Rate>,
    /// No site may have the verdict leak
    #[arg(long)]
    no_leak: bool,
    /// With --no-leak: a site with too little evidence for a verdict is not let pass
    #[arg(long, requires = "no_leak", conflicts_with = "lenient")]
    strict: bool,
    /// Compare peak, live at the end, allocations and bytes with those of this capture
    #[arg(long, value_name = "FILE", requires = "max_regression", value_hint = ValueHint::FilePath)]
    baseline: Option<PathBuf>,
    /// Most that each of them may be above the baseline's, such as 5%
    #[arg(long, value_name = "PERCENT", requires = "baseline")]
    max_regression: Option<Percent>,
}

impl GateArgs {
    /// What must hold.
    fn limits(&self) -> Result<Limits, CliError> {
        let limits = Limits {
            peak: self.max_peak.map(|size| size.0),
            live_at_end: self.max_live_at_end.map(|size| size.0),
            allocations: self.max_allocations.map(|number| number.0),
            bytes: self.max_bytes.map(|size| size.0),
            growth_rate: self.max_growth_rate.map(|rate| rate.0),
            no_leak: self.no_leak,
            strict: self.strict,
            regression_percent: self.max_regression.map(|percent| percent.0),
        };
        if limits == Limits::default() {
            return Err(CliError::Refused(
                "check: nothing to check; give at least one of --max-peak, --max-live-at-end, --max-allocations, \
                 --max-bytes, --max-growth-rate, --no-leak, --baseline FILE --max-regression PERCENT"
                    .to_owned(),
            ));
        }
        Ok(limits)
    }
}

pub(super) fn check(args: &CheckArgs) -> Result<(), CliError> {
    let limits = args.gates.limits()?;
    let suppressions = args.suppress.read()?;
    let base = args.gates.baseline.as_deref().map(baseline).transpose()?;
    let loaded = Loaded::open(&args.input.capture)?;
    let heap = loaded.replay()?;
    let profile = &loaded.capture.profile;
    let summary = summary(profile, &heap);
    let mut warnings = warnings(&loaded, &heap, &[]);
    let mut grouping = Grouping::default();
    // Only these two need sites and their names.
    if limits.no_leak || limits.growth_rate.is_some() {
        let mut symbolizer = Symbolizer::new(profile, &args.symbols.directories);
        let options = ViewOptions { suppressions, ..ViewOptions::default() };
        grouping = Grouping::new(profile, &heap, &mut symbolizer, &options);
        grouping.judge(profile, &heap);
        warnings.extend(symbolizer.warnings());
        warnings.extend(grouping.warnings());
    }
    if args.suppress.is_given() && !(limits.no_leak || limits.growth_rate.is_some()) {
        warnings.push("--suppress changes nothing: only --no-leak and --max-growth-rate look at sites".to_owned());
    }
    if let Some(base) = &base {
        warnings.extend(base.warnings.iter().map(|text| format!("baseline: {text}")));
        if base.program != profile.header.program {
            let (this, other) = (&profile.header.program, &base.program);
            warnings.push(format!("the baseline is of another program: {other}, not {this}"));
        }
    }
    let verdicts: Vec<_> = grouping.groups.iter().filter_map(|group| group.verdict.as_ref()).collect();
    let baseline = base.as_ref().map(|base| base.whole);
    let checks = analyse(&limits, &Evidence { profile, summary: &summary, verdicts: &verdicts, baseline });
    let view = View {
        profile,
        heap: &heap,
        summary: &summary,
        grouping: &grouping,
        by: GroupBy::Site,
        raw_frames: false,
        top: 10,
        room: None,
        warnings: &warnings,
    };
    let checked =
        Checked { view: &view, checks: &checks, baseline: args.gates.baseline.as_deref(), lenient: args.lenient };
    match (args.input.json, args.markdown) {
        (true, _) => print_json(&CheckJson::new(&checked))?,
        (_, true) => print(&check_markdown(&checked))?,
        _ => print(&check_text(&checked))?,
    }
    if fails(&checks, args.lenient) { Err(CliError::Failed) } else { Ok(()) }
}

/// A gate that could not look must not be green unless that was asked for.
fn fails(checks: &[Check], lenient: bool) -> bool {
    checks.iter().any(|check| match check.status {
        Status::Passed => false,
        Status::Failed => true,
        Status::Unknown => !lenient,
    })
}

/// What is kept of a baseline.
struct Baseline {
    whole: Whole,
    program: String,
    warnings: Vec<String>,
}

fn baseline(path: &Path) -> Result<Baseline, CliError> {
    let loaded = Loaded::open(path)?;
    let heap = loaded.replay()?;
    let profile = &loaded.capture.profile;
    Ok(Baseline {
        whole: Whole::of(profile, &summary(profile, &heap)),
        program: profile.header.program.clone(),
        warnings: warnings(&loaded, &heap, &[]),
    })
}

/// A number of things: `1000000` or `1_000_000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Number(u64);

impl FromStr for Number {
    type Err = String;

    fn from_str(text: &str) -> Result<Number, String> {
        let wrong = || format!("{text:?} is no number of allocations: expected digits, such as 1000000 or 1_000_000");
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(wrong());
        }
        text.replace('_', "").parse().map(Number).map_err(|_| wrong())
    }
}

/// Bytes a second.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Rate(f64);

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Rate, String> {
        let wrong = || {
            format!("{text:?} is no rate: expected a size and a time (s, min, h or d), such as 1MiB/h, 100KiB/s or 0/s")
        };
        let (size, time) = text.split_once('/').ok_or_else(wrong)?;
        let size: Size = size.parse().map_err(|_| wrong())?;
        let seconds = match time.trim().to_ascii_lowercase().as_str() {
            "s" => 1.0,
            "min" => 60.0,
            "h" => 3_600.0,
            "d" => 86_400.0,
            _ => return Err(wrong()),
        };
        Ok(Rate(size.0 as f64 / seconds))
    }
}

/// Per cent: `5%`, `0.5 %` or `5`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Percent(f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Percent, String> {
        let wrong = || format!("{text:?} is no percentage: expected a number from 0 on, such as 5% or 0.5%");
        let number = text.trim();
        let number = number.strip_suffix('%').unwrap_or(number).trim_end();
        let is_plain = number.chars().all(|letter| letter.is_ascii_digit() || letter == '.');
        let percent: f64 = number.parse().map_err(|_| wrong())?;
        if is_plain && percent.is_finite() { Ok(Percent(percent)) } else { Err(wrong()) }
    }
}
