//! `export`: what is known of a heap in other tools' formats.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum, ValueHint};

use crate::analysis::summary;
use crate::export::pprof::{Shows, pprof};
use crate::export::table::{Cells, Step, Table, csv, jsonl};
use crate::export::walk::Walk;
use crate::export::{collapsed, dhat, firefox, speedscope};
use crate::model::Measure;
use crate::present::{Of, safe, units};
use crate::replay::{Heap, Moment, Range, ReplayOptions};
use crate::symbolize::Symbolizer;
use crate::view::{Asked, At, Grouping};

use super::args::Look;
use super::error::CliError;
use super::load::Loaded;
use super::output::print;
use super::sites::warnings;

/// Steps of time at most: each is a replay.
const MOST_STEPS: u32 = 1_000;

/// Write a capture in the format of another tool
///
/// Estimates leave unbiased. What each format carries, what it cannot, and what opens it: viewer/docs/export.md.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll export service.plim --to pprof -o heap.pb.gz && go tool pprof -http : heap.pb.gz\n  \
    plimsoll export service.plim --to firefox --from 60s --until 90s -o profile.json\n  \
    plimsoll export service.plim --to collapsed --of leaks -o - | inferno-flamegraph > leaks.svg\n  \
    plimsoll export service.plim --to csv --by crate --steps 24 -o growth.csv")]
pub(super) struct ExportArgs {
    /// The capture (of one in segments, any of its files)
    #[arg(value_hint = ValueHint::FilePath)]
    capture: PathBuf,
    /// The format
    #[arg(long = "to", value_enum, value_name = "FORMAT")]
    format: Format,
    /// Where to write it, - for standard output
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    output: PathBuf,
    /// The figure of collapsed stacks, which have one only [default: leaks]
    #[arg(long, value_enum)]
    of: Option<Of>,
    /// Rows for so many steps of time, evenly spread up to the moment, in csv, jsonl and parquet [default: 1, the moment itself]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(MOST_STEPS)))]
    steps: Option<u32>,
    /// The machine that the capture is of, for the column `host` of csv, jsonl and parquet
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    #[command(flatten)]
    moment: ExportMoment,
    #[command(flatten)]
    look: Look,
}

/// The moment of live figures, or a range of time. `--to` is the format here.
#[derive(Debug, Args)]
struct ExportMoment {
    /// Moment of live figures: start, peak, end, a time since the start (90s, 1m30s, 500ms), a time of day
    /// (2026-11-23T03:00:00Z), or a marker's name [default: end]
    #[arg(long, value_name = "MOMENT")]
    at: Option<At>,
    /// Only what was allocated from this moment on, and what of it is still live at --until [default: start]
    #[arg(long, value_name = "MOMENT")]
    from: Option<At>,
    /// Only what was allocated up to this moment; live figures are for it. It is --to of other commands [default: end]
    #[arg(long, value_name = "MOMENT")]
    until: Option<At>,
}

/// The formats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Gzipped protocol buffers for `go tool pprof` and what scrapes it
    Pprof,
    /// A profile for profiler.firefox.com: each allocation and free in time
    Firefox,
    /// Valgrind's dh_view.html, with lifetimes (exact captures)
    Dhat,
    /// speedscope.app
    Speedscope,
    /// Lines for flame graph programs such as inferno
    Collapsed,
    /// A table with a row for each site and step
    Csv,
    /// The same, one JSON object a line
    Jsonl,
    /// The same for DuckDB, pyarrow and the like (cargo feature parquet)
    Parquet,
}

impl Format {
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    fn is_table(self) -> bool {
        matches!(self, Format::Csv | Format::Jsonl | Format::Parquet)
    }
}

