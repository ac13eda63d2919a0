//! `histogram`: sizes, lifetimes, ages.

use crate::analysis::{histogram as analyse, summary};
use crate::present::json::HistogramJson;
use crate::present::{View, histogram_text};
use crate::view::{GroupBy, Grouping};

use super::args::HistogramArgs;
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::sites::warnings;

pub(super) fn histogram(args: &HistogramArgs) -> Result<(), CliError> {
    let loaded = Loaded::open(&args.input.capture)?;
    let heap = loaded.replay(&args.moment.at)?;
    let profile = &loaded.capture.profile;
    let by = args.by.into();
    let buckets = analyse(profile, &heap, by);
    let summary = summary(profile, &heap);
    let warnings = warnings(&loaded, &heap, &[]);
    let grouping = Grouping::default();
    let view = View {
        profile,
        heap: &heap,
        summary: &summary,
        grouping: &grouping,
        by: GroupBy::Site,
        raw_frames: false,
        top: 0,
        room: None,
        warnings: &warnings,
    };
    if args.input.json {
        return print_json(&HistogramJson::new(&view, by, &buckets));
    }
    print(&histogram_text(&view, by, &buckets))
}
