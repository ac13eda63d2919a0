//! What a command shows, and the place it shows it on.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::analysis::Summary;
use crate::analysis::verdict::{Room, Series};
use crate::model::{Profile, Tally};
use crate::replay::{Heap, Moment};
use crate::view::{Group, GroupBy, Grouping};

use super::safe::safe;
use super::style::warning;
use super::units;

/// The place that text is shown on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// Columns to fill; `None` where lines are not wrapped, as in a pipe.
    pub width: Option<u16>,
}

impl Screen {
    /// The terminal on standard output, or none.
    pub fn of_stdout() -> Screen {
        let width = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| width.0);
        // Below 60 columns names would be cut into single letters.
        Screen { width: width.map(|width| width.clamp(60, 140)) }
    }

    /// `text` followed by `rest`, cut to the screen: what is cut is the end of `text`.
    pub(crate) fn fit(self, text: &str, rest: &str) -> String {
        let Some(width) = self.width else { return format!("{text}{rest}") };
        let room = usize::from(width).saturating_sub(rest.chars().count());
        if text.chars().count() <= room {
            return format!("{text}{rest}");
        }
        let kept: String = text.chars().take(room.saturating_sub(1)).collect();
        format!("{kept}…{rest}")
    }

    /// A table without lines, numbers to the right: `right` says which columns.
    pub(crate) fn table(right: &[usize]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Disabled);
        // Columns exist from the first row on.
        table.set_header(vec![""; right.iter().max().map_or(1, |last| last + 2)]);
        for column in right {
            if let Some(column) = table.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table
    }
}

/// What the analyses gave, and which part of it is shown.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The capture.
    pub profile: &'a Profile,
    /// Its replay.
    pub heap: &'a Heap,
    /// Totals and peak.
    pub summary: &'a Summary,
    /// Its groups.
    pub grouping: &'a Grouping,
    /// What they are grouped by.
    pub by: GroupBy,
    /// Allocator and runtime frames are shown too.
    pub raw_frames: bool,
    /// Groups to show, 0 for all.
    pub top: usize,
    /// Memory left before the limit, where there is one.
    pub room: Option<Room>,
    /// Everything a reader should know, one sentence each.
    pub warnings: &'a [String],
}

/// Of views that show no sites.
static NO_GROUPS: Grouping =
    Grouping { groups: Vec::new(), left_out: 0, suppressed: Vec::new(), sites: 0, unnamed: 0, without_file: 0 };

impl<'a> View<'a> {
    /// A capture as a whole, without its sites.
    pub fn without_sites(
        profile: &'a Profile,
        heap: &'a Heap,
        summary: &'a Summary,
        warnings: &'a [String],
    ) -> View<'a> {
        View {
            profile,
            heap,
            summary,
            grouping: &NO_GROUPS,
            by: GroupBy::Site,
            raw_frames: false,
            top: 0,
            room: None,
            warnings,
        }
    }

    /// Groups with live blocks, most bytes first.
    pub fn ranked(&self) -> Vec<&'a Group> {
        self.grouping.ranked(|group| group.live)
    }

    /// Groups with live blocks by verdict, leaks first; of one verdict as in [`View::ranked`].
    pub fn ranked_by_verdict(&self) -> Vec<&'a Group> {
        let mut ranked = self.ranked();
        ranked.sort_by_key(|group| group.verdict.as_ref().map(|verdict| verdict.class));
        ranked
    }

    /// A group's evidence over time.
    pub(crate) fn series(&self, group: &Group) -> Series {
        Series::of(self.heap, &group.sites)
    }

    /// What all groups hold live together: less than the process where a filter leaves stacks out.
    pub fn live(&self) -> Tally {
        let mut sum = Tally::new(self.heap.interval_bytes);
        self.grouping.groups.iter().for_each(|group| sum += group.live);
        sum
    }

    /// All groups: those with live blocks as in [`View::ranked`], then the others, most bytes ever allocated first.
    pub fn ranked_with_past(&self) -> Vec<&'a Group> {
        let past = self.grouping.ranked(|group| group.total).into_iter().filter(|group| group.live.is_empty());
        self.ranked().into_iter().chain(past).collect()
    }

    /// The first of some groups, as many as are to be shown.
    pub fn top<'b>(&self, ranked: &'b [&'a Group]) -> &'b [&'a Group] {
        let shown = if self.top == 0 { ranked.len() } else { self.top.min(ranked.len()) };
        ranked.get(..shown).unwrap_or(ranked)
    }

    /// The moment of live figures, in words.
    pub(crate) fn moment(&self) -> String {
        let at = units::duration(self.heap.moment_ns);
        match (self.heap.options.range, self.heap.options.moment) {
            (Some(range), _) => format!("at {at} of what was allocated from {} on", units::duration(range.from_ns)),
            (None, Moment::End) => "at the end".to_owned(),
            (None, Moment::Peak) => format!("at the peak ({at})"),
            (None, Moment::Time(_)) => format!("at {at}"),
        }
    }

    /// How the figures of sites were come by, in words.
    pub(crate) fn basis(&self) -> String {
        if self.profile.is_exact() {
            return "exact".to_owned();
        }
        format!("estimates, ± is the 95 % interval; one sample per {}", units::bytes(self.heap.interval_bytes))
    }

    /// Whether those shown of `ranked` were picked because their estimates are large: what comes out high by chance is
    /// picked first. Exact numbers do not.
    pub(crate) fn is_selected(&self, ranked: &[&Group]) -> bool {
        !self.profile.is_exact() && self.top(ranked).len() < ranked.len()
    }

    /// Says that they were.
    pub(crate) fn selection_line(&self, ranked: &[&Group]) -> String {
        if !self.is_selected(ranked) {
            return String::new();
        }
        let text = "picked as the largest estimates: of sites that hold about the same, those that came out high";
        format!("{}\n", super::style::faint(text))
    }

    /// The warnings as lines.
    pub(crate) fn warning_lines(&self) -> String {
        self.warnings.iter().map(|text| format!("{} {}\n", warning("warning:"), safe(text))).collect()
    }
}

/// The time that figures of allocations are for, in words with a space in front; empty when it is all of the capture.
pub(crate) fn period(heap: &Heap) -> String {
    match (heap.options.range, heap.options.moment) {
        (Some(range), _) => {
            format!(" from {} to {}", units::duration(range.from_ns), units::duration(range.to_ns))
        }
        (None, Moment::Time(ns)) => format!(" up to {}", units::duration(ns)),
        (None, Moment::End | Moment::Peak) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_give_way_to_places() {
        let screen = Screen { width: Some(12) };
        assert_eq!(screen.fit("my::name", "  a.rs:7"), "my:…  a.rs:7");
        assert_eq!(screen.fit("f", "  a.rs:7"), "f  a.rs:7");
        assert_eq!(Screen { width: None }.fit("my::name", "  a.rs:7"), "my::name  a.rs:7");
    }
}
