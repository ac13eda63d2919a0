//! Flame graphs: where memory comes from, as a picture.

use std::collections::BTreeMap;
use std::io::Write;

use inferno::flamegraph::color::{BasicPalette, Palette};
use inferno::flamegraph::{Options, from_lines};

use crate::model::{Measure, Profile, Tally};
use crate::replay::{Heap, Site};
use crate::symbolize::{Frame, Symbolizer};
use crate::view::{ViewOptions, root_of, shown_frames};

use super::safe::safe;
use super::screen::period;
use super::units;

/// What a flame graph shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum Of {
    /// Bytes never freed: live at the end
    #[default]
    Leaks,
    /// Bytes live at the moment given with --at
    Live,
    /// Bytes live when most were: the peak of the process
    Peak,
    /// All bytes ever allocated
    Total,
    /// Allocations that were freed at once (exact captures)
    Temporary,
}

impl Of {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Of::Leaks => "leaks",
            Of::Live => "live",
            Of::Peak => "peak",
            Of::Total => "total",
            Of::Temporary => "temporary",
        }
    }

    /// What the widths count.
    pub fn unit(self) -> &'static str {
        if self == Of::Temporary { "allocations" } else { "bytes" }
    }

    /// The figure of a site; `None` when the capture cannot tell.
    pub(crate) fn figure(self, site: &Site) -> Option<Tally> {
        match self {
            Of::Leaks | Of::Live => Some(site.live),
            Of::Peak => Some(site.at_peak),
            Of::Total => Some(site.total),
            Of::Temporary => site.temporary,
        }
    }

    fn measure(self, tally: &Tally) -> Measure {
        if self == Of::Temporary { tally.measure_blocks() } else { tally.measure_bytes() }
    }

    pub(crate) fn estimate(self, tally: &Tally) -> u64 {
        if self == Of::Temporary { tally.estimated_blocks() } else { tally.estimated_bytes() }
    }
}

/// Stacks, outermost call first, with what they hold.
#[derive(Debug)]
pub struct FlameGraph {
    of: Of,
    /// `outer;inner`, in the order of the alphabet.
    stacks: BTreeMap<String, Tally>,
    sum: Tally,
}

impl FlameGraph {
    /// Adds up a heap's sites by their shown stacks. Threads, tags and crates, when grouped by, become the roots.
    pub fn new(
        profile: &Profile,
        heap: &Heap,
        symbolizer: &mut Symbolizer<'_>,
        options: &ViewOptions,
        of: Of,
    ) -> FlameGraph {
        symbolizer.prepare(heap.sites.iter().map(|site| (site.stack, site.first_ticks)));
        let mut graph = FlameGraph { of, stacks: BTreeMap::new(), sum: Tally::new(heap.interval_bytes) };
        for site in &heap.sites {
            let Some(tally) = of.figure(site).filter(|tally| !tally.is_empty()) else { continue };
            let frames = shown_frames(symbolizer, site, options.raw_frames);
            if !options.filter.keeps(&frames) {
                continue;
            }
            let root = root_of(profile, symbolizer, site, &frames, options.by);
            let calls = frames.iter().rev().map(Frame::name);
            let stack: Vec<String> = root.into_iter().chain(calls).map(|name| folded_name(&name)).collect();
            *graph.stacks.entry(stack.join(";")).or_insert_with(|| Tally::new(heap.interval_bytes)) += tally;
            graph.sum += tally;
        }
        graph
    }

    /// The width of the whole picture.
    pub fn sum(&self) -> Measure {
        self.of.measure(&self.sum)
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }

    /// Draws the picture as SVG.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or there is nothing to draw (a picture that says so is written then).
    pub fn draw(&self, profile: &Profile, heap: &Heap, out: impl Write) -> std::io::Result<()> {
        let lines: Vec<String> =
            self.stacks.iter().map(|(stack, tally)| format!("{stack} {}", self.of.estimate(tally))).collect();
        let mut options = Options::default();
        options.title = format!("{}: {}", safe(&profile.header.program), self.title(heap));
        options.subtitle = Some(self.subtitle(profile));
        options.count_name = self.of.unit().to_owned();
        options.name_type = "Function:".to_owned();
        options.colors = Palette::Basic(BasicPalette::Mem);
        // The same capture gives the same picture.
        options.hash = true;
        options.deterministic = true;
        from_lines(&mut options, lines.iter().map(String::as_str), out)
    }

    /// What is drawn, and when: `bytes live at the end`.
    fn title(&self, heap: &Heap) -> String {
        match (self.of, heap.options.range) {
            (Of::Temporary, _) => self.what(heap),
            (Of::Total, None) => "bytes allocated in total".to_owned(),
            _ => format!("bytes {}", self.what(heap)),
        }
    }

    /// The sum in words: `3.2 MiB live at the end`.
    pub fn told(&self, heap: &Heap) -> String {
        let sum = match self.of {
            Of::Temporary => units::measured_count(self.sum()),
            _ => units::measured_bytes(self.sum()),
        };
        format!("{sum} {}", self.what(heap))
    }

    /// What the sum counts.
    fn what(&self, heap: &Heap) -> String {
        let period = period(heap);
        match (self.of, heap.options.range) {
            (Of::Leaks | Of::Live, Some(_)) => format!("allocated{period} and live at the end of that"),
            (Of::Leaks, None) => "live at the end".to_owned(),
            (Of::Live, None) => format!("live at {}", units::duration(heap.moment_ns)),
            (Of::Peak, Some(_)) => format!("allocated{period} and live when most of that was"),
            (Of::Peak, None) => "live at the peak".to_owned(),
            (Of::Total, _) => format!("allocated{period}"),
            (Of::Temporary, _) => format!("temporary allocations{period}"),
        }
    }

    /// The sum and how it was come by.
    fn subtitle(&self, profile: &Profile) -> String {
        let sum = self.sum();
        let value = match self.of {
            Of::Temporary => units::measured_count(sum),
            _ => units::measured_bytes(sum),
        };
        if profile.is_exact() {
            return format!("{value}, exact");
        }
        format!("{value} (95 %), estimated from one sample per {}", units::bytes(profile.interval_bytes()))
    }
}

/// A name that cannot be taken for two frames, nor its end for a number.
pub(crate) fn folded_name(name: &str) -> String {
    let name = safe(name).replace(';', ",");
    match name.rsplit_once(' ') {
        Some((before, last)) if last.starts_with(|first: char| first.is_ascii_digit()) => {
            format!("{before}\u{a0}{last}")
        }
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_one_frame() {
        assert_eq!(folded_name("<[u8; 4] as T>::f"), "<[u8, 4] as T>::f");
        assert_eq!(folded_name("thread 12"), "thread\u{a0}12");
        assert_eq!(folded_name("a\nb"), r"a\u{a}b");
    }
}
