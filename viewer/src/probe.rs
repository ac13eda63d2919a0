//! Doors for tests of hostile input: what the fuzz targets and the sweeps over damaged captures go through. Each does what
//! the commands do, without a terminal or a file to write to, and panics where a promise of the output is broken.

use std::path::Path;

use crate::analysis::summary;
use crate::analysis::verdict::Room;
use crate::capture::{LoadError, LoadOptions, open};
use crate::present::json::{SitesJson, to_line};
use crate::present::{
    FlameGraph, Of, Screen, View, advice_text, explain_text, is_safe, leaks_text, report_text, shown_names,
};
use crate::replay::{Heap, ReplayOptions};
use crate::symbolize::{Symbolizer, demangle};
use crate::view::{Grouping, ViewOptions};

/// What of a capture could be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Allocation events replayed.
    pub events: u64,
    /// Blocks that were left out, for whatever reason, or could not be unpacked.
    pub unread: u64,
    /// Bytes allocated in total, by events.
    pub bytes: u64,
    /// Of these, bytes whose stack is not known.
    pub unknown_bytes: u64,
    /// Everything that is said of the capture, by number of sentences.
    pub warnings: usize,
}

/// Reads, replays and shows a capture in every way, but opens no file that it names.
///
/// # Errors
///
/// As [`open`] and [`Capture::replay`](crate::capture::Capture::replay) have them.
pub fn capture(path: &Path) -> Result<Recovered, LoadError> {
    let (recovered, text) = report(path)?;
    // Looks are for terminals, and stripped elsewhere.
    let text = anstream::adapter::strip_str(&text).to_string();
    assert!(is_safe(&text), "{text:?}");
    Ok(recovered)
}

fn report(path: &Path) -> Result<(Recovered, String), LoadError> {
    let capture = open(path, &LoadOptions::default())?;
    let heap = capture.replay(&ReplayOptions::default())?;
    let profile = &capture.profile;
    let mut symbolizer = Symbolizer::without_files(profile);
    let mut grouping = Grouping::new(profile, &heap, &mut symbolizer, &ViewOptions::default());
    grouping.judge(profile, &heap);
    let summary = summary(profile, &heap);
    let sources = [&profile.warnings, &heap.warnings, &symbolizer.warnings(), &grouping.warnings()];
    let warnings: Vec<String> = sources.into_iter().flatten().cloned().collect();
    let by = ViewOptions::default().by;
    let room = Room::of(profile, None);
    let view = View {
        profile,
        heap: &heap,
        summary: &summary,
        grouping: &grouping,
        by,
        raw_frames: false,
        top: 10,
        room,
        warnings: &warnings,
    };
    let screen = Screen { width: None };
    let ranked = view.ranked();
    let mut text = report_text(&view, screen) + &advice_text(&view) + &leaks_text(&view, screen);
    text.extend(ranked.first().map(|group| explain_text(&view, group, screen)));
    let json = to_line(&SitesJson::new(&view, &view.ranked_with_past()).with_timeline(&view));
    text.push_str(&json.unwrap_or_default());
    let graph = FlameGraph::new(profile, &heap, &mut symbolizer, &ViewOptions::default(), Of::Total);
    let mut picture = Vec::new();
    // A picture of nothing is an error, and says so itself.
    let _ = graph.draw(profile, &heap, &mut picture);
    text.push_str(&String::from_utf8_lossy(&picture));
    let unread = profile.unread.damaged_regions + profile.unread.codec_blocks + profile.unread.records;
    let unread = unread + heap.repairs.unread_events;
    Ok((Recovered { unread, warnings: warnings.len(), ..sums(&heap) }, text))
}

fn sums(heap: &Heap) -> Recovered {
    let bytes = |known_only: bool| {
        let sites = heap.sites.iter().filter(|site| !known_only || site.stack.0 == 0);
        sites.fold(0u64, |sum, site| sum.saturating_add(site.total.estimated_bytes()))
    };
    Recovered { events: heap.events, bytes: bytes(false), unknown_bytes: bytes(true), ..Recovered::default() }
}

/// A name as it comes from a symbol table or a capture, in every place that shows one.
pub fn names(symbol: &str) {
    let name = demangle(symbol);
    for text in shown_names(&name).into_iter().chain(shown_names(symbol)) {
        assert!(is_safe(&text), "{text:?}");
        assert!(text.len() <= 64 << 10, "{} bytes", text.len());
    }
}
