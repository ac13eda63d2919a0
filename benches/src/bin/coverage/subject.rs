//! The program that is recorded: sites whose truth is fixed before any sample is drawn.

use plimsoll_benches::turns::path;

/// Mean bytes between samples.
pub(crate) const INTERVAL: u64 = 4096;

/// Sites of a run, each with the blocks that it keeps and as many that it frees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Layout {
    /// 30 sites: five kinds of blocks, each at six sizes of the site
    Fixed,
    /// The same, with numbers of blocks that depend on the seed: for exact mode
    Varied,
    /// 256 sites that hold the same
    Equal,
    /// 256 sites, the second of which holds half as much as the first, the third a third
    Spread,
}

/// What one site keeps: numbers of blocks by size.
pub(crate) type Blocks = Vec<(usize, u64)>;

/// Samples that are expected among what a site keeps.
const EXPECTED: [f64; 6] = [1.0, 3.0, 10.0, 20.0, 60.0, 200.0];

/// What the blocks of a site are.
#[derive(Debug)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// Sizes, each of which gives the same share of the site's samples.
    pub(crate) sizes: &'static [usize],
}

const KINDS: [Kind; 5] = [
    Kind { name: "64 B", sizes: &[64] },
    Kind { name: "1 KiB", sizes: &[1024] },
    Kind { name: "4 KiB, the interval", sizes: &[4096] },
    Kind { name: "8 KiB", sizes: &[8192] },
    Kind { name: "64 B to 8 KiB", sizes: &[64, 512, 8192] },
];

impl Kind {
    /// That of a site of the fixed layout.
    pub(crate) fn of(site: usize) -> Option<&'static Kind> {
        KINDS.get(site / EXPECTED.len())
    }

    /// Whether all blocks are larger than the interval.
    pub(crate) fn is_large(&self) -> bool {
        self.sizes.iter().all(|size| *size as u64 > INTERVAL)
    }
}

/// The chance that a block of this size is sampled.
pub(crate) fn chance(size: usize) -> f64 {
    -(-(size as f64) / INTERVAL as f64).exp_m1()
}

/// Numbers of blocks that give so many samples on average, as nearly as whole blocks do.
fn blocks(sizes: &[usize], samples: f64) -> Blocks {
    let of_size = |size: &usize| (*size, (samples / sizes.len() as f64 / chance(*size)).round().max(1.0) as u64);
    sizes.iter().map(of_size).collect()
}

impl Layout {
    /// Left or right turns on the way to a site: there are two to this power.
    fn levels(self) -> u32 {
        if matches!(self, Layout::Fixed | Layout::Varied) { 5 } else { 8 }
    }

    /// What each site keeps.
    pub(crate) fn sites(self, seed: u64) -> Vec<Blocks> {
        let fixed = KINDS.iter().flat_map(|kind| EXPECTED.map(|samples| blocks(kind.sizes, samples)));
        match self {
            Layout::Fixed => fixed.collect(),
            Layout::Varied => {
                let other = |(at, blocks): (usize, Blocks)| {
                    let change = |(size, number)| (size, number + (seed * 31 + at as u64 * 7) % (number + 2));
                    blocks.into_iter().map(change).collect()
                };
                fixed.enumerate().map(other).collect()
            }
            Layout::Equal => (0..256).map(|_| blocks(&[64], 20.0)).collect(),
            Layout::Spread => (1..=256).map(|rank| blocks(&[64], 2560.0 / f64::from(rank))).collect(),
        }
    }
}

/// Allocates everything, twice, and frees every second block; then the recording ends.
pub(crate) fn run(layout: Layout, seed: u64) -> Result<(), plimsoll::Error> {
    let sites = layout.sites(seed);
    let number: u64 = sites.iter().flatten().map(|(_, number)| number).sum();
    let mut kept = Vec::with_capacity(usize::try_from(number).unwrap_or(0));
    let session = plimsoll::Session::from_env()?;
    for (site, blocks) in sites.iter().enumerate() {
        for (size, number) in blocks {
            for _ in 0..*number {
                // One call, so that both are of one site.
                let mut pair = [(); 2].map(|()| Some(path(site, layout.levels(), *size)));
                kept.extend(pair[0].take());
            }
        }
    }
    session.finish()?;
    drop(kept);
    Ok(())
}
