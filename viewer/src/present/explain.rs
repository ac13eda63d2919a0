//! The evidence for one site's verdict, in words.

use crate::analysis::verdict::{Class, Facts, Growth, Series, Verdict, survival};
use crate::view::Group;

use super::report::title;
use super::safe::safe;
use super::screen::{Screen, View};
use super::sites::SiteTable;
use super::style::{faint, heading};
use super::units;
use super::verdict::{meaning, over_time, rate_text, seconds, why};

/// Frames shown of the stack.
const FRAMES: usize = 12;
/// Columns of the row of bars, one for each bin of time.
const BARS: usize = 64;

/// The whole screen.
pub fn explain_text(view: &View<'_>, group: &Group, screen: Screen) -> String {
    let mut text = title(view.profile);
    let first = 1 + view.ranked_by_verdict().iter().position(|other| std::ptr::eq(*other, group)).unwrap_or(0);
    let whole = view.summary.recorded_live.measure_bytes();
    let table = SiteTable { screen, view, max_frames: FRAMES, raw: view.raw_frames, ages: true, first, whole };
    text.push_str(&format!("\n{}", table.render(&[group])));
    let Some(verdict) = &group.verdict else { return text };
    let series = view.series(group);
    let (class, why) = (verdict.class, why(verdict, view.room));
    text.push_str(&format!("\n{} {} – {}\n  {why}\n", heading("Verdict:"), class.name(), meaning(class)));
    text.push_str(&live(view, &series));
    text.push_str(&ages(view, &series));
    text.push_str(&tests(&series, &verdict.facts));
    text.push_str(&format!("\n{}\n{}", heading("What would change the verdict"), lines(&changes(verdict, &series))));
    text.push_str(&view.warning_lines());
    text
}

fn lines(lines: &[String]) -> String {
    lines.iter().map(|line| format!("  {}\n", safe(line))).collect()
}

/// Blocks or samples, as the capture has them.
fn unit(view: &View<'_>) -> &'static str {
    if view.profile.is_exact() { "block" } else { "sample" }
}

fn live(view: &View<'_>, series: &Series) -> String {
    let most = series.live.iter().copied().fold(0.0, f64::max);
    let (births, survivors) = (series.total_births() as u64, series.total_survivors() as u64);
    let things = |number: u64| units::things(usize::try_from(number).unwrap_or(usize::MAX), unit(view));
    let scale = format!("0 … {} over {}", units::bytes(most as u64), seconds(series.seconds()));
    format!(
        "\n{}\n  {}  {}\n  {} came, {} went, {} live at the end\n",
        heading("Live bytes over time"),
        over_time(series, BARS),
        faint(scale),
        things(births),
        units::count(births.saturating_sub(survivors)),
        units::count(survivors),
    )
}

fn ages(view: &View<'_>, series: &Series) -> String {
    let mut text = format!("\n{}\n", heading("How long its blocks live"));
    for point in survival(series) {
        let at_risk = units::things(point.at_risk as usize, unit(view));
        text.push_str(&format!(
            "  {:>5.1} % live longer than {:<14} {}\n",
            point.share * 100.0,
            seconds(point.age_seconds),
            faint(format!("{at_risk} seen at that age"))
        ));
    }
    text.push_str(&faint(
        "  Blocks that still live count as long as they were seen: nobody knows yet how long they live.\n",
    ));
    text
}

fn tests(series: &Series, facts: &Facts) -> String {
    let mut text = format!("\n{}\n", heading("What was tested"));
    let Some(growth) = facts.growth else {
        text.push_str("  At no age do its blocks stay: old ones go as well, so that there is no growth to test.\n");
        return text;
    };
    let mut line = |passed: bool, sentence: String| {
        text.push_str(&format!("  {:<4}{}\n", if passed { "yes" } else { "no" }, safe(&sentence)));
    };
    let age = seconds(growth.age as f64 * series.bin_seconds);
    let from = seconds(growth.from as f64 * series.bin_seconds);
    line(
        growth.blocks > 0.0,
        format!("blocks come to stay: from {from} on {}, {}", blocks(&growth), rate_text(growth.rate)),
    );
    line(
        growth.gains(),
        format!(
            "it holds more for it: {} more at the end, beside ups and downs of {}",
            units::bytes(growth.net.max(0.0) as u64),
            units::bytes(growth.noise as u64)
        ),
    );
    line(
        facts.log_evidence >= facts.log_threshold,
        format!(
            "blocks older than {age} do not go: evidence {:.1}, needed {:.1} (powers of e)",
            facts.log_evidence, facts.log_threshold
        ),
    );
    let ratio = growth.slowing.ratio;
    let pace = if ratio.is_finite() {
        format!("the second half came at {ratio:.2} of the rate of the first")
    } else {
        "none came in the first half".to_owned()
    };
    line(!growth.decelerates(), format!("growth does not slow down: {pace}"));
    text
}

fn blocks(growth: &Growth) -> String {
    format!("{} with {}", units::things(growth.blocks as usize, "block"), units::bytes(growth.bytes as u64))
}

fn changes(verdict: &Verdict, series: &Series) -> Vec<String> {
    let quarter = seconds(series.seconds() / 4.0);
    let more = verdict.record_for_seconds.map(seconds).unwrap_or_default();
    match verdict.class {
        Class::Leak => vec![
            format!("It would be bounded if it stopped growing for about {quarter}, or if its old blocks began to go."),
            "A cache that fills at a steady rate looks the same until it is full: is there a capacity it has yet to reach?"
                .to_owned(),
        ],
        Class::TooLittleEvidence => vec![
            format!("Record {more} more: when it goes on as it does it is a leak, when it levels off it is bounded."),
        ],
        Class::Bounded | Class::WarmUp => vec![format!(
            "It would be a leak if it grew again and went on: growth from now on shows after about {quarter}."
        )],
        Class::Churn => vec![
            "It would be a leak if some of its blocks stayed: about twenty that do not go, spread over time, are enough."
                .to_owned(),
        ],
        Class::OneShot => vec!["It would be a leak if more such blocks came, again and again.".to_owned()],
    }
}
