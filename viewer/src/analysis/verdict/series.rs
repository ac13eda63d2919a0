//! The evidence of one site or several as plain numbers over time.

use crate::replay::{BINS, Heap, Site};

/// A number for each bin of time.
pub type PerBin = [f64; BINS];

/// Births, deaths and live bytes of a site, or of several together.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// Seconds in a bin.
    pub bin_seconds: f64,
    /// Bytes live at each bin's end.
    pub live: PerBin,
    /// The least bytes live in each bin.
    pub low: PerBin,
    /// Blocks born in each bin; samples in sampled captures.
    pub births: PerBin,
    /// Of these, freed in the same bin.
    pub brief: PerBin,
    /// Blocks that the births stand for.
    pub allocations: PerBin,
    /// Blocks by bin of birth that live at the end.
    pub survivors: PerBin,
    /// Bytes of these.
    pub survivor_bytes: PerBin,
    /// Blocks by bin of birth and, later, of death.
    pub deaths: Vec<PerBin>,
    /// Blocks that look live and may have been freed while frees were lost.
    pub unsure: f64,
}

impl Series {
    /// Nothing yet, in bins of this length.
    pub fn empty(bin_seconds: f64) -> Series {
        let none = [0.0; BINS];
        Series {
            bin_seconds,
            live: none,
            low: none,
            births: none,
            brief: none,
            allocations: none,
            survivors: none,
            survivor_bytes: none,
            deaths: vec![none; BINS],
            unsure: 0.0,
        }
    }

    /// Some sites of a heap together.
    pub fn of(heap: &Heap, sites: &[usize]) -> Series {
        let mut series = Series::empty(heap.grid.bin_seconds());
        for site in sites.iter().filter_map(|site| heap.evidence.get(*site)) {
            let (bins, survivors) = (site.bins(), site.survivors());
            for (at, (bin, alive)) in bins.iter().zip(&survivors).enumerate() {
                series.live[at] += bin.live_bytes as f64;
                series.low[at] += bin.low_bytes as f64;
                series.births[at] += bin.births as f64;
                series.brief[at] += bin.brief as f64;
                series.allocations[at] += bin.allocations;
                series.survivors[at] += alive.blocks as f64;
                series.survivor_bytes[at] += alive.bytes as f64;
            }
            for (born, row) in series.deaths.iter_mut().enumerate() {
                for (died, sum) in row.iter_mut().enumerate().skip(born + 1) {
                    *sum += site.deaths(born, died) as f64;
                }
            }
        }
        series.unsure = sites.iter().filter_map(|site| unsure(heap.sites.get(*site)?)).sum();
        series
    }

    /// Seconds from the first bin to the end of the last.
    pub fn seconds(&self) -> f64 {
        self.bin_seconds * BINS as f64
    }

    /// Blocks of `born` alive at the beginning of bin `at`, which is later.
    pub fn alive(&self, born: usize, at: usize) -> f64 {
        let later = self.deaths.get(born).map_or(0.0, |row| row.iter().skip(at).sum());
        self.survivors.get(born).copied().unwrap_or(0.0) + later
    }

    /// Blocks that died in bin `at`, of those born in bins before.
    pub fn died_in(&self, at: usize) -> f64 {
        self.deaths.iter().take(at).filter_map(|row| row.get(at)).sum()
    }

    /// All blocks born.
    pub fn total_births(&self) -> f64 {
        self.births.iter().sum()
    }

    /// All blocks that live at the end.
    pub fn total_survivors(&self) -> f64 {
        self.survivors.iter().sum()
    }
}

/// Live blocks of a site that lost frees may have freed.
fn unsure(site: &Site) -> Option<f64> {
    let loss = site.live.loss?;
    Some(loss.lost_frees.map_or(loss.unsure_blocks, |lost| lost.min(loss.unsure_blocks)) as f64)
}

/// Mean of some numbers, 0 of none.
pub(super) fn mean(numbers: &[f64]) -> f64 {
    if numbers.is_empty() { 0.0 } else { numbers.iter().sum::<f64>() / numbers.len() as f64 }
}

/// Variance of some numbers, by n − 1; 0 of fewer than two.
pub(super) fn variance(numbers: &[f64]) -> f64 {
    if numbers.len() < 2 {
        return 0.0;
    }
    let middle = mean(numbers);
    numbers.iter().map(|number| (number - middle).powi(2)).sum::<f64>() / (numbers.len() - 1) as f64
}
