//! `flamegraph`: a picture in a file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::analysis::summary;
use crate::present::json::{CommonJson, FlameGraphJson};
use crate::present::{FlameGraph, Of, View, safe, units};
use crate::replay::Moment;
use crate::symbolize::Symbolizer;
use crate::view::Grouping;

use super::args::FlamegraphArgs;
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::sites::warnings;

pub(super) fn flamegraph(args: &FlamegraphArgs) -> Result<(), CliError> {
    let loaded = Loaded::open(&args.input.capture)?;
    let profile = &loaded.capture.profile;
    if args.of == Of::Temporary && !profile.is_exact() {
        return Err(CliError::Refused(format!(
            "cannot draw temporary allocations of {}: a sampled capture cannot tell them; record with PLIMSOLL_MODE=exact",
            args.input.capture.display()
        )));
    }
    let moment = moment(args, &loaded)?;
    let heap = loaded.replay_moment(moment)?;
    let options = args.look.options();
    let mut symbolizer = Symbolizer::new(profile, &args.look.symbols.directories);
    let graph = FlameGraph::new(profile, &heap, &mut symbolizer, &options, args.of);
    let output = args.output.clone().unwrap_or_else(|| default_output(&args.input.capture, args.of));
    draw(&graph, profile, heap.moment_ns, &output)?;
    let warnings = warnings(&loaded, &heap, &symbolizer.warnings());
    if args.input.json {
        let summary = summary(profile, &heap);
        let grouping = Grouping::default();
        let view = View {
            profile,
            heap: &heap,
            summary: &summary,
            grouping: &grouping,
            by: options.by,
            raw_frames: false,
            top: 0,
            room: None,
            warnings: &warnings,
        };
        return print_json(&FlameGraphJson {
            common: CommonJson::new(&view),
            of: args.of.name(),
            unit: args.of.unit(),
            output: output.to_string_lossy().into_owned(),
            value: graph.sum().into(),
        });
    }
    let mut text: String = warnings.iter().map(|warning| format!("warning: {}\n", safe(warning))).collect();
    text.push_str(&told(&graph, args.of, &output));
    print(&text)
}

/// The moment that the picture is for: only `live` asks for one.
fn moment(args: &FlamegraphArgs, loaded: &Loaded) -> Result<Moment, CliError> {
    let moment = args.moment.at.resolve(&loaded.capture.profile)?;
    if args.of != Of::Live && moment != Moment::End {
        return Err(CliError::Refused(format!(
            "--at {} does not go with --of {}: use --of live",
            args.moment.at.text(),
            args.of.name()
        )));
    }
    Ok(moment)
}

fn draw(graph: &FlameGraph, profile: &crate::model::Profile, moment_ns: u64, output: &Path) -> Result<(), CliError> {
    let failed = |source| CliError::Write { path: output.to_owned(), source };
    let mut file = BufWriter::new(File::create(output).map_err(failed)?);
    match graph.draw(profile, moment_ns, &mut file) {
        // A picture of nothing says so itself.
        Err(_) if graph.is_empty() => {}
        result => result.map_err(failed)?,
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(())
}

fn told(graph: &FlameGraph, of: Of, output: &Path) -> String {
    let output = output.to_string_lossy();
    if graph.is_empty() {
        return format!(
            "{}: nothing to draw: the capture has nothing of that kind, or --focus and --ignore leave nothing\n",
            safe(&output)
        );
    }
    let sum = graph.sum();
    let value = match of {
        Of::Temporary => format!("{} temporary allocations", units::measured_count(sum)),
        Of::Leaks => format!("{} live at the end", units::measured_bytes(sum)),
        Of::Live => format!("{} live", units::measured_bytes(sum)),
        Of::Peak => format!("{} live at the peak", units::measured_bytes(sum)),
        Of::Total => format!("{} allocated", units::measured_bytes(sum)),
    };
    format!("{}: {value}\n", safe(&output))
}

/// `<capture>-<of>.svg` in the current directory.
fn default_output(capture: &Path, of: Of) -> PathBuf {
    let mut name = capture.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}.svg", of.name()));
    PathBuf::from(name)
}
