//! Checks in words, the same for terminal, Markdown and JSON.

use std::path::Path;

use super::screen::View;
use super::units;
use super::verdict::seconds;
use crate::analysis::verdict::Class;
use crate::analysis::{Check, Doubt, Figure, Gate, Status};
use crate::model::EndKind;
use crate::view::Group;

/// Slower rates are shown by the hour.
const SLOW: f64 = 1024.0;

/// What was checked, and in which capture.
#[derive(Debug, Clone, Copy)]
pub struct Checked<'a> {
    /// The capture.
    pub view: &'a View<'a>,
    /// Its checks.
    pub checks: &'a [Check],
    /// What it was compared with.
    pub baseline: Option<&'a Path>,
    /// What cannot be told is let pass.
    pub lenient: bool,
}

impl<'a> Checked<'a> {
    /// How many checks came out like this.
    fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    /// Whether the gate is open.
    pub(crate) fn has_passed(&self) -> bool {
        self.count(Status::Failed) == 0 && (self.lenient || self.count(Status::Unknown) == 0)
    }

    /// Whether a check has this status and looks at sites, growth or a regression, as `is` says.
    fn is_open(&self, is: impl Fn(Gate) -> bool) -> bool {
        self.checks.iter().any(|check| check.status != Status::Passed && is(check.gate))
    }

    /// All sites that leak, then those that may, with the most bytes first.
    pub(crate) fn suspects(&self) -> Vec<&'a Group> {
        let suspects = self.view.ranked_by_verdict().into_iter();
        suspects.filter(|group| matches!(class(group), Some(Class::Leak | Class::TooLittleEvidence))).collect()
    }

    /// The suspects that are listed: every leak, and of the others as many as the view shows.
    pub(crate) fn listed(&self) -> Vec<&'a Group> {
        let mut suspects = self.suspects();
        let leaks = suspects.iter().filter(|group| class(group) == Some(Class::Leak)).count();
        suspects.truncate(leaks.max(self.view.top));
        suspects
    }

    /// The commands that show more, one a line.
    pub(crate) fn next_steps(&self) -> Vec<String> {
        let capture = self.view.profile.path.to_string_lossy();
        let mut steps = Vec::new();
        if let Some(base) = self.baseline
            && self.is_open(|gate| matches!(gate, Gate::Regression(_)))
        {
            steps.push(format!("plimsoll diff {} {capture} shows where", base.to_string_lossy()));
        }
        if self.is_open(|gate| matches!(gate, Gate::NoLeak | Gate::GrowthRate)) {
            steps.push(format!("plimsoll leaks {capture} shows the evidence"));
        }
        if self.is_open(|gate| matches!(gate, Gate::Most(Figure::Peak))) {
            steps.push(format!("plimsoll report {capture} --at peak shows what was live then"));
        }
        if self.is_open(|gate| matches!(gate, Gate::Most(Figure::LiveAtEnd))) {
            steps.push(format!("plimsoll report {capture} shows what is live at the end"));
        }
        if self.is_open(|gate| matches!(gate, Gate::Most(Figure::Allocations | Figure::Bytes))) {
            steps.push(format!("plimsoll flamegraph {capture} --of total shows who allocates"));
        }
        steps
    }
}

fn class(group: &Group) -> Option<Class> {
    group.verdict.as_ref().map(|verdict| verdict.class)
}

/// `passed: 3 checks`, `failed: 1 of 3 checks failed, 1 cannot be told`.
pub fn headline(checked: &Checked<'_>) -> String {
    let all = units::things(checked.checks.len(), "check");
    let (failed, unknown) = (checked.count(Status::Failed), checked.count(Status::Unknown));
    let open = match (failed, unknown) {
        (0, 0) => return format!("Passed: {all}"),
        (0, _) => format!("{unknown} of {all} cannot be told"),
        (_, 0) => format!("{failed} of {all} failed"),
        _ => format!("{failed} of {all} failed, {unknown} cannot be told"),
    };
    match (checked.has_passed(), failed) {
        (true, _) => format!("Passed: {open}, which --lenient lets pass"),
        (false, 0) => format!("Not passed: {open}"),
        (false, _) => format!("Failed: {open}"),
    }
}

/// The name of a gate: in JSON, and with dashes in front the option that asks for it.
pub(crate) fn name(gate: Gate) -> &'static str {
    match gate {
        Gate::Most(Figure::Peak) => "max-peak",
        Gate::Most(Figure::LiveAtEnd) => "max-live-at-end",
        Gate::Most(Figure::Allocations) => "max-allocations",
        Gate::Most(Figure::Bytes) => "max-bytes",
        Gate::GrowthRate => "max-growth-rate",
        Gate::NoLeak => "no-leak",
        Gate::Regression(Figure::Peak) => "max-regression-peak",
        Gate::Regression(Figure::LiveAtEnd) => "max-regression-live-at-end",
        Gate::Regression(Figure::Allocations) => "max-regression-allocations",
        Gate::Regression(Figure::Bytes) => "max-regression-bytes",
    }
}

