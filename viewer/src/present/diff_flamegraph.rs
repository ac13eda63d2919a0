//! The changes as a flame graph: red for more, blue for less.

use std::collections::BTreeMap;
use std::io::Write;

use inferno::flamegraph::{Options, from_lines};

use crate::analysis::{Change, Changes};
use crate::symbolize::Frame;

use super::diff::Comparison;
use super::flamegraph::folded_name;
use super::safe::safe;

/// Stacks, outermost call first, with their bytes before and after.
#[derive(Debug)]
pub struct DiffFlameGraph {
    stacks: BTreeMap<String, (u64, u64)>,
}

impl DiffFlameGraph {
    /// Of changes by site. What sampling may explain is drawn as if nothing had changed.
    pub fn new(changes: &Changes) -> DiffFlameGraph {
        let mut stacks = BTreeMap::new();
        for change in &changes.changes {
            let calls = change.pair.frames.iter().rev().map(Frame::name);
            let stack: Vec<String> = calls.map(|name| folded_name(&name)).collect();
            let (before, after) = sides(change);
            let sum: &mut (u64, u64) = stacks.entry(stack.join(";")).or_default();
            *sum = (sum.0.saturating_add(before), sum.1.saturating_add(after));
        }
        stacks.retain(|_, sides| *sides != (0, 0));
        DiffFlameGraph { stacks }
    }

    /// Whether there is nothing to draw.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }

    /// Draws the picture as SVG. A frame is as wide as the larger of before and after, so that what has gone can be seen too.
    ///
    /// # Errors
    ///
    /// When it cannot be written, or there is nothing to draw (a picture that says so is written then).
    pub fn draw(&self, comparison: &Comparison<'_>, out: impl Write) -> std::io::Result<()> {
        // The width is the second number and the colour the difference of the two.
        let line = |(stack, (before, after)): (&String, &(u64, u64))| match before > after {
            true => format!("{stack} {} {before}", before.saturating_add(before - after)),
            false => format!("{stack} {before} {after}"),
        };
        let lines: Vec<String> = self.stacks.iter().map(line).collect();
        let mut options = Options::default();
        options.title = format!("{}: change of {}", safe(&comparison.after.profile.header.program), comparison.what());
        options.subtitle = Some("red: more, blue: less; as wide as the larger of before and after".to_owned());
        options.count_name = "bytes".to_owned();
        options.name_type = "Function:".to_owned();
        options.deterministic = true;
        from_lines(&mut options, lines.iter().map(String::as_str), out)
    }
}

fn sides(change: &Change) -> (u64, u64) {
    let after = change.pair.after.estimated_bytes();
    (if change.is_real { change.pair.before.estimated_bytes() } else { after }, after)
}
