//! What a command shows, and the place it shows it on.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use crate::analysis::Summary;
use crate::model::Profile;
use crate::replay::{Heap, Moment};
use crate::view::{Group, GroupBy, Grouping};

use super::safe::safe;
use super::style::warning;

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

    /// A table without lines, numbers to the right: `right` says which columns.
    pub(crate) fn table(self, right: &[usize]) -> Table {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        match self.width {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
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
    /// Groups to show, 0 for all.
    pub top: usize,
    /// Everything a reader should know, one sentence each.
    pub warnings: &'a [String],
}

impl<'a> View<'a> {
    /// Groups with live blocks, most bytes first.
    pub fn ranked(&self) -> Vec<&'a Group> {
        self.grouping.ranked(|group| group.live)
    }

    /// The first of some groups, as many as are to be shown.
    pub fn top<'b>(&self, ranked: &'b [&'a Group]) -> &'b [&'a Group] {
        let shown = if self.top == 0 { ranked.len() } else { self.top.min(ranked.len()) };
        ranked.get(..shown).unwrap_or(ranked)
    }

    /// The moment of live figures, in words.
    pub(crate) fn moment(&self) -> String {
        match self.heap.options.moment {
            Moment::End => "at the end".to_owned(),
            Moment::Peak => format!("at the peak ({})", super::units::duration(self.heap.moment_ns)),
            Moment::Time(ns) => format!("at {}", super::units::duration(ns)),
        }
    }

    /// How the figures of sites were come by, in words.
    pub(crate) fn basis(&self) -> String {
        if self.profile.is_exact() {
            return "exact".to_owned();
        }
        format!("estimates, ± is the 95 % interval; one sample each {}", super::units::bytes(self.heap.interval_bytes))
    }

    /// The warnings as lines.
    pub(crate) fn warning_lines(&self) -> String {
        self.warnings.iter().map(|text| format!("{} {}\n", warning("warning:"), safe(text))).collect()
    }
}
