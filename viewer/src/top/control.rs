//! What `plimsoll ctl` asks of a program, by keys: a list of actions, a line for a name or an interval, what came of it.

use plimsoll_format::control::{MAX_NAME_BYTES, Request, StartOptions};
use ratatui::Frame;
use ratatui::crossterm::event::KeyCode;
use ratatui::layout::{Constraint, Rect};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Block, Clear, Paragraph};

use crate::cli::Size;
use crate::follow::Followed;
use crate::present::safe;

use super::app::{App, Flow};
use super::words::{head, wrapped};

/// Lines that an answer may take.
const MAX_LINES: usize = 3;

/// Whom a command goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whom {
    /// The process of a capture.
    Capture {
        /// The capture.
        id: String,
        /// Its process.
        pid: u32,
        /// Its program. Hostile.
        program: String,
    },
    /// The one program that listens for control.
    TheOne,
}

impl Whom {
    fn name(&self) -> String {
        match self {
            Whom::Capture { pid, program, .. } => format!("{} {pid}", safe(program)),
            Whom::TheOne => "the program that listens".to_owned(),
        }
    }
}

/// What a program can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Status,
    Start,
    Stop,
    Pause,
    Resume,
    Interval,
    Mark,
    Snapshot,
    Flush,
    Purge,
}

/// Its key, its name and what it does.
const ACTIONS: [(char, Action, &str, &str); 10] = [
    ('?', Action::Status, "status", "what it records, and where"),
    ('s', Action::Start, "start", "record into a new capture"),
    ('x', Action::Stop, "stop", "end the capture"),
    ('p', Action::Pause, "pause", "stop recording allocations"),
    ('r', Action::Resume, "resume", "go on recording them"),
    ('i', Action::Interval, "interval", "change the bytes between samples"),
    ('m', Action::Mark, "mark", "name this moment"),
    ('n', Action::Snapshot, "snapshot", "name it, and write all that is known"),
    ('f', Action::Flush, "flush", "write what was recorded so far"),
    ('g', Action::Purge, "purge", "give unused memory back to the system"),
];

impl Action {
    fn name(self) -> &'static str {
        ACTIONS.iter().find(|action| action.1 == self).map_or("", |action| action.2)
    }

    /// What is typed for it.
    fn wants(self) -> Option<&'static str> {
        match self {
            Action::Interval => Some("bytes between samples, such as 64KiB"),
            Action::Mark => Some("name of this moment"),
            _ => None,
        }
    }

    fn request(self, typed: &str) -> Result<Request, String> {
        Ok(match self {
            Action::Status => Request::Status,
            Action::Start => Request::Start(StartOptions::default()),
            Action::Stop => Request::Stop,
            Action::Pause => Request::Pause,
            Action::Resume => Request::Resume,
            Action::Interval => Request::Interval { bytes: typed.parse::<Size>()?.0 },
            Action::Mark if typed.trim().is_empty() => return Err("expected a name for the moment".to_owned()),
            Action::Mark => Request::Mark { name: typed.trim().to_owned() },
            Action::Snapshot => Request::Snapshot { name: None },
            Action::Flush => Request::Flush,
            Action::Purge => Request::Purge,
        })
    }
}

#[derive(Debug, Default)]
enum Stage {
    #[default]
    Closed,
    Choosing(Whom),
    Typing(Whom, Action, String),
}

/// What is chosen, asked and answered.
#[derive(Debug, Default)]
pub(super) struct Controls {
    stage: Stage,
    /// What the next flow asks.
    next: Option<(Whom, Request)>,
    /// What is asked now, and of whom.
    asking: Option<(Action, Whom)>,
    /// Whom the last command went to: after a stop there may be no capture of it.
    last: Option<Whom>,
    /// What came of it.
    said: Option<Result<String, String>>,
}

impl Controls {
    /// Shows what the program of a capture can be asked; without one that which was asked last, else the one that listens.
    pub(super) fn open(&mut self, followed: Option<&Followed>) {
        if let Some((action, whom)) = &self.asking {
            let text = format!("{} has not answered to {} yet", whom.name(), action.name());
            self.said = Some(Err(text));
            return;
        }
        let capture = |followed: &Followed| Whom::Capture {
            id: followed.id.clone(),
            pid: followed.pid,
            program: followed.program.clone(),
        };
        let known = followed.filter(|followed| followed.pid != 0).map(capture).or_else(|| self.last.clone());
        self.stage = Stage::Choosing(known.unwrap_or(Whom::TheOne));
    }

