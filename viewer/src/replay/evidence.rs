//! What a verdict needs to know of each site: how much it held over time, when blocks came, and how old they were when they
//! went. Time is cut into [`BINS`] equal bins from the session's start to the moment of the verdict.
//!
//! Collecting is lean: an event compares its time with the end of the bin, and a free finds the bin its block was born in by
//! one multiplication. A site holds at most 11 KiB, and less than 100 bytes for each of its events.

use crate::model::Profile;

use super::block::Held;
use super::figure::Figure;
use super::ledger::Ledger;

/// Bins of time.
pub const BINS: usize = 64;

/// The bins' place in time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Grid {
    /// Nanoseconds from the first bin's start to the end of the last.
    pub span_ns: u64,
    start_ticks: u64,
    end_ticks: u64,
    /// 2^64 times the bins in a tick.
    scale: u64,
}

/// A site in one bin of time, at the end of which it held `live_bytes`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bin {
    /// Bytes live at the bin's end.
    pub live_bytes: u64,
    /// The least bytes live in it.
    pub low_bytes: u64,
    /// Blocks allocated in it; in sampled captures samples.
    pub births: u64,
    /// Of these, blocks that were freed in it too.
    pub brief: u64,
    /// Blocks that the births stand for.
    pub allocations: f64,
}

/// Blocks of one bin's births that live at the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Survivors {
    /// Blocks; in sampled captures samples.
    pub blocks: u64,
    /// Bytes they stand for.
    pub bytes: u64,
}

/// A site's births, deaths and survivors over time. Those of several sites add up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SiteEvidence {
    /// Bins in which something happened, in order.
    touched: Vec<(u32, Bin)>,
    /// Blocks that live at the end, by bin of birth up to the last that has some.
    survivors: Vec<Survivors>,
    /// Frees after the bin of birth: those in bin d of blocks born in bin b < d stand at d (d − 1) / 2 + b.
    deaths: Vec<u32>,
}

/// Evidence under way.
#[derive(Debug, Clone)]
pub(super) struct Gathering {
    /// The bin under way.
    bin: u32,
    births: u32,
    brief: u32,
    allocations: f64,
    low_bytes: u64,
    evidence: SiteEvidence,
}

impl Grid {
    /// Bins from `start_ticks`, or the session's start if that is later, to `end_ticks`.
    pub(super) fn new(profile: &Profile, start_ticks: u64, end_ticks: u64) -> Grid {
        let start_ticks = start_ticks.max(profile.header.start.ticks);
        let end_ticks = end_ticks.max(start_ticks.saturating_add(1));
        // At least 64 ticks, so that the scale fits.
        let span = (end_ticks - start_ticks).saturating_add(1).max(BINS as u64 + 1);
        let scale = ((BINS as u128) << 64) / u128::from(span);
        let span_ns = profile.ns(end_ticks).saturating_sub(profile.ns(start_ticks));
        Grid { span_ns, start_ticks, end_ticks, scale: u64::try_from(scale).unwrap_or(u64::MAX) }
    }

    /// The bin of a moment; [`BINS`] after the last one.
    #[inline]
    pub(super) fn bin(&self, ticks: u64) -> u32 {
        if ticks > self.end_ticks {
            return BINS as u32;
        }
        let since = ticks.saturating_sub(self.start_ticks);
        ((u128::from(since) * u128::from(self.scale)) >> 64) as u32
    }

    /// The first tick at which a bin is over.
    pub(super) fn end_of(&self, bin: u32) -> u64 {
        if bin as usize + 1 >= BINS {
            return if bin as usize >= BINS { u64::MAX } else { self.end_ticks.saturating_add(1) };
        }
        let ticks = ((u128::from(bin) + 1) << 64).div_ceil(u128::from(self.scale.max(1)));
        self.start_ticks.saturating_add(u64::try_from(ticks).unwrap_or(u64::MAX))
    }

    /// Seconds in a bin.
    pub fn bin_seconds(&self) -> f64 {
        self.span_ns as f64 / 1e9 / BINS as f64
    }
}

impl Gathering {
    pub(super) fn new(bin: u32) -> Gathering {
        Gathering { bin, births: 0, brief: 0, allocations: 0.0, low_bytes: 0, evidence: SiteEvidence::default() }
    }

    /// The site is about to change in `bin`, and holds `live_bytes` until then.
    #[inline]
    pub(super) fn enter(&mut self, bin: u32, live_bytes: u64) {
        if self.bin != bin {
            self.turn(bin, live_bytes);
        }
    }

    #[cold]
    fn turn(&mut self, bin: u32, live_bytes: u64) {
        if (self.bin as usize) < BINS {
            let (births, brief) = (self.births.into(), self.brief.into());
            let (low_bytes, allocations) = (self.low_bytes, self.allocations);
            self.evidence.touched.push((self.bin, Bin { live_bytes, low_bytes, births, brief, allocations }));
        }
        (self.bin, self.births, self.brief, self.allocations, self.low_bytes) = (bin, 0, 0, 0.0, live_bytes);
    }

    /// A block comes that stands for so many.
    #[inline]
    pub(super) fn birth(&mut self, allocations: f64) {
        self.births = self.births.saturating_add(1);
        self.allocations += allocations;
    }

    /// A block born in `born` is freed in the bin under way, and `live_bytes` are left. Of a reallocation the new block is
    /// there already: the moment between the two is no low.
    #[inline]
    pub(super) fn death(&mut self, born: u32, live_bytes: u64) {
        self.low_bytes = self.low_bytes.min(live_bytes);
        if born >= self.bin {
            self.brief = self.brief.saturating_add(1);
        } else if (self.bin as usize) < BINS {
            self.evidence.add_death(born as usize, self.bin as usize, 1);
        }
    }

