//! The lines that are always there: whose capture, how large, how fast, how near the limit.

use plimsoll_format::Mode;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};

use crate::follow::{Followed, LimitOf, Strip};
use crate::model::Measure;
use crate::present::{safe, units};

use super::app::App;
use super::words::{change, head};

/// Height of the header.
pub(super) const LINES: u16 = 5;

pub(super) fn draw(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let Some(followed) = app.followed() else {
        let line = Line::styled("plimsoll top: waiting for a capture", app.theme.heading());
        frame.render_widget(line, area);
        return;
    };
    let rows: [Rect; LINES as usize] = Layout::vertical([Constraint::Length(1); LINES as usize]).areas(area);
    let lines = [
        title(app, &followed, usize::from(area.width)),
        with_trend(rss(app, &followed), trend(app, &followed, followed.trend.rss_bytes), area.width),
        with_trend(live(app, &followed), trend(app, &followed, followed.trend.live_bytes), area.width),
        rates(app, &followed),
        below(app, &followed, usize::from(area.width)),
    ];
    lines.into_iter().zip(rows).for_each(|(line, row)| frame.render_widget(line, row));
}

fn title(app: &App, followed: &Followed, width: usize) -> Line<'static> {
    let name = match followed.program.as_str() {
        "" => followed.path.to_string_lossy().into_owned(),
        program => format!("{} {}", safe(program), followed.pid),
    };
    let mode = match followed.mode {
        None => String::new(),
        Some(Mode::Exact) => "exact".to_owned(),
        Some(Mode::Sampled) => format!("one sample per {}", units::bytes(followed.interval_bytes)),
    };
    let count = app.picture.captures.len();
    let at = app.picture.captures.iter().position(|other| other.id == followed.id).map_or(1, |at| at + 1);
    let which = if count > 1 { format!("  capture {at} of {count}") } else { String::new() };
    let rest = format!("  {mode}  {}{which}", units::duration(followed.latest.at_ns));
    let state = followed.state.name();
    let room = width.saturating_sub(rest.chars().count() + state.len() + 2);
    Line::from(vec![
        Span::styled(head(&name, room), app.theme.heading()),
        Span::raw("  "),
        Span::styled(state, app.theme.state(followed.state)),
        Span::raw(rest),
    ])
}

/// A strip with the numbers beside it.
fn with_strip(app: &App, name: &'static str, strip: &Strip, peak: String) -> Vec<Span<'static>> {
    let current = strip.current_bytes.map_or_else(|| "–".to_owned(), units::bytes);
    vec![
        Span::styled(format!("{name:<5}"), app.theme.heading()),
        app.theme.strip(strip),
        Span::raw(format!(" {current:>8}  peak {peak}")),
    ]
}

/// Adds what there is room for.
fn with_trend(mut line: Line<'static>, trend: Option<Span<'static>>, width: u16) -> Line<'static> {
    line.spans.extend(trend.filter(|trend| line.width() + trend.width() <= usize::from(width)));
    line
}

/// The change over the last minute, or since there are readings.
fn trend(app: &App, followed: &Followed, bytes: Option<i64>) -> Option<Span<'static>> {
    let seconds = (followed.trend.over_ns + 500_000_000) / 1_000_000_000;
    let text = bytes.filter(|_| seconds > 0).map(|bytes| format!("  {} in {seconds} s", change(bytes)));
    text.map(|text| Span::styled(text, app.theme.faint()))
}

fn rss(app: &App, followed: &Followed) -> Line<'static> {
    let peak = units::bytes(followed.rss.peak_bytes);
    let mut spans = with_strip(app, "RSS", &followed.rss, peak);
    if let Some(limit) = &followed.limit {
        let of = if limit.of == LimitOf::System { "RAM" } else { limit.of.name() };
        let text = format!("  {:.1} % of {} {of}", limit.share() * 100.0, units::bytes(limit.bytes));
        spans.push(Span::styled(text, app.theme.level(followed.level)));
    }
    Line::from(spans)
}

fn live(app: &App, followed: &Followed) -> Line<'static> {
    let peak = followed.latest.peak_bytes().map_or_else(|| "–".to_owned(), units::measured_bytes);
    Line::from(with_strip(app, "live", &followed.live, peak))
}

fn rates(app: &App, followed: &Followed) -> Line<'static> {
    let rates = &followed.rates;
    let value = |measure: Option<Measure>, text: fn(u64) -> String| {
        measure.map_or_else(|| "–".to_owned(), |measure| text(measure.value))
    };
    let percent = |percent: Option<f64>| percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1} %"));
    let text = format!(
        "{}/s ({}/s)  freed {}/s  CPU {}  agent {}",
        value(rates.allocated_bytes_per_s, units::bytes),
        value(rates.allocations_per_s, units::count),
        value(rates.freed_bytes_per_s, units::bytes),
        percent(rates.cpu_percent),
        percent(rates.agent_cpu_percent),
    );
    Line::from(vec![Span::styled("new  ", app.theme.heading()), Span::raw(text)])
}

/// What changed since the mark, or what must not be missed, or the last marker.
fn below(app: &App, followed: &Followed, width: usize) -> Line<'static> {
    if let Some((_, mark)) = app.mark.as_ref().filter(|(id, _)| *id == followed.id) {
        let latest = &followed.latest;
        let since = |now: Option<u64>, then: Option<u64>| {
            let change_of = |now: u64, then: u64| i64::try_from(i128::from(now) - i128::from(then)).unwrap_or(i64::MAX);
            now.zip(then).map_or_else(|| "–".to_owned(), |(now, then)| change(change_of(now, then)))
        };
        let allocated = latest.counters.as_ref().map_or(0, |counters| counters.program_upper.bytes);
        let text = format!(
            "since the mark, {} ago: live {}  RSS {}  allocated {}",
            units::duration(latest.at_ns.saturating_sub(mark.at_ns)),
            since(latest.live_bytes().map(|live| live.value), mark.live_bytes),
            since(latest.rss_bytes(), mark.rss_bytes),
            units::bytes(allocated.saturating_sub(mark.allocated_bytes)),
        );
        return Line::styled(head(&text, width), app.theme.warning());
    }
    let reason = followed.reason.as_ref().map(|reason| format!("detached: {reason}"));
    let lost = (!followed.lost.is_empty()).then(|| "some events were lost or not read: see Losses (8)".to_owned());
    let behind =
        (followed.behind_bytes > 0).then(|| format!("{} are still to be read", units::bytes(followed.behind_bytes)));
    let said = [reason, followed.warnings.first().cloned(), lost, behind].into_iter().flatten().next();
    let marker = followed.markers.last().map(|(at, name)| format!("last marker: {name} at {}", units::duration(*at)));
    match (said, marker) {
        (Some(said), _) => Line::styled(head(&said, width), app.theme.warning()),
        (None, Some(marker)) => Line::styled(head(&marker, width), app.theme.faint()),
        (None, None) => Line::default(),
    }
}
