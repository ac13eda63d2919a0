//! Medians, their spread, the order of turns, and whether all did the same work.

use std::collections::BTreeMap;

use plimsoll_benches::row::Row;

/// A median and the least and largest value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// The spread of `values`; `None` without any.
pub(crate) fn spread(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
    let mut sorted: Vec<f64> = values.into_iter().collect();
    sorted.sort_by(f64::total_cmp);
    let (min, max) = (*sorted.first()?, *sorted.last()?);
    let upper = sorted.len() / 2;
    let lower = (sorted.len() - 1) / 2;
    Some(Spread { median: (sorted.get(lower)? + sorted.get(upper)?) / 2.0, min, max })
}

/// The numbers below `count`, beginning with another one in each round, so that none is always first or always after
/// the same one's warm-up.
pub(crate) fn turns(count: usize, round: u32) -> impl Iterator<Item = usize> {
    (0..count).map(move |turn| (turn + round as usize) % count)
}

/// Values of `left` and `right` of the same round, put together.
pub(crate) fn by_round<'a>(
    left: &'a [&'a Row],
    right: &'a [&'a Row],
    combine: impl Fn(&Row, &Row) -> f64 + 'a,
) -> impl Iterator<Item = f64> + 'a {
    left.iter().filter_map(move |row| {
        let other = right.iter().find(|other| other.round == row.round)?;
        Some(combine(row, other))
    })
}

/// Rows of the same workload and size, which are compared with each other.
pub(crate) type Comparison<'a> = BTreeMap<String, Vec<&'a Row>>;

/// Complaints about rows that did other work than the first: another checksum, or another number of allocations than
/// `tolerance` (a share) allows.
pub(crate) fn unequal_work(rows: &[&Row], tolerance: f64) -> Vec<String> {
    let mut complaints = Vec::new();
    let Some(first) = rows.first() else { return complaints };
    let counted = rows.iter().find_map(|row| row.allocations);
    for row in rows {
        if row.checksum != first.checksum {
            complaints.push(format!(
                "{} {}: checksum {:x} differs from {:x} of {}: not the same work",
                row.workload,
                row.way(),
                row.checksum,
                first.checksum,
                first.way(),
            ));
        }
        if let (Some(expected), Some(found)) = (counted, row.allocations)
            && found.abs_diff(expected) as f64 > tolerance * expected as f64
        {
            complaints.push(format!("{} {}: {found} allocations, others {expected}", row.workload, row.way()));
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(way: &str, round: u32, own_ns: u64) -> Row {
        Row {
            workload: "churn".into(),
            allocator: way.into(),
            mode: "bare".into(),
            units: 10,
            checksum: 7,
            allocations: None,
            wall_ns: 0,
            cpu_ns: 0,
            own_ns,
            peak_rss_bytes: 0,
            p50_ns: None,
            p99_ns: None,
            capture_bytes: None,
            events: None,
            lost: None,
            round,
        }
    }

    #[test]
    fn the_median_of_an_even_number_lies_between_the_two_in_the_middle() {
        assert_eq!(spread([4.0, 1.0, 3.0, 2.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(spread([9.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 9.0 }));
        assert_eq!(spread([]), None);
    }

    #[test]
    fn every_way_comes_once_a_round_and_in_each_place_over_the_rounds() {
        let rounds: Vec<Vec<usize>> = (0..3).map(|round| turns(3, round).collect()).collect();
        assert_eq!(rounds, [[0, 1, 2], [1, 2, 0], [2, 0, 1]]);
    }

    #[test]
    fn only_runs_of_the_same_round_are_compared() {
        // Round 1 is missing on the right, round 2 on the left.
        let left = [row("a", 0, 30), row("a", 1, 500)];
        let right = [row("b", 2, 1), row("b", 0, 20)];
        let (left, right): (Vec<&Row>, Vec<&Row>) = (left.iter().collect(), right.iter().collect());
        let ratios: Vec<f64> = by_round(&left, &right, |a, b| a.own_ns as f64 / b.own_ns as f64).collect();
        assert_eq!(ratios, [1.5]);
    }

    #[test]
    fn other_work_is_complained_about() {
        let mut rows = [row("a", 0, 1), row("b", 0, 1), row("c", 0, 1)];
        let complaints = |rows: &[Row], tolerance| unequal_work(&rows.iter().collect::<Vec<_>>(), tolerance).len();
        assert_eq!(complaints(&rows, 0.0), 0);
        rows[2].checksum = 8;
        assert_eq!(complaints(&rows, 0.0), 1);
        rows[2].checksum = 7;
        // 1,000 against 1,001: a tenth of a percent.
        rows[0].allocations = Some(1_000);
        rows[2].allocations = Some(1_001);
        assert_eq!(complaints(&rows, 0.0), 1);
        assert_eq!(complaints(&rows, 0.001), 0);
    }
}
