//! Arguments and their help.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};
use regex::Regex;

use super::check::CheckArgs;
use super::ctl::CtlArgs;
use super::diff::DiffArgs;
use super::export::ExportArgs;
use super::rss::RssArgs;
use super::serve::ServeArgs;
use crate::analysis::By;
use crate::present::Of;
use crate::view::{Asked, At, GroupBy};

use super::arenas::{CleanArgs, ListArgs};
use super::menu::MenuArgs;
use super::sites::VerdictArgs;
use super::status::StatusArgs;
use super::top::TopArgs;
use super::watch::WatchArgs;

/// Reads captures of the Plimsoll heap profiler: what holds memory, what is never freed, what churns.
///
/// A capture is written by a program that links the plimsoll crate and runs with PLIMSOLL_OUTPUT=FILE.
#[derive(Debug, Parser)]
#[command(name = "plimsoll", version, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 all went well, 1 a check failed, 2 wrong usage or unreadable input.\n\
    Start with: plimsoll report CAPTURE";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    Report(ReportArgs),
    Leaks(LeaksArgs),
    Histogram(HistogramArgs),
    Flamegraph(FlamegraphArgs),
    Export(ExportArgs),
    Diff(DiffArgs),
    Rss(RssArgs),
    Check(CheckArgs),
    Run(RunArgs),
    Top(TopArgs),
    Watch(WatchArgs),
    Status(StatusArgs),
    Menu(MenuArgs),
    Serve(ServeArgs),
    Ctl(CtlArgs),
    Dump(DumpArgs),
    Pack(PackArgs),
    List(ListArgs),
    Clean(CleanArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Show the first screen: totals, peak, RSS beside the heap, top sites, what was lost
///
/// Totals come from counters that never drop, and are exact in both modes. Sites of a sampled capture are estimates,
/// shown with their 95 % interval.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll report service.plim\n  \
    plimsoll report service.plim --at peak --by crate\n  \
    plimsoll report service.plim --at 1m30s --focus 'cache::' --json\n  \
    plimsoll report service.plim --from deploy --to 30m")]
pub(super) struct ReportArgs {
    #[command(flatten)]
    pub(super) input: Input,
    #[command(flatten)]
    pub(super) list: List,
    #[command(flatten)]
    pub(super) look: Look,
}

/// Say what leaks: a verdict on every site with live blocks, with its evidence
///
/// Live is a fact, not a verdict: caches and other things kept on purpose are in the list too, below what leaks. The verdict
/// looks at the whole capture up to the moment.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll leaks service.plim\n  \
    plimsoll leaks service.plim --explain 1\n  \
    plimsoll leaks service.plim --limit 512MiB --fail-on leak\n  \
    plimsoll leaks service.plim --top 0 --ignore '^tokio::'\n  \
    plimsoll leaks service.plim --at after-warm-up --json\n  \
    plimsoll leaks service.plim --from after-warm-up")]
pub(super) struct LeaksArgs {
    #[command(flatten)]
    pub(super) input: Input,
    #[command(flatten)]
    pub(super) list: List,
    #[command(flatten)]
    pub(super) look: Look,
    #[command(flatten)]
    pub(super) verdict: VerdictArgs,
}

/// Show how sizes, lifetimes or ages are spread
///
/// Sizes are of everything allocated, lifetimes from allocation to free (of blocks not freed only a lower bound is
/// known: they stand in a column of their own), ages of the blocks live at the moment.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll histogram service.plim\n  \
    plimsoll histogram service.plim --by lifetime\n  \
    plimsoll histogram service.plim --by size --from 1m --to 2m")]
pub(super) struct HistogramArgs {
    #[command(flatten)]
    pub(super) input: Input,
    /// What to sort blocks by
    #[arg(long, value_enum, default_value_t = HistogramBy::Size)]
    pub(super) by: HistogramBy,
    #[command(flatten)]
    pub(super) moment: MomentArg,
}

/// Draw where memory comes from as an SVG flame graph
///
/// Widths are bytes (or temporary allocations); frames stand on their callers. Any browser shows the picture; click a
/// frame to zoom, Ctrl-F searches.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll flamegraph service.plim -o leaks.svg\n  \
    plimsoll flamegraph service.plim --of peak --by thread\n  \
    plimsoll flamegraph service.plim --of live --at 90s\n  \
    plimsoll flamegraph service.plim --of total --from 60s --to 90s")]
pub(super) struct FlamegraphArgs {
    #[command(flatten)]
    pub(super) input: Input,
    /// What the widths are
    #[arg(long, value_enum, default_value_t = Of::Leaks)]
    pub(super) of: Of,
    /// Where to write the picture [default: <capture>-<of>.svg in the current directory]
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) moment: MomentArg,
    #[command(flatten)]
    pub(super) look: Look,
}

