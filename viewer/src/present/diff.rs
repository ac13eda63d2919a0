//! What changed, as a screen and as Markdown.

use comfy_table::{Cell, Table, presets};

use crate::analysis::{Change, Changes, Difference, FALSE_ALARMS};
use crate::model::{Measure, Profile, Tally};
use crate::view::{Group, GroupBy};

use super::markdown::plain;
use super::report::title;
use super::safe::safe;
use super::screen::{Screen, View, period};
use super::sites::place;
use super::style::{faint, heading, warning};
use super::units;

/// Frames shown of each stack.
const FRAMES: usize = 4;
/// Stacks begin here.
const INDENT: &str = "      ";

/// What is compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, clap::ValueEnum)]
pub enum DiffOf {
    /// Bytes live at the end, or at the moment given with --at
    #[default]
    Live,
    /// Bytes live at the peak of each process
    Peak,
    /// All bytes ever allocated
    Total,
}

impl DiffOf {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            DiffOf::Live => "live",
            DiffOf::Peak => "peak",
            DiffOf::Total => "total",
        }
    }

    /// The figure of a group.
    pub fn figure(self, group: &Group) -> Tally {
        match self {
            DiffOf::Live => group.live,
            DiffOf::Peak => group.at_peak,
            DiffOf::Total => group.total,
        }
    }
}

/// Two captures, or moments of one, and what changed.
#[derive(Debug, Clone, Copy)]
pub struct Comparison<'a> {
    /// The first.
    pub before: View<'a>,
    /// The second.
    pub after: View<'a>,
    /// What is compared.
    pub of: DiffOf,
    /// Both are moments of one capture.
    pub of_moments: bool,
    /// The changes.
    pub changes: &'a Changes,
    /// Those are shown too that sampling may explain.
    pub all: bool,
}