/// What a gate looks at.
pub(crate) fn subject(gate: Gate) -> &'static str {
    match gate {
        Gate::Most(figure) => figure_name(figure),
        Gate::GrowthRate => "growth of leaks",
        Gate::NoLeak => "sites that leak",
        Gate::Regression(Figure::Peak) => "peak, against baseline",
        Gate::Regression(Figure::LiveAtEnd) => "live at the end, against baseline",
        Gate::Regression(Figure::Allocations) => "allocations, against baseline",
        Gate::Regression(Figure::Bytes) => "bytes allocated, against baseline",
    }
}

fn figure_name(figure: Figure) -> &'static str {
    match figure {
        Figure::Peak => "peak",
        Figure::LiveAtEnd => "live at the end",
        Figure::Allocations => "allocations",
        Figure::Bytes => "bytes allocated",
    }
}

/// An amount in a gate's unit; `exactly` to the last digit.
fn amount(check: &Check, amount: f64, exactly: bool) -> String {
    // `as` clamps what is out of range.
    let whole = amount.round() as u64;
    match check.gate {
        Gate::Most(Figure::Allocations) | Gate::NoLeak => units::count(whole),
        Gate::Most(_) if exactly => format!("{} B", units::count(whole)),
        Gate::Most(_) => units::bytes(whole),
        Gate::GrowthRate if check.limit < SLOW => format!("{}/h", units::bytes((amount * 3_600.0).round() as u64)),
        Gate::GrowthRate => format!("{}/s", units::bytes(whole)),
        Gate::Regression(_) if amount.is_infinite() => "more than nothing".to_owned(),
        Gate::Regression(_) => format!("{}{:.2} %", if amount > 0.0 { "+" } else { "" }, amount + 0.0),
    }
}

/// What was found: `12.3 MiB`, `12.0 MiB … 12.6 MiB`, `12.0 MiB or more`.
pub(crate) fn found(check: &Check) -> String {
    let found = &check.found;
    let show = |number| amount(check, number, is_close(check));
    match found.high {
        None if check.gate == Gate::Most(Figure::LiveAtEnd) && found.low == 0.0 => "not known".to_owned(),
        None if matches!(check.gate, Gate::Regression(_)) && found.low == f64::INFINITY => show(found.low),
        None => format!("{} or more", show(found.low)),
        Some(high) if show(high) == show(found.low) => show(found.low),
        Some(high) => format!("{} … {}", show(found.low), show(high)),
    }
}

/// The limit.
pub(crate) fn limit(check: &Check) -> String {
    amount(check, check.limit, is_close(check))
}

/// Whether the limit and an end of the interval read the same in three digits, and are not.
fn is_close(check: &Check) -> bool {
    let same = |end: f64| end != check.limit && amount(check, end, false) == amount(check, check.limit, false);
    same(check.found.low) || check.found.high.is_some_and(same)
}

/// What came out and, where it is not plain, why and what to do.
pub fn sentence(check: &Check) -> String {
    let (subject, found, limit) = (subject(check.gate), found(check), limit(check));
    let said = match check.status {
        Status::Passed => format!("{subject}: {found}, within {limit}"),
        Status::Failed => format!("{subject}: {found}, more than {limit}"),
        Status::Unknown => format!("{subject}: {found}, so whether it is within {limit} cannot be told"),
    };
    let said = match check.compared {
        Some((base, this)) => format!("{said} (baseline {}, now {})", figure(check, base), figure(check, this)),
        None => said,
    };
    match check.doubt {
        None => said,
        Some(doubt) => format!("{said}; {}", because(check, doubt)),
    }
}

fn figure(check: &Check, measure: crate::model::Measure) -> String {
    if check.gate == Gate::Regression(Figure::Allocations) {
        units::measured_count(measure)
    } else {
        units::measured_bytes(measure)
    }
}

fn because(check: &Check, doubt: Doubt) -> String {
    match doubt {
        Doubt::NoEnd(EndKind::Running) => "the program is still recording: check again when it has ended".to_owned(),
        Doubt::NoEnd(EndKind::Detached) => "the agent gave up before the program ended: see the warnings".to_owned(),
        Doubt::NoEnd(_) => "the capture has no orderly end, and what came after it is not known: let the program exit, \
                            or finish the session before it is killed"
            .to_owned(),
        Doubt::NoCounters => "the last reading of the counters is missing: record again, or copy the whole file".to_owned(),
        Doubt::Baseline => "the baseline is not whole: record it again, up to an orderly end".to_owned(),
        Doubt::Lost => "allocations were lost or the session was paused, and a leak may be among them: record without \
                        loss (the warnings say what was lost)"
            .to_owned(),
        Doubt::TooLittleEvidence(sites, more) => {
            let (sites, them) = if sites == 1 { ("1 site has".to_owned(), "it") } else { (format!("{} sites have", units::count(sites as u64)), "them") };
            let more = more.map_or_else(|| "record longer".to_owned(), |more| format!("record {} more", seconds(more)));
            format!("{sites} too little evidence for a verdict: {more} to judge {them}")
        }
        Doubt::Wide if check.gate == Gate::GrowthRate => {
            "the limit lies within the interval: record longer, or sample more often (a smaller interval, or exact mode)".to_owned()
        }
        Doubt::Wide => "the limit lies within the interval: record in exact mode, or end the threads first".to_owned(),
    }
}
