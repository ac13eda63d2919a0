//! Collapsed stacks: one line each, `outer;inner 123`, which inferno and most flame graph programs read.

use std::collections::BTreeMap;
use std::io::{self, Write};

use crate::model::Tally;
use crate::present::{Of, folded_name};

use super::walk::{Row, Walk};

/// Writes one figure of all stacks, in the order of the alphabet; its sum.
///
/// # Errors
///
/// When it cannot be written.
pub fn collapsed(walk: &Walk<'_>, of: Of, mut out: impl Write) -> io::Result<Tally> {
    let none = Tally::new(walk.heap.interval_bytes);
    let (mut stacks, mut sum): (BTreeMap<String, Tally>, Tally) = (BTreeMap::new(), none);
    for row in walk.rows() {
        let Some(tally) = figure(of, &row).filter(|tally| !tally.is_empty()) else { continue };
        let names: Vec<String> = row.names().map(|name| folded_name(&name)).collect();
        *stacks.entry(names.join(";")).or_insert(none) += tally;
        sum += tally;
    }
    for (stack, tally) in &stacks {
        writeln!(out, "{stack} {}", of.estimate(tally))?;
    }
    Ok(sum)
}

/// What is asked for of a row; `None` when the capture cannot tell.
pub(super) fn figure(of: Of, row: &Row<'_>) -> Option<Tally> {
    match of {
        Of::Leaks | Of::Live => Some(row.live),
        Of::Peak => Some(row.at_peak),
        Of::Total => Some(row.total),
        Of::Temporary => row.temporary,
    }
}
