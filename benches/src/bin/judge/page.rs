//! What is printed of all runs: the matrix of truth and verdict per mode, who was misjudged, and the rates.

use std::collections::BTreeMap;
use std::fmt::Write;

use plimsoll_benches::judged::{CLASSES, Class};

use super::outcome::{self, Outcome};
use super::row::{Mode, Row};

/// The page.
pub(crate) fn page(rows: &[Row]) -> String {
    let mut text = String::new();
    for mode in [Mode::Exact, Mode::Sampled] {
        let of_mode: Vec<&Row> = rows.iter().filter(|row| row.mode == mode).collect();
        if !of_mode.is_empty() {
            text.push_str(&matrix(mode, &of_mode));
            text.push_str(&rates(&of_mode));
        }
    }
    text.push_str(&misjudged(rows));
    text
}

/// Truths that missed the aim.
pub(crate) fn failures(rows: &[Row]) -> usize {
    rows.iter().flat_map(outcome::of_row).filter(|(_, outcome)| outcome.fails()).count()
}

/// The line of a matrix that a truth belongs to.
fn line(site: &plimsoll_benches::judged::told::ToldSite, interval_bytes: u64) -> (u8, String) {
    let name = site.class.name();
    let order = CLASSES.iter().position(|class| *class == site.class).unwrap_or(0) as u8;
    match (site.is_straight(interval_bytes), outcome::is_due(site, interval_bytes)) {
        (true, _) => (4 * order + 2, format!("{name}, still a straight line")),
        (false, true) => (4 * order, name.to_owned()),
        (false, false) if site.class == Class::Leak => (4 * order + 1, format!("{name}, small or young")),
        (false, false) => (4 * order + 1, format!("{name}, small or short")),
    }
}

fn matrix(mode: Mode, rows: &[&Row]) -> String {
    let mut lines: BTreeMap<(u8, String), BTreeMap<Option<Class>, u32>> = BTreeMap::new();
    for row in rows {
        for (site, verdicts) in row.told.sites.iter().zip(&row.verdicts) {
            let line = lines.entry(line(site, row.interval_bytes)).or_default();
            *line.entry(verdicts.main).or_default() += 1;
        }
        let others = lines.entry((u8::MAX, "all other sites, healthy".to_owned())).or_default();
        row.others.iter().for_each(|(class, number)| *others.entry(Some(*class)).or_default() += number);
    }
    let columns: Vec<Option<Class>> = CLASSES.into_iter().map(Some).chain([None]).collect();
    let mut text = format!("\n{} mode, {} runs:\n\n| truth |", mode.name(), rows.len());
    for class in &columns {
        let _ = write!(text, " {} |", class.map_or("nothing live", Class::name));
    }
    let _ = write!(text, "\n|---|{}\n", "---:|".repeat(columns.len()));
    for ((_, name), counts) in lines {
        let _ = write!(text, "| {name} |");
        for class in &columns {
            let _ = write!(text, " {} |", counts.get(class).copied().unwrap_or(0));
        }
        text.push('\n');
    }
    text
}

/// How many of the rates' intervals hold the truth, and how wide they are.
fn rates(rows: &[&Row]) -> String {
    let mut by_program: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
    let mut widths = Vec::new();
    for row in rows {
        for (site, verdicts) in row.told.sites.iter().zip(&row.verdicts) {
            let found = site.class == Class::Leak && !site.late && verdicts.main == Some(Class::Leak);
            if let Some(rate) = verdicts.rate.filter(|_| found) {
                let (held, all) = by_program.entry(&row.told.program).or_default();
                *held += u32::from(rate.holds(site.leak_bytes_per_s));
                *all += 1;
                widths.extend(rate.high.map(|high| (high - rate.low) / 2.0 / site.leak_bytes_per_s));
            }
        }
    }
    widths.sort_by(f64::total_cmp);
    let (held, all) = by_program.values().fold((0, 0), |(held, all), one| (held + one.0, all + one.1));
    let Some(width) = widths.get(widths.len() / 2) else { return String::new() };
    let mut text = format!(
        "\nRates of leaks that were found and go on from the start: {held} of {all} intervals hold the truth; half of them are narrower than ±{:.1} %.",
        width * 100.0
    );
    let short: Vec<String> = by_program
        .iter()
        .filter(|(_, (held, all))| held < all)
        .map(|(name, (held, all))| format!("{name} {held} of {all}"))
        .collect();
    let _ = writeln!(text, " Not all hold it: {}.", if short.is_empty() { "none".into() } else { short.join(", ") });
    text
}

/// Everything that was not right or modest, the worst last; equal ones in one line.
fn misjudged(rows: &[Row]) -> String {
    let mut found: BTreeMap<(Outcome, String), (u32, u32, String)> = BTreeMap::new();
    for row in rows {
        let named = row.told.sites.iter().zip(&row.verdicts);
        let said: BTreeMap<&str, Option<Class>> =
            named.map(|(site, verdicts)| (site.function.as_str(), verdicts.main)).collect();
        for (site, outcome) in outcome::of_row(row) {
            let said = said.get(site.as_str()).copied().flatten().map_or("nothing", Class::name);
            let said = if outcome == Outcome::Accused { "leak" } else { said };
            let key =
                format!("{}, {} steps, {}: {site} is called {said}", row.told.program, row.told.steps, row.mode.name());
            let entry = found.entry((outcome, key)).or_default();
            entry.0 += 1;
            let _ = write!(entry.2, " {}", row.told.seed);
        }
    }
    let mut text = String::new();
    let listed = [
        (Outcome::Missed, "Leaks missed"),
        (Outcome::Accused, "Healthy sites accused"),
        (Outcome::Unsure, "Too little evidence where there was enough"),
        (Outcome::OtherClass, "Healthy, of another class (does not count)"),
        (Outcome::Overlooked, "Leaks too small or young to be due, called healthy (does not count)"),
        (Outcome::Blind, "Straight lines that cannot be told apart (does not count)"),
    ];
    for (outcome, title) in listed {
        let of_outcome: Vec<_> = found.iter().filter(|((found, _), _)| *found == outcome).collect();
        let number: u32 = of_outcome.iter().map(|(_, (number, _, _))| number).sum();
        let _ = write!(text, "\n{title}: {number}\n");
        for ((_, what), (number, _, seeds)) in of_outcome {
            let _ = writeln!(text, "- {what} ({number} times; seeds{seeds})");
        }
    }
    text
}
