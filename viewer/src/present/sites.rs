//! Sites as a table: numbers, then where.

use comfy_table::{Cell, Table};

use crate::model::Measure;
use crate::symbolize::Frame;
use crate::view::{Group, GroupBy};

use super::safe::safe;
use super::screen::{Screen, View};
use super::units;

/// What a table of sites shows beside the bytes.
pub(crate) struct SiteTable<'a> {
    pub(crate) screen: Screen,
    pub(crate) view: &'a View<'a>,
    /// Frames shown of each stack.
    pub(crate) max_frames: usize,
    /// Whether ages are shown.
    pub(crate) ages: bool,
    /// The bytes that shares are of.
    pub(crate) whole: Measure,
}

impl SiteTable<'_> {
    /// The table, with an indentation of one column.
    pub(crate) fn render(&self, groups: &[&Group]) -> String {
        let last = if self.ages { 4 } else { 3 };
        let right: Vec<usize> = (0..=last).collect();
        let mut table = self.screen.table(&right);
        let mut header = vec!["#", "live", "share", "blocks"];
        if self.ages {
            header.push("age");
        }
        let by = if self.view.by == GroupBy::Site { "where" } else { self.view.by.name() };
        header.push(by);
        table.set_header(header);
        groups.iter().enumerate().for_each(|(at, group)| self.add(&mut table, at + 1, group));
        let mut text = table.trim_fmt();
        text.push('\n');
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
        if self.ages {
            cells.push(Cell::new(ages(group)));
        }
        cells.push(Cell::new(self.place(group)));
        table.add_row(cells);
    }

    /// The function and where it is, then its callers.
    fn place(&self, group: &Group) -> String {
        let Some((leaf, callers)) = group.frames.split_first() else { return safe(&group.name).into_owned() };
        let mut lines = vec![safe(&leaf.name()).into_owned()];
        lines.extend(place(leaf).map(|place| format!("  {place}")));
        let shown = self.max_frames.saturating_sub(1);
        for caller in callers.iter().take(shown) {
            let place = place(caller).map(|place| format!("  {place}")).unwrap_or_default();
            lines.push(format!("  ← {}{place}", safe(&caller.name())));
        }
        if callers.len() > shown {
            lines.push(format!("  ← {} more", callers.len() - shown));
        }
        lines.join("\n")
    }
}

/// `oldest … youngest` of the live blocks.
fn ages(group: &Group) -> String {
    let Some(ages) = group.ages else { return "–".to_owned() };
    let (oldest, youngest) = (units::duration(ages.oldest_ns), units::duration(ages.youngest_ns));
    if oldest == youngest { oldest } else { format!("{youngest} … {oldest}") }
}

/// `cache/src/lib.rs:17`.
fn place(frame: &Frame) -> Option<String> {
    let file = frame.file.as_deref()?;
    let line = frame.line.map(|line| format!(":{line}")).unwrap_or_default();
    Some(format!("{}{line}", safe(short_path(file))))
}

/// The end of a source path that tells files apart: from the folder that holds the last `src`, or three parts.
fn short_path(path: &str) -> &str {
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
