//! The counts as tables, and whether they are what was promised.

use std::fmt::Write;

use super::runs::{Count, FIGURES, Figure, Line, Of};
use super::subject::{Kind, Layout};

/// Fewer seeds say too little of a single site: only sums over sites are held against the bounds.
const SEEDS_FOR_A_SITE: u64 = 2000;

/// The page of one layout, and whether its promise is kept. How often intervals of picked sites hold the truth is
/// shown and not judged: those are marked as picked.
pub(crate) fn page(layout: Layout, seeds: u64, lines: &[Line]) -> (String, bool) {
    let mut text = format!("\n{layout:?}, {seeds} seeds:\n\n");
    let good = match layout {
        Layout::Varied => exact(&mut text, lines),
        Layout::Fixed => fixed(&mut text, seeds, lines),
        Layout::Equal | Layout::Spread => {
            picked(&mut text, lines);
            true
        }
    };
    (text, good)
}

fn percent(part: u64, whole: u64) -> f64 {
    part as f64 * 100.0 / whole.max(1) as f64
}

fn exact(text: &mut String, lines: &[Line]) -> bool {
    let all = lines.iter().filter(|line| line.of == Of::All);
    let (held, intervals) = all.fold((0, 0), |(held, all), line| (held + line.count.held, all + line.count.intervals));
    let _ = writeln!(text, "Exact figures that are the truth: {held} of {intervals}.");
    held == intervals && intervals > 0
}

/// What was promised of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Promise {
    /// 93 to 97 %: 20 samples or more, of blocks no larger than the interval.
    Near,
    /// At least 93 %: few samples, or blocks so large that whole numbers of them leave no choice.
    AtLeast,
    /// Nothing: a number of blocks of several sizes, with few samples. Of a size without a sample nothing is known.
    Nothing,
}

impl Promise {
    fn of(kind: &Kind, line: &Line) -> Promise {
        let counts = matches!(line.figure, Figure::LiveAllocations | Figure::TotalAllocations);
        // Whole blocks make 20 samples 19.9 or 20.1.
        match line.expected_samples >= 19.5 {
            true if kind.is_large() => Promise::AtLeast,
            true => Promise::Near,
            false if counts && kind.sizes.len() > 1 => Promise::Nothing,
            false => Promise::AtLeast,
        }
    }

    fn is_kept(self, held_percent: f64) -> bool {
        match self {
            Promise::Near => (93.0..=97.0).contains(&held_percent),
            Promise::AtLeast => held_percent >= 93.0,
            Promise::Nothing => true,
        }
    }
}

fn fixed(text: &mut String, seeds: u64, lines: &[Line]) -> bool {
    let head = "| blocks | samples expected of what is live | no sample | live bytes | live blocks | total bytes | total blocks |";
    let _ = writeln!(text, "{head}\n|---|---:|---:|---:|---:|---:|---:|");
    let (mut good, mut near, mut few) = (true, Count::default(), Count::default());
    let sites = lines.iter().filter_map(|line| match line.of {
        Of::Site(site) if line.figure == Figure::LiveBytes => Some((site, line)),
        _ => None,
    });
    for (site, live) in sites {
        let Some(kind) = Kind::of(site) else { continue };
        let unseen = percent(live.count.unseen, seeds);
        let _ = write!(text, "| {} | {:.1} | {unseen:.1} % |", kind.name, live.expected_samples);
        for figure in FIGURES {
            let line = lines.iter().find(|line| line.of == Of::Site(site) && line.figure == figure);
            let Some(line) = line else { continue };
            let promise = Promise::of(kind, line);
            match promise {
                Promise::Near => near.add(&line.count),
                Promise::AtLeast => few.add(&line.count),
                Promise::Nothing => {}
            }
            let held = percent(line.count.held, line.count.intervals);
            let is_kept = promise.is_kept(held) || seeds < SEEDS_FOR_A_SITE;
            good &= is_kept;
            let mark = if promise == Promise::Nothing {
                " *"
            } else if is_kept {
                ""
            } else {
                " (!)"
            };
            let _ = write!(text, " {held:.2} %{mark} |");
        }
        text.push('\n');
    }
    for (name, promise, count) in [
        ("20 samples or more of blocks up to the interval", Promise::Near, near),
        ("fewer samples, or larger blocks", Promise::AtLeast, few),
    ] {
        let held = percent(count.held, count.intervals);
        good &= promise.is_kept(held);
        let _ = writeln!(text, "\n{name}: {} of {} intervals hold the truth, {held:.2} %", count.held, count.intervals);
    }
    good
}

fn picked(text: &mut String, lines: &[Line]) {
    let head = "| sites | figure | intervals | hold the truth | truth below them | mean of estimate / truth |";
    let _ = writeln!(text, "{head}\n|---|---|---:|---:|---:|---:|");
    for line in lines {
        let name = match line.of {
            Of::All => "all, fixed in advance".to_owned(),
            Of::Top(1) => "the largest".to_owned(),
            Of::Top(number) => format!("the {number} largest"),
            Of::Site(_) => continue,
        };
        let figure = match line.figure {
            Figure::LiveBytes => "live bytes",
            Figure::TotalBytes => "total bytes",
            Figure::LiveAllocations | Figure::TotalAllocations => continue,
        };
        let count = line.count;
        let (held, below) = (percent(count.held, count.intervals), percent(count.below, count.intervals));
        let ratio = count.ratios / count.intervals.max(1) as f64;
        let _ = writeln!(text, "| {name} | {figure} | {} | {held:.2} % | {below:.2} % | {ratio:.3} |", count.intervals);
    }
}