impl<'a> Comparison<'a> {
    /// The changes that may be shown.
    pub fn told(&self) -> &'a [Change] {
        if self.all { &self.changes.changes } else { self.changes.real() }
    }

    /// The first of these, as many as are to be shown.
    pub fn shown(&self) -> &'a [Change] {
        let told = self.told();
        let number = if self.after.top == 0 { told.len() } else { self.after.top.min(told.len()) };
        told.get(..number).unwrap_or(told)
    }

    /// What is compared, in words.
    pub(crate) fn what(&self) -> String {
        match self.of {
            DiffOf::Live if self.of_moments => {
                format!("bytes live {} and {}", self.before.moment(), self.after.moment())
            }
            DiffOf::Live => format!("bytes live {}", self.after.moment()),
            DiffOf::Peak => format!("bytes live at the peak{}", period(self.after.heap)),
            DiffOf::Total => format!("bytes allocated{}", period(self.after.heap)),
        }
    }

    /// How many changed, and how sure that is.
    pub(crate) fn result(&self) -> String {
        let all = units::things(self.changes.changes.len(), self.after.by.name());
        let real = units::count(self.changes.real().len() as u64);
        match self.changes.threshold {
            None => format!("{real} of {all} changed (exact)"),
            Some(_) => format!("{real} of {all} changed by more than sampling explains"),
        }
    }

    /// What that does not say; `None` where nothing was sampled.
    pub(crate) fn doubt(&self) -> Option<String> {
        self.changes.threshold?;
        let alarms = format!("false alarms: in at most {:.0} of 100 comparisons", FALSE_ALARMS * 100.0);
        if self.changes.real().len() == self.changes.changes.len() {
            return Some(alarms);
        }
        Some(match self.changes.hidden() {
            Some(bytes) => format!("{alarms}; changes up to {} could hide in the others", units::bytes(bytes)),
            None => format!("{alarms}; what could hide in the others has no bound, since events were lost"),
        })
    }

    /// What makes the comparison lame, one sentence each.
    pub fn cautions(&self) -> Vec<String> {
        let (before, after) = (self.before.profile, self.after.profile);
        let mut cautions = Vec::new();
        if before.header.program != after.header.program {
            cautions.push(format!(
                "the programs have different names: {} and {}",
                before.header.program, after.header.program
            ));
        }
        let interval = |profile: &Profile| match profile.is_exact() {
            true => "exact".to_owned(),
            false => format!("one sample per {}", units::bytes(profile.interval_bytes())),
        };
        if before.interval_bytes() != after.interval_bytes() {
            cautions.push(format!(
                "recorded in different ways ({}, {}): smaller changes could be told if both were the same",
                interval(before),
                interval(after)
            ));
        }
        let longest = before.duration_ns.max(after.duration_ns) as f64;
        let is_whole = self.before.heap.options.is_whole() && self.after.heap.options.is_whole();
        if is_whole && before.duration_ns.abs_diff(after.duration_ns) as f64 > longest / 10.0 {
            cautions.push(format!(
                "one lasts {}, the other {}: --to compares both up to the same time",
                units::duration(before.duration_ns),
                units::duration(after.duration_ns)
            ));
        }
        cautions
    }

    /// Totals of both processes; those of one are the same at both moments.
    fn totals(&self) -> Vec<[String; 4]> {
        let (before, after) = (self.before.summary, self.after.summary);
        let bytes = |name: &str, one: Measure, other: Measure| {
            [
                name.to_owned(),
                units::measured_bytes(one),
                units::measured_bytes(other),
                units::growth(one.value, other.value),
            ]
        };
        let count = |name: &str, one: Measure, other: Measure| {
            [
                name.to_owned(),
                units::measured_count(one),
                units::measured_count(other),
                units::growth(one.value, other.value),
            ]
        };
        if self.of_moments {
            let live = |view: &View<'_>| view.live().measure_bytes();
            return vec![bytes("Live in sites", live(&self.before), live(&self.after))];
        }
        vec![
            bytes("Live at the end", before.totals.live_bytes, after.totals.live_bytes),
            bytes("Peak", before.peak.live_bytes, after.peak.live_bytes),
            bytes("Allocated", before.totals.bytes, after.totals.bytes),
            count("Allocations", before.totals.allocations, after.totals.allocations),
        ]
    }

    /// The words of a row of changes.
    fn row(&self, change: &Change) -> [String; 3] {
        let figure = |tally: &Tally| {
            if tally.is_empty() { "–".to_owned() } else { units::measured_bytes(tally.measure_bytes()) }
        };
        let bytes = units::difference_bytes(&change.bytes);
        [
            // Of the same bytes in another number of blocks the number is the news.
            if change.bytes == Difference::NONE {
                format!("{} blocks", units::difference_count(&change.blocks))
            } else {
                bytes
            },
            figure(&change.pair.before),
            figure(&change.pair.after),
        ]
    }

    fn warnings(&self) -> Vec<String> {
        let of = |view: &View<'_>, name: &str| -> Vec<String> {
            let named = |text: &String| if self.of_moments { text.clone() } else { format!("{name}: {text}") };
            view.warnings.iter().map(named).collect()
        };
        let before = if self.of_moments { Vec::new() } else { of(&self.before, "before") };
        [self.cautions(), before, of(&self.after, "after")].concat()
    }

    fn header(&self) -> [&'static str; 5] {
        let by = self.after.by;
        ["#", "change", "before", "after", if by == GroupBy::Site { "where" } else { by.name() }]
    }
}