/// Run a program that links the agent, then show its report
///
/// The program inherits the terminal. Its capture goes into a private temporary directory and is deleted after the
/// report, unless --keep names a file for it. The exit code is the program's own when that is not 0 (128 + the signal
/// when it was killed); 2 when it could not be started or left no capture.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll run -- ./target/release/service --port 8080\n  \
    plimsoll run --exact --keep service.plim -- ./target/release/service")]
pub(super) struct RunArgs {
    /// Record every allocation instead of samples
    #[arg(long)]
    pub(super) exact: bool,
    /// Keep the capture in FILE, which must not exist
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) keep: Option<PathBuf>,
    /// Mean bytes between samples, such as 64KiB [default: the agent's, 512KiB]
    #[arg(long, value_name = "SIZE", conflicts_with = "exact")]
    pub(super) interval: Option<String>,
    /// The program and its arguments
    #[arg(required = true, last = true, value_name = "CMD", value_hint = ValueHint::CommandWithArguments)]
    pub(super) command: Vec<OsString>,
}

/// Print the raw records of a capture, for people who debug the tool
#[derive(Debug, Args)]
pub(super) struct DumpArgs {
    #[command(flatten)]
    pub(super) input: Input,
    /// Print what long records hold too: every event, stack node, live block and symbol
    #[arg(long)]
    pub(super) full: bool,
}

/// Write the symbols into a capture, so that it can be read where the binaries are not
///
/// The capture is replaced at once or not at all. Names in a packed capture win over binaries.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll pack service.plim\n  \
    plimsoll pack service.plim -o packed.plim --symbols ./debug")]
pub(super) struct PackArgs {
    /// The capture
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) capture: PathBuf,
    /// Write here and leave the capture as it is
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) output: Option<PathBuf>,
    #[command(flatten)]
    pub(super) symbols: SymbolsArg,
}

/// Print completions for a shell
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  plimsoll completions bash > ~/.local/share/bash-completion/completions/plimsoll"
)]
pub(super) struct CompletionsArgs {
    /// The shell
    pub(super) shell: clap_complete::Shell,
}

/// Print the man page, or write the pages of all commands into a directory
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where to write one page for each command
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) directory: Option<PathBuf>,
}

/// The capture and the form of the answer.
#[derive(Debug, Args)]
pub(super) struct Input {
    /// The capture (of one in segments, any of its files)
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) capture: PathBuf,
    /// Print JSON; viewer/docs/json in the sources holds its schemas
    #[arg(long)]
    pub(super) json: bool,
}

/// How a list of sites is made.
#[derive(Debug, Args)]
pub(super) struct List {
    /// Sites to list, 0 for all
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) top: usize,
    #[command(flatten)]
    pub(super) moment: MomentArg,
}

/// The moment of live figures, or a range of time.
#[derive(Debug, Args)]
pub(super) struct MomentArg {
    /// Moment of live figures: start, peak, end, a time since the start (90s, 1m30s, 500ms), a time of day
    /// (2026-11-23T03:00:00Z), or a marker's name [default: end]
    #[arg(long, value_name = "MOMENT")]
    pub(super) at: Option<At>,
    /// Only what was allocated from this moment on, and what of it is still live at --to [default: start]
    #[arg(long, value_name = "MOMENT")]
    pub(super) from: Option<At>,
    /// Only what was allocated up to this moment; live figures are for it [default: end]
    #[arg(long, value_name = "MOMENT")]
    pub(super) to: Option<At>,
}

impl MomentArg {
    /// The part of the capture that is asked for.
    pub(super) fn asked(&self) -> Asked {
        Asked { at: self.at.clone(), from: self.from.clone(), to: self.to.clone() }
    }
}

/// Which stacks are looked at, and how.
#[derive(Debug, Args)]
pub(super) struct Look {
    /// Put sites together that have this in common
    #[arg(long, value_enum, default_value_t = GroupBy::Site)]
    pub(super) by: GroupBy,
    /// Only stacks with a function that matches
    #[arg(long, value_name = "REGEX")]
    pub(super) focus: Option<Regex>,
    /// No stacks with a function that matches
    #[arg(long, value_name = "REGEX")]
    pub(super) ignore: Option<Regex>,
    /// Show allocator and runtime frames too
    #[arg(long)]
    pub(super) raw_frames: bool,
    #[command(flatten)]
    pub(super) symbols: SymbolsArg,
}

/// Where symbols are looked for.
#[derive(Debug, Default, Args)]
pub(super) struct SymbolsArg {
    /// Look for binaries and debug files here too; may be given several times
    #[arg(long = "symbols", value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(super) directories: Vec<PathBuf>,
}

/// What blocks are sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum HistogramBy {
    /// Requested size
    Size,
    /// Time from allocation to free
    Lifetime,
    /// Time since allocation, of live blocks
    Age,
}

impl From<HistogramBy> for By {
    fn from(by: HistogramBy) -> By {
        match by {
            HistogramBy::Size => By::Size,
            HistogramBy::Lifetime => By::Lifetime,
            HistogramBy::Age => By::Age,
        }
    }
}