    /// Takes a key; false when it is for the rest of the screen.
    pub(super) fn take(&mut self, code: KeyCode) -> bool {
        self.said = None;
        match std::mem::take(&mut self.stage) {
            Stage::Closed => return false,
            Stage::Choosing(whom) => {
                let chosen = ACTIONS.iter().find(|action| code == KeyCode::Char(action.0)).map(|action| action.1);
                match chosen {
                    Some(action) if action.wants().is_some() => {
                        self.stage = Stage::Typing(whom, action, String::new());
                    }
                    Some(action) => self.begin(whom, action, ""),
                    None => {}
                }
            }
            Stage::Typing(whom, action, mut typed) => {
                match code {
                    KeyCode::Enter => {
                        self.begin(whom, action, &typed);
                        return true;
                    }
                    KeyCode::Esc => return true,
                    KeyCode::Char(character) if typed.len() + character.len_utf8() <= MAX_NAME_BYTES => {
                        typed.push(character);
                    }
                    KeyCode::Backspace => drop(typed.pop()),
                    _ => {}
                }
                self.stage = Stage::Typing(whom, action, typed);
            }
        }
        true
    }

    fn begin(&mut self, whom: Whom, action: Action, typed: &str) {
        match action.request(typed) {
            Ok(request) => {
                self.next = Some((whom.clone(), request));
                self.asking = Some((action, whom));
            }
            Err(why) => self.said = Some(Err(format!("{}: {why}", action.name()))),
        }
    }

    /// What the last key asks of the caller.
    pub(super) fn flow(&mut self) -> Flow {
        self.next.take().map_or(Flow::Go, |(whom, request)| Flow::Ask(whom, request))
    }

    pub(super) fn answered(&mut self, came: Result<String, String>) {
        let Some((action, whom)) = self.asking.take() else { return };
        self.said = Some(match came {
            Ok(text) => Ok(format!("{} of {}: {text}", action.name(), whom.name())),
            Err(why) => Err(format!("{} of {} failed: {why}", action.name(), whom.name())),
        });
        self.last = Some(whom);
    }
}

/// What stands at the bottom instead of the keys.
fn said(app: &App, width: u16) -> Option<Text<'static>> {
    let controls = &app.controls;
    if let Stage::Typing(_, action, typed) = &controls.stage {
        // The end of it is what is being typed.
        let typed: String = typed.chars().rev().take(usize::from(width / 3)).collect();
        let typed: String = typed.chars().rev().collect();
        let wants = action.wants().unwrap_or_default();
        let line = format!("{}: {}_  {wants}; Enter sends it, Esc forgets it", action.name(), safe(&typed));
        return Some(Text::styled(head(&line, width.into()), app.theme.warning()));
    }
    let (text, style) = match (&controls.said, &controls.asking) {
        (Some(Ok(text)), _) => (text.clone(), app.theme.heading()),
        (Some(Err(text)), _) => (text.clone(), app.theme.warning()),
        (None, Some((action, whom))) => (format!("{}: {} is asked …", action.name(), whom.name()), app.theme.faint()),
        (None, None) => return None,
    };
    let mut lines = wrapped(&safe(&text), width.into());
    if lines.len() > MAX_LINES {
        lines.truncate(MAX_LINES);
        lines.last_mut().and_then(String::pop).into_iter().for_each(drop);
        lines.last_mut().into_iter().for_each(|line| line.push('…'));
    }
    Some(lines.into_iter().map(|line| Line::styled(line, style)).collect())
}

/// Lines at the bottom of the screen.
pub(super) fn lines(app: &App, area: Rect) -> u16 {
    said(app, area.width).map_or(1, |text| u16::try_from(text.lines.len()).unwrap_or(1))
}

/// Draws what was asked or answered; false when there is nothing.
pub(super) fn say(app: &App, frame: &mut Frame<'_>, area: Rect) -> bool {
    let text = said(app, area.width);
    let has_said = text.is_some();
    text.into_iter().for_each(|text| frame.render_widget(text, area));
    has_said
}

/// The list of actions, while it is open.
pub(super) fn draw(app: &App, frame: &mut Frame<'_>) {
    let Stage::Choosing(whom) = &app.controls.stage else { return };
    let area = frame.area().centered(Constraint::Max(60), Constraint::Max(ACTIONS.len() as u16 + 2));
    let line = |(key, _, name, does): &(char, Action, &'static str, &'static str)| {
        Line::from(vec![Span::styled(format!(" {key}  {name:<10}"), app.theme.heading()), Span::raw(*does)])
    };
    let lines: Vec<Line<'_>> = ACTIONS.iter().map(line).collect();
    let title =
        format!(" {}: another key closes this ", head(&whom.name(), usize::from(area.width).saturating_sub(31)));
    frame.render_widget(Clear, area);
    frame.render_widget(Paragraph::new(lines).block(Block::bordered().title(title)), area);
}
