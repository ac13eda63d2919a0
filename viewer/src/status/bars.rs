//! One line in the form of each status bar. Every bar gives some characters a meaning of its own: a name must not be able to
//! use them.

use serde_json::{Value, json};

use super::{Status, Usage, colour};

/// Status bars with one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bar {
    /// For people and scripts.
    Plain,
    /// tmux: `#[…]` styles.
    Tmux,
    /// Waybar: a JSON object a line, Pango markup in its texts.
    Waybar,
    /// i3bar and swaybar: JSON in an endless list.
    I3bar,
    /// Polybar: `%{…}` tags.
    Polybar,
}

/// What i3bar reads before the first line; with clicks when they are wanted.
pub fn i3_header(clicks: bool) -> String {
    format!("{{\"version\":1,\"click_events\":{clicks}}}\n[\n")
}

/// Shown when nothing is there to be shown.
const NOTHING: &str = "plimsoll: nothing records";

impl Bar {
    /// The line of one moment, with its end.
    pub fn line(self, status: &Status) -> String {
        let line = match (self, &status.shown) {
            (Bar::Waybar, shown) => waybar(status, shown.as_ref()).to_string(),
            (Bar::I3bar, shown) => format!("[{}],", i3bar(shown.as_ref())),
            (_, None) => NOTHING.to_owned(),
            (Bar::Plain, Some(shown)) => format!("{} {}", text(shown), shown.more()),
            (Bar::Tmux, Some(shown)) => tmux(shown),
            (Bar::Polybar, Some(shown)) => polybar(shown),
        };
        format!("{line}\n")
    }
}

/// `name 12.3 MiB ▁▂▃▄▅▆▇█▇█`.
fn text(shown: &Usage) -> String {
    format!("{} {} {}", shown.name, shown.current(), shown.strip.bars)
}

fn tmux(shown: &Usage) -> String {
    let colour = colour(shown.strip.level);
    let (name, current) = (tmux_text(&shown.name), tmux_text(&shown.current()));
    format!("{name} {current} #[fg={colour}]{}#[default]", shown.strip.bars)
}

/// tmux reads `#` as the begin of a style or a format; two are one.
pub(super) fn tmux_text(text: &str) -> String {
    text.replace('#', "##")
}

fn polybar(shown: &Usage) -> String {
    let colour = colour(shown.strip.level);
    let (name, current) = (polybar_text(&shown.name), polybar_text(&shown.current()));
    format!("{name} {current} %{{F{colour}}}{}%{{F-}}", shown.strip.bars)
}

/// Polybar knows no way to write `%{`, which begins a tag, as text.
fn polybar_text(text: &str) -> String {
    text.replace("%{", "% {")
}

/// Pango's markup, as in HTML.
pub(super) fn pango_text(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '\'' => escaped.push_str("&#39;"),
            '"' => escaped.push_str("&quot;"),
            other => escaped.push(other),
        }
    }
    escaped
}

fn waybar(status: &Status, shown: Option<&Usage>) -> Value {
    let Some(shown) = shown else {
        return json!({ "text": "", "alt": "none", "tooltip": NOTHING, "class": "none", "percentage": 0 });
    };
    let lines: Vec<String> = status.programs.iter().map(|one| pango_text(&detail(one))).collect();
    let level = shown.strip.level.map_or("none", |level| level.name());
    let bars = format!("<span color=\"{}\">{}</span>", colour(shown.strip.level), shown.strip.bars);
    json!({
        "text": format!("{} {} {bars}", pango_text(&shown.name), pango_text(&shown.current())),
        "alt": level,
        "tooltip": lines.join("\n"),
        "class": level,
        "percentage": shown.percent().unwrap_or(0),
    })
}

/// One program in a list.
pub(super) fn detail(one: &Usage) -> String {
    format!("{} {} {} {}", one.title(), one.current(), one.strip.bars, one.more())
}

fn i3bar(shown: Option<&Usage>) -> Value {
    let Some(shown) = shown else {
        return json!({ "name": "plimsoll", "full_text": NOTHING, "short_text": "", "color": colour(None) });
    };
    json!({
        "name": "plimsoll",
        "instance": shown.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        "full_text": text(shown),
        "short_text": shown.current(),
        "color": colour(shown.strip.level),
        "urgent": shown.strip.level == Some(crate::follow::Level::Red),
        "markup": "none",
        "separator": true,
    })
}
