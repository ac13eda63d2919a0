//! Colours and lines of the screen; without colours where the user wants none.

use ratatui::style::{Color, Modifier, Style};
use ratatui::text::Span;

use crate::analysis::verdict::Class;
use crate::follow::{Level, State, Strip};

/// How things look.
#[derive(Debug, Clone, Copy)]
pub(super) struct Theme {
    /// Colours may be used.
    pub(super) colour: bool,
}

impl Theme {
    fn in_colour(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    /// The title of a part.
    pub(super) fn heading(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What is read last.
    pub(super) fn faint(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    /// The chosen row.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }

    /// What must not be missed.
    pub(super) fn warning(self) -> Style {
        self.in_colour(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// The resident set, in charts.
    pub(super) fn rss(self) -> Style {
        self.in_colour(Color::Cyan)
    }

    /// Live bytes, in charts.
    pub(super) fn live(self) -> Style {
        self.in_colour(Color::Green)
    }

    /// The limit, in charts.
    pub(super) fn limit(self) -> Style {
        self.in_colour(Color::Red)
    }

    /// A level.
    pub(super) fn level(self, level: Option<Level>) -> Style {
        match level {
            Some(Level::Red) => self.in_colour(Color::Red).add_modifier(Modifier::BOLD),
            Some(Level::Yellow) => self.in_colour(Color::Yellow),
            Some(Level::Green) => self.in_colour(Color::Green),
            None => Style::new(),
        }
    }

    /// What a process is doing.
    pub(super) fn state(self, state: State) -> Style {
        match state {
            State::Running => self.in_colour(Color::Green),
            State::Waiting | State::Paused | State::Ended => Style::new(),
            State::Killed | State::Detached | State::Truncated => {
                self.in_colour(Color::Red).add_modifier(Modifier::BOLD)
            }
        }
    }

    /// A verdict.
    pub(super) fn class(self, class: Class) -> Style {
        match class {
            Class::Leak => self.in_colour(Color::Red).add_modifier(Modifier::BOLD),
            Class::TooLittleEvidence => self.in_colour(Color::Yellow),
            _ => Style::new(),
        }
    }

    /// The ten bars.
    pub(super) fn strip(self, strip: &Strip) -> Span<'static> {
        Span::styled(strip.bars.clone(), self.level(strip.level))
    }
}
