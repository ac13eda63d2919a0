//! Sites, and leaks with their verdicts: lists with a chosen row, and what stands behind it.

use std::cmp::Reverse;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Table, TableState};

use crate::follow::Look;
use crate::present::{Screen, View, explain_text, rate_text, safe, site_place, units};
use crate::view::{Group, GroupBy};

use super::app::{App, Pane, Sort};
use super::draw::note;
use super::words::{head, tail, wrapped};

/// The groups of a list, in its order.
fn listed<'a>(app: &App, view: &View<'a>) -> Vec<&'a Group> {
    let mut groups: Vec<&Group> = match app.pane {
        Pane::Leaks => view.ranked_by_verdict(),
        _ => view.ranked_with_past(),
    };
    groups.retain(|group| app.is_found(group));
    if app.pane == Pane::Sites {
        match app.sort {
            Sort::Live => groups.sort_by_key(|group| Reverse(group.live.estimated_bytes())),
            Sort::Blocks => groups.sort_by_key(|group| Reverse(group.live.estimated_blocks())),
            Sort::AtPeak => groups.sort_by_key(|group| Reverse(group.at_peak.estimated_bytes())),
            Sort::Total => groups.sort_by_key(|group| Reverse(group.total.estimated_bytes())),
            Sort::Name => groups.sort_by(|one, other| one.name.cmp(&other.name)),
        }
    }
    groups
}

pub(super) fn draw(app: &mut App, frame: &mut Frame<'_>, area: Rect) {
    let Some(look) = app.look() else { return note(app, frame, area) };
    let Some(view) = look.view(app.by, 0) else { return };
    let groups = listed(app, &view);
    let cursor = app.cursor(groups.len());
    let chosen = groups.get(cursor).copied();
    if app.pane == Pane::Leaks
        && app.has_details
        && let Some(group) = chosen
    {
        app.scroll = explain(&view, group, app.scroll, frame, area);
        return;
    }
    let details = if app.has_details { (area.height / 2).min(12) } else { 0 };
    let [top, list, below] =
        Layout::vertical([Constraint::Length(1), Constraint::Min(2), Constraint::Length(details)]).areas(area);
    frame.render_widget(Line::styled(title(app, &look, groups.len()), app.theme.faint()), top);
    let (header, widths) = columns(app.pane, area.width);
    let room = usize::from(area.width).saturating_sub(widths.iter().map(|width| usize::from(*width) + 1).sum());
    let rows = groups.iter().map(|group| row(app, &view, group, room, area.width));
    let widths = widths.into_iter().map(Constraint::Length).chain([Constraint::Min(8)]);
    let table = Table::new(rows, widths)
        .header(Row::new(header).style(app.theme.heading()))
        .row_highlight_style(app.theme.chosen());
    frame.render_stateful_widget(table, list, &mut TableState::new().with_selected(cursor));
    if let Some(group) = chosen {
        frame.render_widget(stack(group, below), below);
    }
}

fn title(app: &App, look: &Look, count: usize) -> String {
    let basis = if look.profile.is_exact() { "exact" } else { "estimates with their 95 % interval" };
    let sort = if app.pane == Pane::Leaks { "verdict" } else { app.sort.name() };
    format!("{} by {sort}; {basis}, {} in", units::things(count, app.by.name()), units::duration(look.at_ns))
}

/// Header cells and widths of all columns but the last, which takes the rest.
fn columns(pane: Pane, width: u16) -> (Vec<Text<'static>>, Vec<u16>) {
    let right = |text: &'static str| Text::from(text).right_aligned();
    let (mut header, mut widths) = (vec![right("live")], vec![19]);
    if pane == Pane::Leaks {
        header.push(right("grows"));
        widths.push(18);
    } else {
        header.push(right("blocks"));
        widths.push(10);
        if width >= 100 {
            header.extend([right("at peak"), right("total")]);
            widths.extend([10, 10]);
        }
    }
    header.extend([Text::from("verdict"), Text::from("where")]);
    widths.push(if width >= 100 { 19 } else { 10 });
    (header, widths)
}

fn row<'a>(app: &App, view: &View<'_>, group: &Group, room: usize, width: u16) -> Row<'a> {
    let right = |text: String| Text::from(text).right_aligned();
    let mut cells = vec![right(units::measured_bytes(group.live.measure_bytes()))];
    if app.pane == Pane::Leaks {
        let rate = group.verdict.as_ref().and_then(|verdict| verdict.rate).map(rate_text);
        cells.push(right(rate.unwrap_or_default()));
    } else {
        cells.push(right(units::count(group.live.estimated_blocks())));
        if width >= 100 {
            let bytes = |tally: crate::model::Tally| right(units::bytes(tally.estimated_bytes()));
            cells.extend([bytes(group.at_peak), bytes(group.total)]);
        }
    }
    let verdict = group.verdict.as_ref().filter(|_| !group.live.is_empty());
    let class = verdict.map_or(Span::raw("–"), |verdict| {
        let name = if width >= 100 { verdict.class.name() } else { short(verdict.class.name()) };
        Span::styled(name, app.theme.class(verdict.class))
    });
    cells.push(Text::from(Line::from(class)));
    let place = group.frames.first().filter(|_| view.by == GroupBy::Site).and_then(site_place);
    let place = place.map(|place| format!("  {place}")).filter(|place| place.len() + group.name.len() <= room);
    cells.push(Text::from(format!("{}{}", tail(&group.name, room), place.unwrap_or_default())));
    Row::new(cells)
}

/// A verdict in ten columns.
fn short(name: &'static str) -> &'static str {
    if name == "too-little-evidence" { "too little" } else { name }
}

/// The chosen site's stack.
fn stack(group: &Group, area: Rect) -> Paragraph<'static> {
    let width = usize::from(area.width);
    let frame = |(at, frame): (usize, &crate::symbolize::Frame)| {
        let place = site_place(frame).unwrap_or_default();
        let name = format!("{}{}", if at == 0 { "" } else { "← " }, safe(&frame.name()));
        Line::from(head(&format!("{name}  {place}"), width))
    };
    let lines: Vec<Line<'_>> = group.frames.iter().enumerate().map(frame).collect();
    let title =
        if lines.is_empty() { " no one stack: press g for sites " } else { " its stack, innermost call first " };
    Paragraph::new(lines).block(Block::new().borders(Borders::TOP).title(title))
}

/// The evidence for a verdict, as `plimsoll leaks --explain` has it, from a line on; that line, held to those there are.
fn explain(view: &View<'_>, group: &Group, from: usize, frame: &mut Frame<'_>, area: Rect) -> usize {
    let text = explain_text(view, group, Screen { width: Some(area.width) });
    let plain = anstream::adapter::strip_str(&text).to_string();
    // The first line says whose capture it is, as the screen's does.
    let lines: Vec<String> = plain.lines().skip(2).flat_map(|line| wrapped(line, usize::from(area.width))).collect();
    let from = from.min(lines.len().saturating_sub(usize::from(area.height)));
    let shown = lines.into_iter().skip(from).map(Line::from);
    frame.render_widget(Paragraph::new(shown.collect::<Vec<_>>()), area);
    from
}
