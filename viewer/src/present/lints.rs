//! Lints as lines: what was found, and what to try.

use crate::analysis::{Lint, Pattern, lints};

use super::safe::safe;
use super::screen::View;
use super::sites::short_path;
use super::style::{faint, heading};
use super::units;

/// The lines of a report; empty when there is nothing to say.
pub(crate) fn lint_lines(view: &View<'_>) -> String {
    let lints = lints(view.profile, view.heap, view.grouping);
    if lints.is_empty() {
        return String::new();
    }
    let line =
        |lint: &Lint| format!("  {}\n    {}\n", sentence(lint), faint(format!("try: {}", remedy(&lint.pattern))));
    format!("{}\n{}\n", heading("Advice"), lints.iter().map(line).collect::<String>())
}

/// What was found.
pub(crate) fn sentence(lint: &Lint) -> String {
    let name = safe(&lint.name);
    let place = lint.place.as_deref().map(|place| format!(" ({})", safe(short_path(place)))).unwrap_or_default();
    match lint.pattern {
        Pattern::TemporaryChurn { temporary, allocations } => format!(
            "temporary churn: {} of {} allocations at {name}{place} are freed at once",
            units::measured_count(temporary),
            units::measured_count(allocations)
        ),
        Pattern::GrowthByRealloc { moved, reallocations, bytes } => format!(
            "growth by reallocation: {} of {} at {name}{place} were allocated to grow a block, in {} reallocations",
            units::measured_bytes(moved),
            units::measured_bytes(bytes),
            units::measured_count(reallocations)
        ),
        Pattern::SmallBlocks { blocks, bytes, overhead_bytes } => format!(
            "many small blocks: {} of {} on average from {name}{place}; an allocator adds some {} to them",
            units::measured_count(blocks),
            units::bytes(bytes.value / blocks.value.max(1)),
            units::bytes(overhead_bytes)
        ),
        Pattern::OneThread { bytes, all, threads } => format!(
            "one thread of {threads}: {name} allocates {} of {}",
            units::measured_bytes(bytes),
            units::measured_bytes(all)
        ),
    }
}

/// What to try.
pub(crate) fn remedy(pattern: &Pattern) -> &'static str {
    match pattern {
        Pattern::TemporaryChurn { .. } => "keep one buffer and clear() it, or pass a slice instead of an owned value",
        Pattern::GrowthByRealloc { .. } => "Vec::with_capacity or reserve() with the size that is needed in the end",
        Pattern::SmallBlocks { .. } => "values in one Vec instead of a Box each, an arena, or indices",
        Pattern::OneThread { .. } => "look at it alone: plimsoll report --by thread, plimsoll flamegraph --by thread",
    }
}
