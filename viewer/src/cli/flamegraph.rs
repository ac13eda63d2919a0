//! `flamegraph`: a picture in a file.

use std::fs::File;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use crate::analysis::summary;
use crate::model::Profile;
use crate::present::json::{CommonJson, FlameGraphJson};
use crate::present::{FlameGraph, Of, View, safe};
use crate::replay::Heap;
use crate::symbolize::Symbolizer;
use crate::view::At;

use super::args::FlamegraphArgs;
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::sites::warnings;

pub(super) fn flamegraph(args: &FlamegraphArgs) -> Result<(), CliError> {
    check_moment(args)?;
    let loaded = Loaded::open_for(&args.input.capture, &args.moment.asked())?;
    let profile = &loaded.capture.profile;
    if args.of == Of::Temporary && !profile.is_exact() {
        return Err(CliError::Refused(format!(
            "cannot draw temporary allocations of {}: a sampled capture cannot tell them; record with PLIMSOLL_MODE=exact",
            args.input.capture.display()
        )));
    }
    let heap = loaded.replay()?;
    let options = args.look.options();
    let mut symbolizer = Symbolizer::new(profile, &args.look.symbols.directories);
    let graph = FlameGraph::new(profile, &heap, &mut symbolizer, &options, args.of);
    let output = args.output.clone().unwrap_or_else(|| default_output(&args.input.capture, args.of));
    draw(&graph, profile, &heap, &output)?;
    let warnings = warnings(&loaded, &heap, &symbolizer.warnings());
    if args.input.json {
        let summary = summary(profile, &heap);
        let view = View { by: options.by, ..View::without_sites(profile, &heap, &summary, &warnings) };
        return print_json(&FlameGraphJson {
            common: CommonJson::new(&view),
            of: args.of.name(),
            unit: args.of.unit(),
            output: output.to_string_lossy().into_owned(),
            value: graph.sum().into(),
        });
    }
    let mut text: String = warnings.iter().map(|warning| format!("warning: {}\n", safe(warning))).collect();
    text.push_str(&told(&graph, &heap, &output));
    print(&text)
}

/// A moment goes with `live` alone: the others say their moment themselves. Any of them may be of a range.
fn check_moment(args: &FlamegraphArgs) -> Result<(), CliError> {
    let at = args.moment.at.as_ref().map(At::text).filter(|at| *at != "end" && !args.moment.asked().is_range());
    match at {
        Some(at) if args.of != Of::Live => Err(CliError::Refused(format!(
            "--at {at} does not go with --of {}: use --of live, or --to {at}",
            args.of.name()
        ))),
        _ => Ok(()),
    }
}

fn draw(graph: &FlameGraph, profile: &Profile, heap: &Heap, output: &Path) -> Result<(), CliError> {
    let failed = |source| CliError::Write { path: output.to_owned(), source };
    let mut file = BufWriter::new(File::create(output).map_err(failed)?);
    match graph.draw(profile, heap, &mut file) {
        // A picture of nothing says so itself.
        Err(_) if graph.is_empty() => {}
        result => result.map_err(failed)?,
    }
    file.into_inner().map_err(|error| failed(error.into_error()))?;
    Ok(())
}

fn told(graph: &FlameGraph, heap: &Heap, output: &Path) -> String {
    let output = output.to_string_lossy();
    if graph.is_empty() {
        return format!(
            "{}: nothing to draw: the capture has nothing of that kind, or --focus and --ignore leave nothing\n",
            safe(&output)
        );
    }
    format!("{}: {}\n", safe(&output), graph.told(heap))
}

/// `<capture>-<of>.svg` in the current directory.
fn default_output(capture: &Path, of: Of) -> PathBuf {
    let mut name = capture.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{}.svg", of.name()));
    PathBuf::from(name)
}
