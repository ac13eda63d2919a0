//! The program that is recorded: 256 sites that keep what they are told to, some of them more than before.

use plimsoll_benches::turns::path;
use serde::Serialize;

/// Mean bytes between samples.
pub(crate) const INTERVAL: u64 = 4096;
/// Left or right turns on the way to a site: there are 256.
const LEVELS: u32 = 8;

/// Sites that changes are planted at: the first keeps 10,000 intervals of small blocks, the second 200, the third 200 of
/// mixed sizes.
const LARGE: usize = 0;
const SMALL: usize = 1;
const MIXED: usize = 2;

/// What differs from the run before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Plant {
    /// Nothing
    None,
    /// 10 % more at a site of 10,000 intervals, 75 % more at two of 200
    More,
    /// As much less
    Less,
}

impl Plant {
    pub(crate) const ALL: [Plant; 3] = [Plant::None, Plant::More, Plant::Less];

    pub(crate) fn told(self) -> &'static str {
        match self {
            Plant::None => "nothing changed",
            Plant::More => "more at three sites",
            Plant::Less => "less at three sites",
        }
    }

    /// The sites that change, with the change of the smaller number in words.
    pub(crate) fn sites(self) -> Vec<(usize, &'static str)> {
        match self {
            Plant::None => Vec::new(),
            Plant::More => vec![(LARGE, "+10 %"), (SMALL, "+75 %"), (MIXED, "+75 %")],
            Plant::Less => vec![(LARGE, "back from +10 %"), (SMALL, "back from +75 %"), (MIXED, "back from +75 %")],
        }
    }

    /// The run that it is compared with, and the run itself.
    pub(crate) fn pair(self) -> [Plant; 2] {
        match self {
            Plant::None | Plant::More => [Plant::None, self],
            // Less is more, the other way round.
            Plant::Less => [Plant::More, Plant::None],
        }
    }
}

/// Sizes of a site's blocks, and how many of each it keeps.
fn blocks(site: usize, plant: Plant) -> Vec<(usize, u64)> {
    let interval = INTERVAL as usize;
    let (sizes, intervals): (&[usize], f64) = match site {
        LARGE => (&[64], 10_000.0),
        SMALL => (&[64], 200.0),
        MIXED => (&[48, 512, 3_000, 12_000], 200.0),
        // Some of every size, from a block that is hardly ever seen to one that is hardly ever missed.
        _ => {
            let sizes: [&[usize]; 6] = [&[32], &[256, 1_024], &[2_048], &[4_096], &[3 * 4_096], &[12 * 4_096]];
            let intervals = [0.3, 1.0, 3.0, 10.0, 40.0, 100.0];
            (sizes[site % sizes.len()], intervals[(site / sizes.len()) % intervals.len()])
        }
    };
    let grown = match (plant, site) {
        (Plant::More, LARGE) => 1.1,
        (Plant::More, SMALL | MIXED) => 1.75,
        _ => 1.0,
    };
    let of_size = |size: &usize| {
        let bytes = intervals * grown * interval as f64 / sizes.len() as f64;
        (*size, ((bytes / *size as f64).round() as u64).max(1))
    };
    sizes.iter().map(of_size).collect()
}

/// Allocates everything and keeps it; then the recording ends.
pub(crate) fn run(plant: Plant) -> Result<(), plimsoll::Error> {
    let sites: Vec<_> = (0..1 << LEVELS).map(|site| blocks(site, plant)).collect();
    let number: u64 = sites.iter().flatten().map(|(_, number)| number).sum();
    let mut kept = Vec::with_capacity(usize::try_from(number).unwrap_or(0));
    let session = plimsoll::Session::from_env()?;
    for (site, blocks) in sites.iter().enumerate() {
        for (size, number) in blocks {
            kept.extend((0..*number).map(|_| path(site, LEVELS, *size)));
        }
    }
    session.finish()?;
    drop(kept);
    Ok(())
}
