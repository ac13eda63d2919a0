//! The ten-bar strip: the last ten samples of a number at a glance.

use serde::Serialize;

use super::level::Level;

/// Bars of a strip.
pub const STRIP_BARS: usize = 10;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// One bar for each of the last ten samples, oldest first, with what stands beside it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Strip {
    /// Ten characters: spaces for samples that are not there yet, then ▁ for 0 to █ for the peak.
    pub bars: String,
    /// The newest sample; `None` without one.
    pub current_bytes: Option<u64>,
    /// The largest value so far.
    pub peak_bytes: u64,
    /// The colour; `None` without a limit.
    pub level: Option<Level>,
}

impl Strip {
    /// The strip of some samples, oldest first: the last ten are shown, scaled to `peak_bytes` or the largest of them.
    pub fn new(samples: impl IntoIterator<Item = u64>, peak_bytes: u64, level: Option<Level>) -> Strip {
        let samples: Vec<u64> = samples.into_iter().collect();
        let last = samples.get(samples.len().saturating_sub(STRIP_BARS)..).unwrap_or_default();
        let peak_bytes = last.iter().copied().fold(peak_bytes, u64::max);
        let padding = std::iter::repeat_n(' ', STRIP_BARS - last.len());
        let bars = padding.chain(last.iter().map(|value| bar(*value, peak_bytes))).collect();
        Strip { bars, current_bytes: last.last().copied(), peak_bytes, level }
    }
}

/// The nearest of the eight bars.
fn bar(value: u64, peak: u64) -> char {
    let (value, peak) = (u128::from(value.min(peak)), u128::from(peak.max(1)));
    let steps = BARS.len() as u128 - 1;
    let nearest = (2 * value * steps + peak) / (2 * peak);
    usize::try_from(nearest).ok().and_then(|at| BARS.get(at)).copied().unwrap_or('█')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(samples: &[u64], peak: u64) -> String {
        Strip::new(samples.iter().copied(), peak, None).bars
    }

    #[test]
    fn bars_are_scaled_to_the_peak() {
        // 0, 1/7, … 7/7 of the peak are the eight bars.
        assert_eq!(bars(&[0, 1, 2, 3, 4, 5, 6, 7], 7), "  ▁▂▃▄▅▆▇█");
        // On the scale of a peak twice as high, each rounded: 3.5 of 7 steps is the fifth bar.
        assert_eq!(bars(&[7], 14), "         ▅");
        assert_eq!(bars(&[u64::MAX, 0], u64::MAX), "        █▁");
    }

    #[test]
    fn the_last_ten_are_shown_and_fewer_are_padded_on_the_left() {
        assert_eq!(bars(&[], 0), "          ");
        assert_eq!(bars(&[0], 0), "         ▁");
        let strip = Strip::new((0..100).map(|at| at % 10), 9, Some(Level::Green));
        assert_eq!((strip.bars.chars().count(), strip.current_bytes, strip.peak_bytes), (10, Some(9), 9));
        assert!(strip.bars.starts_with('▁') && strip.bars.ends_with('█'));
    }

    #[test]
    fn a_sample_above_the_peak_is_the_peak() {
        assert_eq!(Strip::new([5, 10], 7, None).peak_bytes, 10);
        assert_eq!(bars(&[5, 10], 7), "        ▅█");
    }
}