pub(super) fn export(args: &ExportArgs) -> Result<(), CliError> {
    check(args)?;
    let mut loaded = open(args)?;
    let profile = &loaded.capture.profile;
    if args.format == Format::Dhat && !profile.is_exact() {
        return Err(refused(
            args,
            "a sampled capture knows neither lifetimes nor each block; record with PLIMSOLL_MODE=exact, or use --to pprof",
        ));
    }
    loaded.options.trace = (args.format == Format::Firefox).then_some(firefox::MOST_MOVES);
    let heap = loaded.replay()?;
    if let Some(trace) = heap.trace.as_ref().filter(|trace| trace.left_out > 0) {
        let all = trace.left_out.saturating_add(trace.moved.len() as u64);
        let most = firefox::MOST_MOVES;
        let why = format!(
            "{all} allocations and frees are more than a browser takes ({most}); choose a part with --from and --until"
        );
        return Err(refused(args, &why));
    }
    let mut symbolizer = Symbolizer::new(&loaded.capture.profile, &args.look.symbols.directories);
    let sums = match args.format.is_table() {
        true => write_table(args, &loaded, &heap, &mut symbolizer)?,
        false => write_stacks(args, &loaded, &heap, &mut symbolizer)?,
    };
    let text: String = warnings(&loaded, &heap, &symbolizer.warnings())
        .iter()
        .map(|warning| format!("warning: {}\n", safe(warning)))
        .chain([format!("{}: {sums}\n", safe(&args.output.to_string_lossy()))])
        .collect();
    if to_stdout(args) { anstream::stderr().write_all(text.as_bytes()).map_err(CliError::Output) } else { print(&text) }
}

fn refused(args: &ExportArgs, why: &str) -> CliError {
    CliError::Refused(format!("cannot export {} to {}: {why}", args.capture.display(), args.format.name()))
}

/// What does not go together, before the capture is read.
fn check(args: &ExportArgs) -> Result<(), CliError> {
    if args.format == Format::Parquet && !cfg!(feature = "parquet") {
        return Err(refused(
            args,
            "this plimsoll was built without it; build with --features parquet, or use --to csv",
        ));
    }
    if args.of.is_some() && args.format != Format::Collapsed {
        return Err(refused(args, "--of is for --to collapsed; the other formats carry all figures"));
    }
    if (args.steps.is_some() || args.host.is_some()) && !args.format.is_table() {
        return Err(refused(args, "--steps and --host are for csv, jsonl and parquet"));
    }
    let is_peak = args.moment.at.as_ref().is_some_and(|at| at.text() == "peak");
    if is_peak && args.steps.is_some_and(|steps| steps > 1) {
        return Err(refused(args, "--at peak is one moment, without --steps"));
    }
    Ok(())
}

fn open(args: &ExportArgs) -> Result<Loaded, CliError> {
    let ExportMoment { at, from, until } = &args.moment;
    let asked = Asked { at: at.clone(), from: from.clone(), to: until.clone() };
    if asked.is_of_all() {
        return Loaded::open_for(&args.capture, &asked);
    }
    let options = |profile: &_| Ok(asked.resolve(profile).map_err(|error| error.of_flag("--to", "--until"))?);
    match args.steps {
        // All events, since each step looks at others.
        Some(steps) if steps > 1 => Loaded::open_all(&args.capture, options),
        _ => Loaded::open_with(&args.capture, options),
    }
}

fn to_stdout(args: &ExportArgs) -> bool {
    args.output == Path::new("-")
}

/// Writes the file, or standard output.
fn write(args: &ExportArgs, write: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) -> Result<(), CliError> {
    if to_stdout(args) {
        let mut out = BufWriter::new(io::stdout());
        return write(&mut out).and_then(|()| out.flush()).map_err(CliError::Output);
    }
    let failed = |source| CliError::Write { path: args.output.clone(), source };
    let mut file = BufWriter::new(File::create(&args.output).map_err(failed)?);
    write(&mut file).and_then(|()| file.flush()).map_err(failed)
}

