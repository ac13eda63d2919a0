//! `rss`: what the resident set is for.

use clap::Args;

use crate::analysis::{rss as analyse, summary};
use crate::present::json::RssJson;
use crate::present::{View, rss_text};
use crate::view::{Asked, At};

use super::args::Input;
use super::error::CliError;
use super::load::Loaded;
use super::output::{print, print_json};
use super::sites::warnings;

/// Explain why RSS is larger than the heap: its parts, a verdict, the thing to try
///
/// The agent reads the parts rarely (at the start, at the end, and when RSS or the heap has moved); what is shown is the
/// reading nearest to the moment. Bounds say what cannot be told, such as which pages of a block were touched.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll rss service.plim\n  \
    plimsoll rss service.plim --at 1h30m\n  \
    plimsoll rss service.plim --at peak --json")]
pub(super) struct RssArgs {
    #[command(flatten)]
    input: Input,
    /// The moment: start, peak, end, a time since the start (90s, 1m30s), a time of day (2026-11-23T03:00:00Z), or a
    /// marker's name [default: end]
    #[arg(long, value_name = "MOMENT")]
    at: Option<At>,
}

pub(super) fn rss(args: &RssArgs) -> Result<(), CliError> {
    let loaded = Loaded::open_for(&args.input.capture, &Asked { at: args.at.clone(), ..Asked::default() })?;
    let heap = loaded.replay()?;
    let profile = &loaded.capture.profile;
    let summary = summary(profile, &heap);
    let warnings = warnings(&loaded, &heap, &[]);
    let view = View::without_sites(profile, &heap, &summary, &warnings);
    let split = analyse(profile, heap.moment_ns);
    if args.input.json {
        return print_json(&RssJson::new(&view, split.as_ref()));
    }
    print(&rss_text(&view, split.as_ref()))
}
