//! Sites as a table of numbers and names; below each row its stack.

use comfy_table::{Cell, Table};

use crate::model::Measure;
use crate::symbolize::Frame;
use crate::view::{Group, GroupBy, crate_of, is_library};

use super::safe::safe;
use super::screen::{Screen, View};
use super::units;
use super::verdict::{over_time, why};

/// Columns of a row of bars.
const BARS: usize = 16;
/// Stacks begin here.
const INDENT: &str = "      ";

/// What a table of sites shows beside the bytes.
pub(crate) struct SiteTable<'a> {
    pub(crate) screen: Screen,
    pub(crate) view: &'a View<'a>,
    /// Frames shown of each stack.
    pub(crate) max_frames: usize,
    /// Whether callers of the standard library are shown too.
    pub(crate) raw: bool,
    /// Whether ages are shown, and in place of a column with the verdict a line that says why.
    pub(crate) ages: bool,
    /// Number of the first site.
    pub(crate) first: usize,
    /// The bytes that shares are of.
    pub(crate) whole: Measure,
}

impl SiteTable<'_> {
    /// The table; below each row its stack.
    pub(crate) fn render(&self, groups: &[&Group]) -> String {
        let right: Vec<usize> = if self.ages { (0..=4).collect() } else { (0..=3).collect() };
        let mut table = Screen::table(&right);
        let mut header = vec!["#", "live", "share", "blocks"];
        header.push(if self.ages { "age" } else { "verdict" });
        header.push("over time");
        header.push(if self.view.by == GroupBy::Site { "where" } else { self.view.by.name() });
        table.set_header(header);
        groups.iter().enumerate().for_each(|(at, group)| self.add(&mut table, at + self.first, group));
        let mut text = String::new();
        // The header is the first line and has no group; each group has one line.
        let stacks = std::iter::once(Vec::new()).chain(groups.iter().map(|group| self.stack(group)));
        for (row, stack) in table.lines().zip(stacks) {
            text.push_str(&self.screen.fit(row.trim_end(), ""));
            text.push('\n');
            stack.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        }
        text
    }

    fn add(&self, table: &mut Table, rank: usize, group: &Group) {
        let bytes = group.live.measure_bytes();
        let mut cells = vec![
            Cell::new(rank),
            Cell::new(units::measured_bytes(bytes)),
            Cell::new(units::share(bytes.value, self.whole.value)),
            Cell::new(units::measured_count(group.live.measure_blocks())),
        ];
        cells.push(Cell::new(if self.ages { ages(group) } else { class_name(group).to_owned() }));
        cells.push(Cell::new(over_time(&self.view.series(group), BARS)));
        cells.push(Cell::new(safe(&group.name)));
        table.add_row(cells);
    }

    /// Where the function is, then its callers, a line each.
    fn stack(&self, group: &Group) -> Vec<String> {
        let mut lines = Vec::new();
        if self.ages
            && let Some(verdict) = &group.verdict
        {
            lines.push(format!("{INDENT}{}", why(verdict, self.view.room)));
        }
        let Some((leaf, callers)) = group.frames.split_first() else { return lines };
        lines.extend(place(leaf).map(|place| format!("{INDENT}  {place}")));
        // Glue of the standard library says little in a few lines; JSON and pictures have it.
        let is_glue = |frame: &&Frame| !self.raw && crate_of(frame).is_some_and(is_library);
        let telling = callers.iter().filter(|frame| !is_glue(frame));
        let shown: Vec<&Frame> = telling.take(self.max_frames.saturating_sub(1)).collect();
        for caller in &shown {
            let place = place(caller).map(|place| format!("  {place}")).unwrap_or_default();
            lines.push(self.screen.fit(&format!("{INDENT}← {}", safe(&caller.name())), &place));
        }
        if callers.len() > shown.len() {
            lines.push(format!("{INDENT}… {} not shown", units::things(callers.len() - shown.len(), "frame")));
        }
        lines
    }
}

/// The class of a group's verdict.
fn class_name(group: &Group) -> &'static str {
    group.verdict.as_ref().map_or("–", |verdict| verdict.class.name())
}

/// `oldest … youngest` of the live blocks.
fn ages(group: &Group) -> String {
    let Some(ages) = group.ages else { return "–".to_owned() };
    let (oldest, youngest) = (units::duration(ages.oldest_ns), units::duration(ages.youngest_ns));
    if oldest == youngest { oldest } else { format!("{youngest} … {oldest}") }
}

/// `cache/src/lib.rs:17`.
pub(crate) fn place(frame: &Frame) -> Option<String> {
    let file = frame.file.as_deref()?;
    let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
    Some(format!("{}{line}", safe(short_path(file))))
}

/// The end of a source path that tells files apart: from the folder that holds the last `src`, or three parts.
pub(super) fn short_path(path: &str) -> &str {
    let from_src = path.rfind("/src/").map(|at| path[..at].rfind('/').map_or(0, |before| before + 1));
    let third = || path.rmatch_indices('/').nth(2).map_or(0, |(at, _)| at + 1);
    path.get(from_src.unwrap_or_else(third)..).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_shortened_to_what_tells_them_apart() {
        let cases = [
            ("/home/me/service/src/cache/mod.rs", "service/src/cache/mod.rs"),
            ("/rustc/0123/library/alloc/src/vec/mod.rs", "alloc/src/vec/mod.rs"),
            ("src/main.rs", "src/main.rs"),
            ("/a/b/c/d/e.c", "c/d/e.c"),
            ("e.c", "e.c"),
        ];
        cases.iter().for_each(|(path, expected)| assert_eq!(short_path(path), *expected));
    }
}
