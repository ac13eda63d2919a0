//! The expected numbers, read from the table at the top of each program's source.

use crate::programs;

/// One row: `number` of `function` is `value`.
pub(crate) struct Expected {
    pub(crate) function: String,
    pub(crate) number: String,
    pub(crate) value: u64,
}

/// The rows of `program`, at least one.
pub(crate) fn of(program: &str) -> Vec<Expected> {
    let path = programs::source_folder().join(format!("{program}.rs"));
    let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let rows: Vec<Expected> = source.lines().filter_map(row).collect();
    assert!(!rows.is_empty(), "{program} has no table of expected numbers");
    rows
}

/// ``//! | `function` | number | value |``
fn row(line: &str) -> Option<Expected> {
    let mut cells = line.strip_prefix("//! | `")?.split('|').map(str::trim);
    let (function, number, value) = (cells.next()?, cells.next()?, cells.next()?);
    let value = value.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    Some(Expected { function: function.trim_end_matches('`').into(), number: number.into(), value })
}
