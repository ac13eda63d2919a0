//! A row of bars: how a number went over time.

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// `width` bars for points of (time, value) over a span of time: each shows the largest value of its part, and an empty
/// part the last one before; before the first point there is nothing. The highest bar is `most`, no bar is 0.
pub(crate) fn sparkline(points: &[(u64, u64)], span: (u64, u64), most: u64, width: usize) -> String {
    let length = span.1.saturating_sub(span.0).max(1);
    let mut columns: Vec<Option<u64>> = vec![None; width];
    for (at, value) in points {
        let offset = u128::from(at.saturating_sub(span.0)) * width as u128 / u128::from(length);
        let column = usize::try_from(offset).unwrap_or(width).min(width.saturating_sub(1));
        if let Some(largest) = columns.get_mut(column) {
            *largest = Some(largest.map_or(*value, |largest| largest.max(*value)));
        }
    }
    let mut held = 0;
    let mut bar = |value: Option<u64>| {
        held = value.unwrap_or(held);
        let level = u128::from(held) * BARS.len() as u128 / u128::from(most.max(1));
        let level = usize::try_from(level).unwrap_or(0);
        if held == 0 { ' ' } else { BARS.get(level.saturating_sub(1).min(BARS.len() - 1)).copied().unwrap_or(' ') }
    };
    columns.into_iter().map(&mut bar).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_is_the_full_bar() {
        // 4 columns over 0..=3: one value each; 8/8, 4/8, 1/8 of the height, and nothing.
        assert_eq!(sparkline(&[(0, 80), (1, 40), (2, 10), (3, 0)], (0, 3), 80, 4), "█▄▁ ");
        // On the scale of something twice as large.
        assert_eq!(sparkline(&[(0, 80), (1, 40), (2, 10), (3, 0)], (0, 3), 160, 4), "▄▂▁ ");
    }

    #[test]
    fn gaps_hold_the_last_value_and_spikes_stay() {
        // A spike of 8 shares the first column with 1; the next two are held at it, the last is 1.
        assert_eq!(sparkline(&[(0, 1), (1, 8), (100, 1)], (0, 100), 8, 4), "███▁");
        assert_eq!(sparkline(&[], (0, 0), 0, 4), "    ");
        assert_eq!(sparkline(&[(5, 5)], (5, 5), 5, 2), "██");
    }

    #[test]
    fn a_series_that_begins_later_stands_at_its_time() {
        assert_eq!(sparkline(&[(50, 8), (100, 4)], (0, 100), 8, 4), "  █▄");
    }
}