/// The whole screen.
pub fn diff_text(comparison: &Comparison<'_>, screen: Screen) -> String {
    let mut text = String::new();
    if !comparison.of_moments {
        text.push_str(&format!("{} {}", faint("before"), title(comparison.before.profile)));
        text.push_str(&format!("{}  ", faint("after")));
    }
    text.push_str(&title(comparison.after.profile));
    text.push('\n');
    let mut totals = Screen::table(&[1, 2, 3]);
    totals.set_header(["", "before", "after", "change"]);
    comparison.totals().into_iter().for_each(|row| _ = totals.add_row(row));
    totals.lines().for_each(|line| text.push_str(&format!(" {}\n", line.trim_end())));
    text.push_str(&format!("\n{}\n{}\n", heading(format!("Change of {}", comparison.what())), comparison.result()));
    text.extend(comparison.doubt().map(|doubt| format!("{}\n", faint(doubt))));
    text.push_str(&table(comparison, screen));
    let (shown, told) = (comparison.shown().len(), comparison.told().len());
    if shown < told {
        text.push_str(&format!("{}\n", faint(format!("{} more; --top 0 shows all", told - shown))));
    }
    let line = |text: &String| format!("{} {}\n", warning("warning:"), safe(text));
    text.extend(comparison.warnings().iter().map(line));
    text
}

/// The changes; below each row its stack.
fn table(comparison: &Comparison<'_>, screen: Screen) -> String {
    if comparison.shown().is_empty() {
        return String::new();
    }
    let mut table = Screen::table(&[0, 1, 2, 3]);
    table.set_header(comparison.header());
    for (at, change) in comparison.shown().iter().enumerate() {
        let [difference, before, after] = comparison.row(change);
        let name = safe(&change.pair.name).into_owned();
        table.add_row([Cell::new(at + 1), Cell::new(difference), Cell::new(before), Cell::new(after), Cell::new(name)]);
    }
    let mut text = "\n".to_owned();
    let stacks = std::iter::once(Vec::new()).chain(comparison.shown().iter().map(|change| stack(change, screen)));
    for (row, stack) in table.lines().zip(stacks) {
        text.push_str(&format!("{}\n", screen.fit(row.trim_end(), "")));
        stack.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    }
    text
}

fn stack(change: &Change, screen: Screen) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(p_value) = change.p_value.filter(|_| !change.is_real) {
        let cases = match p_value {
            0.1.. => format!("{:.0} % of cases", p_value * 100.0),
            _ => format!("1 of {} cases", units::count((1.0 / p_value) as u64)),
        };
        lines.push(faint(format!("{INDENT}may be chance: sampling alone does as much in {cases}")));
    }
    let Some((leaf, callers)) = change.pair.frames.split_first() else { return lines };
    lines.extend(place(leaf).map(|place| format!("{INDENT}  {place}")));
    for caller in callers.iter().take(FRAMES - 1) {
        let place = place(caller).map(|place| format!("  {place}")).unwrap_or_default();
        lines.push(screen.fit(&format!("{INDENT}← {}", safe(&caller.name())), &place));
    }
    lines
}

/// For a comment on a pull request.
pub fn diff_markdown(comparison: &Comparison<'_>) -> String {
    let mut totals = markdown_table();
    totals.set_header(["", "before", "after", "change"]);
    comparison.totals().into_iter().for_each(|row| _ = totals.add_row(row));
    let program = plain(&comparison.after.profile.header.program);
    let mut text =
        format!("### Heap of {program}: change of {}\n\n{totals}\n\n{}\n", comparison.what(), comparison.result());
    text.extend(comparison.doubt().map(|doubt| format!("({doubt})\n")));
    if !comparison.shown().is_empty() {
        let mut table = markdown_table();
        table.set_header(comparison.header());
        for (at, change) in comparison.shown().iter().enumerate() {
            let [difference, before, after] = comparison.row(change);
            let place = change.pair.frames.first().and_then(place).map(|place| format!(" {}", plain(&place)));
            let name = format!("{}{}", plain(&change.pair.name), place.unwrap_or_default());
            table.add_row([(at + 1).to_string(), difference, before, after, name]);
        }
        text.push_str(&format!("\n{table}\n"));
    }
    let (shown, told) = (comparison.shown().len(), comparison.told().len());
    if shown < told {
        text.push_str(&format!("\n{} more.\n", told - shown));
    }
    let warnings = comparison.warnings();
    text.extend(warnings.iter().map(|text| format!("\n> {}\n", plain(text))));
    text
}

fn markdown_table() -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table
}
