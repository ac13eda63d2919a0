//! The counts as tables, and whether they are what was promised.

use std::fmt::Write;

use super::runs::{FIGURES, Figure, Line, Of};
use super::subject::Layout;

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
    let _ = writeln!(text, "exact figures that are the truth: {held} of {intervals}");
    held == intervals && intervals > 0
}

/// What coverage must lie between, in percent.
fn bounds(expected_samples: f64) -> (f64, f64) {
    // Whole blocks make 20 samples 19.9 or 20.1.
    if expected_samples >= 19.5 { (93.0, 97.0) } else { (93.0, 100.0) }
}

fn fixed(text: &mut String, seeds: u64, lines: &[Line]) -> bool {
    let _ = writeln!(
        text,
        "| blocks | samples expected of what is live | no sample at all | live bytes | live blocks | total bytes | total blocks |"
    );
    let _ = writeln!(text, "|---|---:|---:|---:|---:|---:|---:|");
    let mut good = true;
    let sites = lines.iter().filter_map(|line| match line.of {
        Of::Site(site) if line.figure == Figure::LiveBytes => Some((site, line)),
        _ => None,
    });
    for (site, live) in sites {
        let unseen = percent(live.count.unseen, seeds);
        let _ = write!(text, "| {} | {:.1} | {unseen:.1} % |", Layout::kind(site), live.expected_samples);
        for figure in FIGURES {
            let line = lines.iter().find(|line| line.of == Of::Site(site) && line.figure == figure);
            let Some(line) = line else { continue };
            let held = percent(line.count.held, line.count.intervals);
            let (low, high) = bounds(line.expected_samples);
            let fits = (low..=high).contains(&held);
            good &= fits;
            let _ = write!(text, " {held:.2} %{} |", if fits { "" } else { " (!)" });
        }
        text.push('\n');
    }
    good
}

fn picked(text: &mut String, lines: &[Line]) {
    let _ =
        writeln!(text, "| sites | figure | intervals | hold the truth | truth below them | mean of estimate / truth |");
    let _ = writeln!(text, "|---|---|---:|---:|---:|---:|");
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
