//! `histogram`: sizes, lifetimes, ages.

use crate::analysis::{histogram as analyse, summary};
use crate::present::json::HistogramJson;
use crate::present::{View, histogram_text};

use super::args::HistogramArgs;
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::sites::warnings;

pub(super) fn histogram(args: &HistogramArgs) -> Result<(), CliError> {
    let loaded = Loaded::open_for(&args.input.capture, &args.moment.asked())?;
    let heap = loaded.replay()?;
    let profile = &loaded.capture.profile;
    let by = args.by.into();
    let buckets = analyse(profile, &heap, by);
    let summary = summary(profile, &heap);
    let warnings = warnings(&loaded, &heap, &[]);
    let view = View::without_sites(profile, &heap, &summary, &warnings);
    if args.input.json {
        return print_json(&HistogramJson::new(&view, by, &buckets));
    }
    print(&histogram_text(&view, by, &buckets))
}