/// Writes a format of stacks; its sums in words.
fn write_stacks(
    args: &ExportArgs,
    loaded: &Loaded,
    heap: &Heap,
    symbolizer: &mut Symbolizer<'_>,
) -> Result<String, CliError> {
    let profile = &loaded.capture.profile;
    let mut walk = Walk::new(profile, heap, symbolizer, &args.look.options());
    if matches!(args.format, Format::Pprof | Format::Firefox) {
        walk.judge();
    }
    if args.format != Format::Firefox {
        walk = walk.with_rest(&summary(profile, heap));
    }
    let mut sum = None;
    write(args, |out| match args.format {
        Format::Pprof => out.write_all(&pprof(&walk, Shows::InUse)?),
        Format::Firefox => firefox::firefox(&walk, heap.trace.as_ref().unwrap_or(&Default::default()), out),
        Format::Dhat => dhat::dhat(&walk, out),
        Format::Speedscope => speedscope::speedscope(&walk, out),
        _ => {
            let of = args.of.unwrap_or_default();
            sum = Some((of, collapsed::collapsed(&walk, of, out)?));
            Ok(())
        }
    })?;
    if let Some((of, tally)) = sum {
        let sum = if of == Of::Temporary { tally.measure_blocks() } else { tally.measure_bytes() };
        return Ok(format!("{} {} ({})", of.unit(), units::count(sum.value), of.name()));
    }
    let [live, total] = [walk.sum(|row| row.live), walk.sum(|row| row.total)];
    Ok(sums(heap, live.measure_bytes(), total.measure_bytes(), walk.rows().count(), "stack"))
}

/// `31.3 MiB live at 140 ms, 79.6 MiB allocated, in 2,000 stacks`.
fn sums(heap: &Heap, live: Measure, total: Measure, number: usize, what: &str) -> String {
    format!(
        "{} live at {}, {} allocated, in {}",
        units::measured_bytes(live),
        units::duration(heap.moment_ns),
        units::measured_bytes(total),
        units::things(number, what)
    )
}

/// Writes a table; its sums in words.
fn write_table(
    args: &ExportArgs,
    loaded: &Loaded,
    heap: &Heap,
    symbolizer: &mut Symbolizer<'_>,
) -> Result<String, CliError> {
    let profile = &loaded.capture.profile;
    let look = args.look.options();
    let table = Table { profile, host: args.host.as_deref(), by: look.by };
    let count = args.steps.unwrap_or(1) as usize;
    let mut number_of_rows = 0;
    let mut rows = |number: usize, heap: &Heap| {
        let mut grouping = Grouping::new(profile, heap, symbolizer, &look);
        grouping.judge(profile, heap);
        let rows = table.rows(&Step { number, heap, grouping: &grouping });
        number_of_rows += rows.len();
        rows
    };
    let mut failed = None;
    let mut before = 1..count;
    let mut is_last_to_come = true;
    let steps = std::iter::from_fn(|| {
        if let Some(number) = before.next() {
            return match loaded.capture.replay(&step(heap, number, count)) {
                Ok(heap) => Some(rows(number, &heap)),
                Err(error) => {
                    failed = Some(error);
                    None
                }
            };
        }
        std::mem::take(&mut is_last_to_come).then(|| rows(count, heap))
    });
    write_rows(args, steps)?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let [live, total] = [heap.sum(|site| site.live), heap.sum(|site| site.total)];
    Ok(sums(heap, live.measure_bytes(), total.measure_bytes(), number_of_rows, "row"))
}

/// What to replay for a step before the last.
fn step(heap: &Heap, number: usize, count: usize) -> ReplayOptions {
    let from_ns = heap.options.range.map_or(0, |range| range.from_ns);
    let span = u128::from(heap.moment_ns.saturating_sub(from_ns)) * number as u128 / count as u128;
    let to_ns = from_ns.saturating_add(u64::try_from(span).unwrap_or(u64::MAX));
    let range = heap.options.range.map(|range| Range { to_ns, ..range });
    ReplayOptions { moment: Moment::Time(to_ns), range, trace: None }
}

fn write_rows(args: &ExportArgs, steps: impl Iterator<Item = Vec<Cells>>) -> Result<(), CliError> {
    write(args, |out| match args.format {
        Format::Csv => csv(out, steps),
        Format::Jsonl => jsonl(out, steps),
        #[cfg(feature = "parquet")]
        _ => crate::export::parquet::parquet(out, steps),
        #[cfg(not(feature = "parquet"))]
        _ => Err(io::Error::from(io::ErrorKind::Unsupported)),
    })
}