    /// A block of so many bytes was taken out in bin `from` and is back, in the bin under way: until now it was being
    /// reallocated. At the ends of the bins between it was there all the same.
    #[cold]
    pub(super) fn bridge(&mut self, from: u32, bytes: u64) {
        for (at, bin) in self.evidence.touched.iter_mut().rev().take_while(|(at, _)| *at >= from) {
            bin.live_bytes = bin.live_bytes.saturating_add(bytes);
            if *at > from {
                bin.low_bytes = bin.low_bytes.saturating_add(bytes);
            }
        }
        self.low_bytes = self.low_bytes.saturating_add(bytes);
    }

    /// A block born in `born` lives at the end.
    fn survivor(&mut self, born: u32, bytes: u64) {
        let (survivors, born) = (&mut self.evidence.survivors, born as usize);
        if born >= BINS {
            return;
        }
        if survivors.len() <= born {
            survivors.resize(born + 1, Survivors::default());
        }
        if let Some(sum) = survivors.get_mut(born) {
            *sum = Survivors { blocks: sum.blocks + 1, bytes: sum.bytes.saturating_add(bytes) };
        }
    }

    pub(super) fn finish(mut self, live_bytes: u64) -> SiteEvidence {
        self.turn(BINS as u32, live_bytes);
        self.evidence
    }
}

impl SiteEvidence {
    #[inline]
    fn add_death(&mut self, born: usize, died: usize, blocks: u32) {
        let at = died * died.saturating_sub(1) / 2 + born;
        if self.deaths.len() <= at {
            self.deaths.resize(at + 1, 0);
        }
        if let Some(cell) = self.deaths.get_mut(at) {
            *cell = cell.saturating_add(blocks);
        }
    }

    /// Whether any block lives at the end.
    pub fn has_survivors(&self) -> bool {
        !self.survivors.is_empty()
    }

    /// Every bin in order: where nothing happened the last live bytes stay.
    pub fn bins(&self) -> [Bin; BINS] {
        let mut bins = [Bin::default(); BINS];
        let mut touched = self.touched.iter().peekable();
        let mut held = 0;
        for (at, bin) in bins.iter_mut().enumerate() {
            *bin = match touched.next_if(|(touched, _)| *touched as usize == at) {
                Some((_, touched)) => *touched,
                None => Bin { live_bytes: held, low_bytes: held, ..Bin::default() },
            };
            held = bin.live_bytes;
        }
        bins
    }

    /// Blocks that live at the end, by bin of birth.
    pub fn survivors(&self) -> [Survivors; BINS] {
        let mut all = [Survivors::default(); BINS];
        all.iter_mut().zip(&self.survivors).for_each(|(all, some)| *all = *some);
        all
    }

    /// Blocks allocated; in sampled captures samples.
    pub fn births(&self) -> u64 {
        self.touched.iter().map(|(_, bin)| bin.births).sum()
    }

    /// Blocks born in bin `born` and freed in the later bin `died`.
    pub fn deaths(&self, born: usize, died: usize) -> u64 {
        if born >= died {
            return 0;
        }
        self.deaths.get(died * died.saturating_sub(1) / 2 + born).copied().unwrap_or(0).into()
    }
}

impl<F: Figure> Ledger<'_, F> {
    /// A reallocation that took from one bin into another has its outcome: what it moved was live at the bin's end. (Its
    /// site must not seem to have held nothing whenever one buffer is all that it holds.)
    pub(super) fn bridge(&mut self, held: &Held<F>, ticks: u64) {
        let (Some(block), from) = (&held.block, self.grid.bin(held.ticks)) else { return };
        if from < self.grid.bin(ticks)
            && self.counts(block)
            && let Some(site) = self.sites.change(block.site)
        {
            site.gathering.bridge(from, F::estimate(&block.weight()));
        }
    }

    /// Notes which blocks live at the moment of the verdict; the first call counts.
    pub(super) fn note_survivors(&mut self) {
        if std::mem::replace(&mut self.noted_survivors, true) {
            return;
        }
        let window = self.window;
        for (_, block) in self.live.iter().filter(|(_, block)| window.counts(block.ticks)) {
            let born = self.grid.bin(block.ticks);
            if let Some(site) = self.sites.get_mut(block.site) {
                site.gathering.survivor(born, F::estimate(&block.weight()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bin_ends_where_the_next_begins() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = crate::testing::CaptureBuilder::exact().end(2_000).save(folder.path(), "test.plim");
        let capture = crate::capture::open(path, &Default::default()).expect("it is a capture");
        let start = capture.profile.header.start.ticks;
        for span in [1, 64, 65, 100, 4_097, 1 << 40, u64::MAX >> 1] {
            let grid = Grid::new(&capture.profile, 0, start + span);
            assert_eq!((grid.bin(0), grid.bin(start)), (0, 0), "span {span}");
            for bin in 0..BINS as u32 - 1 {
                let end = grid.end_of(bin);
                let is_in_span = end <= start + span;
                assert!(!is_in_span || (grid.bin(end - 1), grid.bin(end)) == (bin, bin + 1), "bin {bin} of {span}");
            }
            assert!(grid.bin(start + span) < BINS as u32, "span {span}");
            assert_eq!(grid.bin(start + span + 1), BINS as u32, "span {span}");
            assert_eq!(grid.end_of(BINS as u32), u64::MAX);
        }
    }
}
