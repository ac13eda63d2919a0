//! The screen as a whole: header, tabs, the pane that is shown, and a line at the bottom.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use crate::present::{safe, units};

use super::app::{App, Pane};
use super::words::head;
use super::{control, header, histogram, losses, processes, sites, threads, time, tree};

/// Keys and what they do.
const HELP: [(&str, &str); 15] = [
    ("1 … 9, Tab", "panes"),
    ("↑ ↓ j k, PgUp PgDn, Home End", "move"),
    ("Enter", "stack, evidence, call, capture: open it"),
    ("Esc", "close it; forget the search"),
    ("/", "search for functions"),
    ("s", "sort sites: live, blocks, peak, total, name"),
    ("g", "group: site, function, crate, type, thread …"),
    ("[ ]", "the capture before, the next one"),
    ("c", "control: have the program start, stop, mark …"),
    ("m", "mark: show changes since now; again: forget"),
    ("p", "pause the view, not what is followed"),
    ("z", "chart: the whole run, or the last samples"),
    ("r", "look at sites and verdicts now"),
    ("← → h l", "close and open calls of the tree"),
    ("q, Ctrl-C", "end"),
];

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>) {
    let [top, tabs, pane, bottom] = Layout::vertical([
        Constraint::Length(header::LINES),
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(control::lines(app, frame.area())),
    ])
    .areas(frame.area());
    header::draw(app, frame, top);
    frame.render_widget(tab_line(app), tabs);
    match app.pane {
        Pane::Sites | Pane::Leaks => sites::draw(app, frame, pane),
        Pane::Tree => tree::draw(app, frame, pane),
        Pane::Sizes => histogram::sizes(app, frame, pane),
        Pane::Lifetimes => histogram::lifetimes(app, frame, pane),
        Pane::Time => time::draw(app, frame, pane),
        Pane::Threads => threads::draw(app, frame, pane),
        Pane::Losses => losses::draw(app, frame, pane),
        Pane::Processes => processes::draw(app, frame, pane),
    }
    if !control::say(app, frame, bottom) {
        frame.render_widget(bottom_line(app, bottom.width), bottom);
    }
    if app.has_help {
        help(app, frame);
    }
    control::draw(app, frame);
}

fn tab_line(app: &App) -> Line<'static> {
    let tab = |(at, pane): (usize, &Pane)| {
        let style = if *pane == app.pane { app.theme.chosen() } else { app.theme.faint() };
        [Span::styled(format!("{} {}", at + 1, pane.name()), style), Span::raw(" ")]
    };
    Line::from_iter(Pane::ALL.iter().enumerate().flat_map(tab))
}

fn bottom_line(app: &App, width: u16) -> Line<'static> {
    if app.is_typing {
        return Line::styled(
            head(&format!("/{}_  Enter keeps it, Esc forgets it", app.search), width.into()),
            app.theme.warning(),
        );
    }
    let mut parts = vec!["? help  q end".to_owned()];
    if app.is_paused {
        parts.push("PAUSED (p goes on)".to_owned());
    }
    if !app.search.is_empty() {
        parts.push(format!("searching for {} (Esc)", safe(&app.search)));
    }
    parts.push(looked(app));
    let style = if app.is_paused { app.theme.warning() } else { app.theme.faint() };
    Line::styled(head(&parts.join("  ·  "), width.into()), style)
}

/// How old sites and verdicts are.
fn looked(app: &App) -> String {
    let Some(followed) = app.followed() else { return String::new() };
    let Some(look) = &followed.look else {
        return match &followed.look_error {
            Some(error) => format!("no sites: {error}"),
            None => "sites are being looked at".to_owned(),
        };
    };
    let age = app.picture.at.and_then(|at| at.duration_since(look.at).ok()).unwrap_or_default();
    let whole_seconds = std::time::Duration::from_secs(age.as_secs());
    let short = |time: std::time::Duration| units::duration(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
    match whole_seconds.is_zero() {
        true => format!("sites as of now (took {})", short(look.took)),
        false => format!("sites are {} old (took {})", short(whole_seconds), short(look.took)),
    }
}

/// What stands in a pane that needs a look and has none.
pub(super) fn note(app: &App, frame: &mut Frame<'_>, area: Rect) {
    let text = match app.followed() {
        None => waiting(app),
        Some(followed) if followed.pid == 0 => followed.warnings.join("\n"),
        Some(followed) => match &followed.look_error {
            Some(error) => format!("Sites cannot be shown: {error}"),
            None => "Sites and verdicts come as soon as all events are read.".to_owned(),
        },
    };
    let lines: Vec<Line<'_>> = text.lines().map(|line| Line::from(safe(line).into_owned())).collect();
    frame.render_widget(Paragraph::new(lines).wrap(Wrap { trim: false }), area);
}

fn waiting(app: &App) -> String {
    match app.picture.warnings.as_slice() {
        [] => "No process records. Start one with PLIMSOLL_OUTPUT=FILE, or name a capture, a directory or a process: \
               plimsoll top CAPTURE|DIR|PID"
            .to_owned(),
        warnings => warnings.join("\n"),
    }
}

fn help(app: &App, frame: &mut Frame<'_>) {
    let area = frame.area();
    let area = area.centered(Constraint::Max(78), Constraint::Max(HELP.len() as u16 + 2));
    let line = |(keys, does): &(&'static str, &'static str)| {
        Line::from(vec![Span::styled(format!(" {keys:<31}"), app.theme.heading()), Span::raw(*does)])
    };
    let lines: Vec<Line<'_>> = HELP.iter().map(line).collect();
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(" keys: any key closes this ")), area);
}
