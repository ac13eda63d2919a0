//! Tables of what was measured, as Markdown, so that they can be pasted into a page.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use plimsoll_benches::row::{BARE, Row};
use plimsoll_benches::workload;

use crate::stats::{self, Comparison, Spread, by_round, spread};
use crate::ways;

/// An empty Markdown table; every column but the first to the right.
pub(crate) fn markdown(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Rows that compare with each other, by workload and units, in the order of the workloads.
pub(crate) fn comparisons(rows: &[Row]) -> Vec<(&'static workload::Workload, u64, Comparison<'_>)> {
    let mut found: BTreeMap<(usize, u64), Comparison<'_>> = BTreeMap::new();
    for row in rows {
        let Some(position) = workload::ALL.iter().position(|workload| workload.name == row.workload) else { continue };
        let comparison = found.entry((position, row.units)).or_default();
        comparison.entry(row.way()).or_default().push(row);
    }
    let named = |((position, units), comparison)| Some((workload::ALL.get(position)?, units, comparison));
    found.into_iter().filter_map(named).collect()
}

/// What a way took, beside the same allocator by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// CPU time of the threads that did the work, per unit.
    pub(crate) own_ns: Spread,
    /// By round, that time over the bare allocator's.
    pub(crate) ratio: Spread,
    /// By round, that time less the bare allocator's, per unit.
    pub(crate) added_ns: Spread,
    /// The same per allocation or free.
    pub(crate) added_ns_per_event: Option<f64>,
    /// Time on the wall less the bare allocator's, per event: a recorder that makes the program wait shows here.
    pub(crate) added_wall_ns_per_event: Option<f64>,
    /// By round, CPU time of the process over the bare allocator's: a profiler's own threads are in it.
    pub(crate) process_ratio: Spread,
    /// By round, time on the wall over the bare allocator's: waiting is in it.
    pub(crate) wall_ratio: Spread,
    /// Largest resident set less the bare allocator's.
    pub(crate) added_rss_bytes: Spread,
    /// Largest resident set of the bare allocator.
    pub(crate) base_rss_bytes: f64,
    /// Slowest of a hundred requests, over the bare allocator's.
    pub(crate) p99_ratio: Option<Spread>,
    /// Of the capture.
    pub(crate) bytes_per_event: Option<f64>,
}

/// Events of the workload: allocations and frees, as counted where they are.
fn events(comparison: &Comparison<'_>) -> Option<f64> {
    comparison.values().flatten().find_map(|row| row.allocations).map(|allocations| 2.0 * allocations as f64)
}

/// The cost of `way`.
pub(crate) fn cost(comparison: &Comparison<'_>, way: &str) -> Option<Cost> {
    let rows = comparison.get(way)?;
    let base = comparison.get(&plimsoll_benches::row::way(ways::base(&rows.first()?.allocator), BARE))?;
    let units = rows.first()?.units as f64;
    let compare = |combine: fn(&Row, &Row) -> f64| spread(by_round(rows, base, combine));
    let added = compare(|row, base| row.own_ns as f64 - base.own_ns as f64)?;
    let added_wall = compare(|row, base| row.wall_ns as f64 - base.wall_ns as f64)?;
    let events = events(comparison).filter(|events| *events > 0.0);
    let per_unit = |value: f64| value / units;
    let captured = rows.iter().filter_map(|row| Some(row.capture_bytes? as f64 / row.events? as f64));
    let with_latency = rows.iter().chain(base).all(|row| row.p99_ns.is_some());
    let p99 = |row: &Row| row.p99_ns.unwrap_or(0) as f64;
    Some(Cost {
        own_ns: spread(rows.iter().map(|row| per_unit(row.own_ns as f64)))?,
        ratio: compare(|row, base| row.own_ns as f64 / base.own_ns as f64)?,
        added_ns: Spread { median: per_unit(added.median), min: per_unit(added.min), max: per_unit(added.max) },
        added_ns_per_event: events.map(|events| added.median / events),
        added_wall_ns_per_event: events.map(|events| added_wall.median / events),
        process_ratio: compare(|row, base| row.cpu_ns as f64 / base.cpu_ns as f64)?,
        wall_ratio: compare(|row, base| row.wall_ns as f64 / base.wall_ns as f64)?,
        added_rss_bytes: compare(|row, base| row.peak_rss_bytes as f64 - base.peak_rss_bytes as f64)?,
        base_rss_bytes: spread(base.iter().map(|row| row.peak_rss_bytes as f64))?.median,
        p99_ratio: spread(by_round(rows, base, move |row, base| p99(row) / p99(base))).filter(|_| with_latency),
        bytes_per_event: spread(captured).map(|captured| captured.median),
    })
}

const HEADER: [&str; 12] = [
    "way",
    "ns a unit",
    "min–max",
    "× bare",
    "added",
    "an event",
    "wall an event",
    "× process",
    "× wall",
    "× p99",
    "RSS",
    "B an event",
];

/// A time with three digits or more.
pub(crate) fn digits(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

fn line(way: &str, cost: &Cost) -> Vec<String> {
    let some = |value: Option<f64>| value.map(digits).unwrap_or_default();
    let bare = !way.contains(' ');
    let unless_bare = |text: String| if bare { String::new() } else { text };
    vec![
        way.to_owned(),
        digits(cost.own_ns.median),
        format!("{}–{}", digits(cost.own_ns.min), digits(cost.own_ns.max)),
        unless_bare(format!("{:.3}", cost.ratio.median)),
        unless_bare(digits(cost.added_ns.median)),
        unless_bare(some(cost.added_ns_per_event)),
        unless_bare(some(cost.added_wall_ns_per_event)),
        unless_bare(format!("{:.3}", cost.process_ratio.median)),
        unless_bare(format!("{:.3}", cost.wall_ratio.median)),
        unless_bare(cost.p99_ratio.map(|ratio| format!("{:.2}", ratio.median)).unwrap_or_default()),
        unless_bare(format!("{:+.1} MiB", cost.added_rss_bytes.median / f64::from(1 << 20))),
        // A sampled capture has samples for events.
        some(cost.bytes_per_event.filter(|_| way.ends_with("exact"))),
    ]
}

/// The whole page of tables; one for each workload and size.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut text = String::new();
    for (workload, units, comparison) in comparisons(rows) {
        let rounds = comparison.values().map(Vec::len).max().unwrap_or(0);
        let mut table = markdown(&HEADER);
        // The order in which they were run, which begins with the bare allocator.
        let mut names: Vec<String> = Vec::new();
        for row in rows.iter().filter(|row| row.workload == workload.name && row.units == units) {
            if !names.contains(&row.way()) {
                names.push(row.way());
            }
        }
        for name in &names {
            if let Some(cost) = cost(&comparison, name) {
                table.add_row(line(name, &cost));
            }
        }
        text += &format!(
            "{}: {}; {units} {}s, {rounds} rounds\n\n{table}\n\n",
            workload.name, workload.about, workload.unit
        );
    }
    text
}

/// Complaints about rows that did other work than their comparison.
pub(crate) fn unequal(rows: &[Row]) -> Vec<String> {
    let complain = |(workload, _, comparison): (&workload::Workload, u64, Comparison<'_>)| {
        let rows: Vec<&Row> = comparison.into_values().flatten().collect();
        stats::unequal_work(&rows, workload.tolerance)
    };
    comparisons(rows).into_iter().flat_map(complain).collect()
}
