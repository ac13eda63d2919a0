//! The first screen: what ran, how much it holds, at its peak and at the end, who holds it, what was lost.

use jiff::Timestamp;

use crate::model::{EndKind, Measure, Profile};

use super::advice::advice;
use super::json::LostJson;
use super::last_moments::last_moments_lines;
use super::lints::lint_lines;
use super::memory::{agent_row, memory_rows, timelines};
use super::safe::safe;
use super::screen::{Screen, View};
use super::sites::SiteTable;
use super::style::{faint, heading, warning};
use super::units;

/// Frames shown of each stack.
const FRAMES: usize = 3;

/// The whole screen.
pub fn report_text(view: &View<'_>, screen: Screen) -> String {
    let mut text = title(view.profile);
    text.push('\n');
    let last = last_moments_lines(view);
    if !last.is_empty() {
        text.push_str(&last);
        text.push('\n');
    }
    for (name, value) in totals_rows(view) {
        text.push_str(&format!("  {name:<16}{value}\n"));
    }
    text.push_str(&timelines(view.profile));
    text.push('\n');
    text.push_str(&top_sites(view, screen));
    text.push('\n');
    text.push_str(&lint_lines(view));
    text.push_str(&quality(view.profile));
    text.push_str(&view.warning_lines());
    text
}

/// What to look at next, in one line.
pub fn advice_text(view: &View<'_>) -> String {
    format!("{} {}\n", heading("Next:"), advice(view))
}

/// Program, mode, time and end, in two lines.
pub(crate) fn title(profile: &Profile) -> String {
    let header = &profile.header;
    let started = Timestamp::from_nanosecond(i128::from(profile.start_wall_ns));
    let started = started.map(|time| time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()).unwrap_or_default();
    let mode = if profile.is_exact() {
        "every allocation recorded".to_owned()
    } else {
        format!("one sample per {}", units::bytes(profile.interval_bytes()))
    };
    format!(
        "{}  pid {}, {mode}\n{}\n",
        heading(safe(&header.program)),
        header.pid,
        faint(format!(
            "started {started}, {} long, {}; {}",
            units::duration(profile.duration_ns),
            end(profile),
            safe(&profile.path.to_string_lossy())
        ))
    )
}

fn end(profile: &Profile) -> String {
    match profile.end.kind {
        EndKind::Clean => "ended in order".to_owned(),
        EndKind::Truncated => "the file is cut off".to_owned(),
        EndKind::Killed => "the process was killed".to_owned(),
        EndKind::Running => "still running".to_owned(),
        EndKind::Detached => {
            format!("the agent gave up: {}", safe(profile.end.reason.as_deref().unwrap_or("it does not say why")))
        }
    }
}

/// The counters know the peak since the program started, which may have been before they were recorded.
fn peak_moment(at_ns: u64) -> String {
    if at_ns == 0 { "before recording started".to_owned() } else { format!("at {}", units::duration(at_ns)) }
}

fn totals_rows(view: &View<'_>) -> Vec<(&'static str, String)> {
    let summary = view.summary;
    let totals = &summary.totals;
    let blocks = |measure| format!("in {}", units::measured_things(measure, "block"));
    let last = match view.profile.end.kind {
        EndKind::Running => "Live now",
        EndKind::Clean => "Live at the end",
        _ => "Live at last",
    };
    let peak = &summary.peak;
    let mut rows = vec![
        (
            last,
            format!(
                "{} {}{}",
                units::measured_bytes(totals.live_bytes),
                blocks(totals.live_allocations),
                exact(&[totals.live_bytes, totals.live_allocations])
            ),
        ),
        (
            "Peak",
            format!(
                "{} {}{}",
                units::measured_bytes(peak.live_bytes),
                peak_moment(peak.at_ns),
                exact(&[peak.live_bytes])
            ),
        ),
        (
            "Allocated",
            format!(
                "{} in {} allocations, {} of them reallocations",
                units::measured_bytes(totals.bytes),
                units::measured_count(totals.allocations),
                units::measured_count(totals.reallocations)
            ),
        ),
        (
            "Freed",
            format!("{} in {} frees", units::measured_bytes(totals.freed_bytes), units::measured_count(totals.frees)),
        ),
    ];
    let before = u64::try_from(summary.before.live_bytes()).unwrap_or(0);
    // A few bytes of the runtime are no news.
    if before > totals.live_bytes.value / 100 {
        let text = format!(
            "{} of the allocations; {} of their bytes were live then, and are in no site",
            units::count(summary.before.allocations),
            units::bytes(before)
        );
        rows.push(("Before start", text));
    }
    rows.extend(memory_rows(view.profile));
    rows.extend(super::rss::rows(view.profile, view.heap.moment_ns));
    rows.extend(agent_row(view.profile).map(|text| ("Agent", text)));
    rows
}

/// Says so when numbers have no error; those that have one show it.
fn exact(measures: &[Measure]) -> &'static str {
    if measures.iter().all(|measure| measure.is_exact()) { ", exact" } else { "" }
}

fn top_sites(view: &View<'_>, screen: Screen) -> String {
    let ranked = view.ranked();
    let shown = view.top(&ranked);
    if ranked.is_empty() {
        return format!("{}\n", heading(format!("No recorded block was live {}", view.moment())));
    }
    let all = units::things(ranked.len(), view.by.name());
    let count = if shown.len() == ranked.len() { all } else { format!("Top {} of {all}", shown.len()) };
    let whole = view.summary.recorded_live.measure_bytes();
    let mut text =
        format!("{} {}\n", heading(format!("{count}, live {}", view.moment())), faint(format!("({})", view.basis())));
    text.push_str(
        &SiteTable { screen, view, max_frames: FRAMES, raw: view.raw_frames, ages: false, first: 1, whole }
            .render(shown),
    );
    text.push_str(&view.selection_line(&ranked));
    text.push_str(&left_out(view));
    text
}

/// What the filter hides, so that nobody takes the rest for all.
pub(crate) fn left_out(view: &View<'_>) -> String {
    if view.grouping.left_out == 0 {
        return String::new();
    }
    let sites = units::count(view.grouping.left_out as u64);
    format!(
        "{}\n",
        faint(format!("{sites} stacks are left out by --focus or --ignore; totals are of the whole process"))
    )
}

/// How well stacks were walked, and what was lost.
fn quality(profile: &Profile) -> String {
    let unwinding = profile.unwinding();
    let mut text = String::new();
    if unwinding.walks > 0 {
        let complete = units::share(unwinding.complete, unwinding.walks);
        text.push_str(&format!(
            "{} {complete} of {} reached the thread's root ({})\n",
            heading("Stacks:"),
            units::count(unwinding.walks),
            safe(&unwinding.unwinder)
        ));
    }
    text.push_str(&match lost_text(&LostJson::new(profile)) {
        None => format!("{} nothing\n", heading("Lost:")),
        Some(lost) => format!("{} {lost}\n", warning("Lost:")),
    });
    text
}

fn lost_text(lost: &LostJson) -> Option<String> {
    let numbers = [
        (lost.allocations, "allocations"),
        (lost.frees, "frees"),
        (lost.short_stacks, "stacks in part"),
        (lost.unread_records, "records unread"),
        (lost.unread_blocks, "file blocks unread"),
        (lost.missing_blocks, "file blocks missing"),
        (lost.dropped_segments, "segments dropped"),
    ];
    let mut parts: Vec<String> = numbers
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", units::count(*number)))
        .collect();
    if lost.damaged_bytes > 0 {
        parts.push(format!("{} of the file damaged or cut off", units::bytes(lost.damaged_bytes)));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}
