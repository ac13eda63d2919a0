//! How many samples of each size there are, as multiples of the interval that chose them: what a comparison of two
//! estimates has to know about their noise.

/// Classes: one for blocks below an eighth of the interval, then half octaves.
const CLASSES: usize = 18;
/// Where the half octaves begin, as a share of the interval.
const FIRST: f64 = 0.125;

/// Samples by class of size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread([u32; CLASSES]);

/// Samples of about the same size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeClass {
    /// Samples.
    pub samples: u32,
    /// Smallest size, in intervals: it tells the chance to be missed.
    pub from: f64,
    /// Largest size, in intervals: it tells what is missed.
    pub to: f64,
}

impl Spread {
    pub(super) fn add(&mut self, size_bytes: u64, interval_bytes: u64) {
        if let Some(samples) = self.0.get_mut(class(size_bytes, interval_bytes)) {
            *samples = samples.saturating_add(1);
        }
    }

    pub(super) fn remove(&mut self, size_bytes: u64, interval_bytes: u64) {
        if let Some(samples) = self.0.get_mut(class(size_bytes, interval_bytes)) {
            *samples = samples.saturating_sub(1);
        }
    }

    pub(super) fn add_all(&mut self, other: &Spread) {
        self.0.iter_mut().zip(other.0).for_each(|(samples, more)| *samples = samples.saturating_add(more));
    }

    pub(super) fn remove_all(&mut self, other: &Spread) {
        self.0.iter_mut().zip(other.0).for_each(|(samples, less)| *samples = samples.saturating_sub(less));
    }

    /// All classes, the smallest first. Of the first, `from` is 0: how small its blocks are is not known.
    pub fn classes(&self) -> impl Iterator<Item = SizeClass> + '_ {
        self.0.iter().enumerate().map(|(at, samples)| {
            let edge = |class: usize| FIRST * 2f64.powf((class as f64 - 1.0) / 2.0);
            SizeClass { samples: *samples, from: if at == 0 { 0.0 } else { edge(at) }, to: edge(at + 1) }
        })
    }
}

/// Blocks of 32 intervals and more share the last class: one in 10^14 of them is missed.
fn class(size_bytes: u64, interval_bytes: u64) -> usize {
    let ratio = size_bytes as f64 / interval_bytes.max(1) as f64;
    if ratio < FIRST { 0 } else { (((ratio / FIRST).log2() * 2.0) as usize + 1).min(CLASSES - 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_holds_the_sizes_between_its_edges() {
        for size in [1, 127, 128, 200, 1_000, 1_024, 5_000, 30_000] {
            let mut spread = Spread::default();
            spread.add(size, 1_024);
            let ratio = size as f64 / 1_024.0;
            let found: Vec<SizeClass> = spread.classes().filter(|class| class.samples > 0).collect();
            assert_eq!(found.len(), 1);
            assert!(found[0].from <= ratio && ratio < found[0].to, "{ratio} in {found:?}");
            spread.remove(size, 1_024);
            assert_eq!(spread, Spread::default());
        }
        assert_eq!(class(u64::MAX, 1), CLASSES - 1);
    }
}
