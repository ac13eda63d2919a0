//! A series of readings that stays bounded: a week of one reading a second is thinned evenly.

/// Readings kept at most. A timeline is drawn with fewer.
const MAX_POINTS: usize = 16_384;

/// Keeps every n-th item and the newest one; n doubles when there are too many.
#[derive(Debug)]
pub(super) struct Series<T> {
    items: Vec<T>,
    newest: Option<T>,
    seen: u64,
    stride: u64,
}

impl<T> Default for Series<T> {
    fn default() -> Series<T> {
        Series { items: Vec::new(), newest: None, seen: 0, stride: 1 }
    }
}

impl<T> Series<T> {
    /// Adds the next reading, and calls `shrink` on the one before it.
    pub(super) fn push(&mut self, item: T, shrink: impl Fn(&mut T)) {
        if let Some(mut last) = self.newest.replace(item) {
            shrink(&mut last);
            self.keep(last);
        }
    }

    fn keep(&mut self, item: T) {
        if self.seen.is_multiple_of(self.stride) {
            self.items.push(item);
        }
        self.seen += 1;
        if self.items.len() >= MAX_POINTS {
            let mut position = 0u64;
            self.items.retain(|_| {
                position += 1;
                position % 2 == 1
            });
            self.stride = self.stride.saturating_mul(2);
        }
    }

    pub(super) fn newest(&self) -> Option<&T> {
        self.newest.as_ref()
    }

    /// The readings in order, the newest last.
    pub(super) fn finish(mut self) -> Vec<T> {
        self.items.extend(self.newest);
        self.items
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_series_are_thinned_evenly_and_keep_both_ends() {
        let mut series = Series::default();
        (0..100_000u64).for_each(|item| series.push(item, |_| {}));
        let items = series.finish();
        assert!(items.len() <= MAX_POINTS && items.len() > MAX_POINTS / 4, "{}", items.len());
        assert_eq!((items.first(), items.last()), (Some(&0), Some(&99_999)));
        // 100,000 readings need a stride of 8: 4 would leave 25,000.
        assert!(items.windows(2).take(items.len() - 2).all(|pair| pair[1] - pair[0] == 8));
    }
}
