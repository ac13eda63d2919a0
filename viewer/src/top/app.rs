//! What the terminal shows and how keys change it. Nothing here reads a file or a terminal: pictures and keys come in, a
//! frame goes out.

use std::collections::HashSet;
use std::sync::Arc;

use ratatui::Frame;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use plimsoll_format::control::Request;

use crate::follow::{Followed, Look, Picture};
use crate::view::{Group, GroupBy};

use super::control::{Controls, Whom};
use super::draw;
use super::theme::Theme;
use super::tree::Tree;

/// What a key asks of the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flow {
    /// To go on.
    Go,
    /// To end.
    Quit,
    /// To look at a capture before its turn.
    Want(String),
    /// To ask a program something, and to give the answer to [`App::answered`].
    Ask(Whom, Request),
}

/// A part of the screen that is shown alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Pane {
    Sites,
    Tree,
    Sizes,
    Lifetimes,
    Time,
    Leaks,
    Threads,
    Losses,
    Processes,
}

impl Pane {
    pub(super) const ALL: [Pane; 9] = [
        Pane::Sites,
        Pane::Tree,
        Pane::Sizes,
        Pane::Lifetimes,
        Pane::Time,
        Pane::Leaks,
        Pane::Threads,
        Pane::Losses,
        Pane::Processes,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Pane::Sites => "Sites",
            Pane::Tree => "Tree",
            Pane::Sizes => "Sizes",
            Pane::Lifetimes => "Lives",
            Pane::Time => "Time",
            Pane::Leaks => "Leaks",
            Pane::Threads => "Threads",
            Pane::Losses => "Losses",
            Pane::Processes => "Procs",
        }
    }

    fn number(self) -> usize {
        Pane::ALL.iter().position(|pane| *pane == self).unwrap_or(0)
    }
}

/// What sites are sorted by, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    Live,
    Blocks,
    AtPeak,
    Total,
    Name,
}

impl Sort {
    const ALL: [Sort; 5] = [Sort::Live, Sort::Blocks, Sort::AtPeak, Sort::Total, Sort::Name];

    pub(super) fn name(self) -> &'static str {
        match self {
            Sort::Live => "live",
            Sort::Blocks => "blocks",
            Sort::AtPeak => "at peak",
            Sort::Total => "total",
            Sort::Name => "name",
        }
    }
}

/// A moment that changes are shown since.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) at_ns: u64,
    pub(super) live_bytes: Option<u64>,
    pub(super) rss_bytes: Option<u64>,
    pub(super) allocated_bytes: u64,
}

/// Everything that is shown.
#[derive(Debug)]
pub struct App {
    /// The newest picture.
    newest: Arc<Picture>,
    /// The one that is shown: an earlier one while the view is paused.
    pub(super) picture: Arc<Picture>,
    pub(super) is_paused: bool,
    /// Id of the capture that is shown; the first one without.
    chosen: Option<String>,
    pub(super) pane: Pane,
    pub(super) by: GroupBy,
    pub(super) sort: Sort,
    pub(super) search: String,
    pub(super) is_typing: bool,
    pub(super) has_details: bool,
    pub(super) has_help: bool,
    /// All of the run in the chart, rather than its last samples.
    pub(super) whole_run: bool,
    pub(super) mark: Option<(String, Mark)>,
    /// The chosen row of each pane.
    cursors: [usize; Pane::ALL.len()],
    /// First line of the evidence that is read.
    pub(super) scroll: usize,
    /// Nodes of the call tree that were opened, or closed where they are open by themselves.
    pub(super) turned: HashSet<u64>,
    /// The call tree of a look.
    pub(super) tree: Option<(Arc<Look>, Tree)>,
    /// The node under the cursor.
    pub(super) node: Option<u64>,
    /// What programs are asked to do.
    pub(super) controls: Controls,
    pub(super) theme: Theme,
}

impl App {
    /// An empty screen, with colours or without.
    pub fn new(colour: bool) -> App {
        App {
            newest: Arc::default(),
            picture: Arc::default(),
            is_paused: false,
            chosen: None,
            pane: Pane::Sites,
            by: GroupBy::Site,
            sort: Sort::Live,
            search: String::new(),
            is_typing: false,
            has_details: false,
            has_help: false,
            whole_run: true,
            mark: None,
            cursors: [0; Pane::ALL.len()],
            scroll: 0,
            turned: HashSet::new(),
            tree: None,
            node: None,
            controls: Controls::default(),
            theme: Theme { colour },
        }
    }

    /// Takes the newest picture; it is shown unless the view is paused.
    pub fn update(&mut self, picture: Arc<Picture>) {
        self.newest = picture;
        if !self.is_paused {
            self.picture = self.newest.clone();
        }
    }

    /// Draws the screen.
    pub fn draw(&mut self, frame: &mut Frame<'_>) {
        draw::draw(self, frame);
    }

    /// Takes what a program answered, in words.
    pub fn answered(&mut self, came: Result<String, String>) {
        self.controls.answered(came);
    }

    /// The capture that is shown.
    pub(super) fn followed(&self) -> Option<Arc<Followed>> {
        let chosen = self.chosen.as_ref().and_then(|id| self.picture.capture(id));
        chosen.or(self.picture.captures.first()).cloned()
    }

    pub(super) fn look(&self) -> Option<Arc<Look>> {
        self.followed()?.look.clone()
    }

    /// The chosen row of the pane that is shown, held to so many.
    pub(super) fn cursor(&mut self, rows: usize) -> usize {
        match self.cursors.get_mut(self.pane.number()) {
            Some(cursor) => {
                *cursor = (*cursor).min(rows.saturating_sub(1));
                *cursor
            }
            None => 0,
        }
    }

    /// Whether a site is searched for.
    pub(super) fn is_found(&self, group: &Group) -> bool {
        let wanted = self.search.to_lowercase();
        let holds = |name: &str| name.to_lowercase().contains(&wanted);
        wanted.is_empty() || holds(&group.name) || group.frames.iter().any(|frame| holds(&frame.name()))
    }

    /// Takes a key.
    pub fn key(&mut self, key: KeyEvent) -> Flow {
        if key.kind == KeyEventKind::Release {
            return Flow::Go;
        }
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return Flow::Quit;
        }
        if self.is_typing {
            self.type_key(key.code);
            return Flow::Go;
        }
        if self.controls.take(key.code) {
            return self.controls.flow();
        }
        if self.has_help {
            self.has_help = false;
            return Flow::Go;
        }
        match key.code {
            KeyCode::Char('q') => return Flow::Quit,
            KeyCode::Char('?') | KeyCode::F(1) => self.has_help = true,
            KeyCode::Char('[') => return self.choose(-1),
            KeyCode::Char(']') => return self.choose(1),
            KeyCode::Char('c') => self.controls.open(self.followed().as_deref()),
            KeyCode::Char('r') => return self.followed().map_or(Flow::Go, |followed| Flow::Want(followed.id.clone())),
            KeyCode::Enter | KeyCode::Char(' ') => return self.enter(),
            KeyCode::Esc => self.leave(),
            code if self.moves(code) => {}
            code => self.change(code),
        }
        Flow::Go
    }

    fn type_key(&mut self, code: KeyCode) {
        match code {
            KeyCode::Char(character) => self.search.push(character),
            KeyCode::Backspace => drop(self.search.pop()),
            KeyCode::Enter => self.is_typing = false,
            KeyCode::Esc => {
                self.is_typing = false;
                self.search.clear();
            }
            _ => {}
        }
    }

    /// Moves the cursor, or the text that is read; false when the key does not.
    fn moves(&mut self, code: KeyCode) -> bool {
        let cursor = match self.cursors.get_mut(self.pane.number()) {
            _ if self.pane == Pane::Leaks && self.has_details => &mut self.scroll,
            Some(cursor) => cursor,
            None => return false,
        };
        *cursor = match code {
            KeyCode::Up | KeyCode::Char('k') => cursor.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => cursor.saturating_add(1),
            KeyCode::PageUp => cursor.saturating_sub(10),
            KeyCode::PageDown => cursor.saturating_add(10),
            KeyCode::Home => 0,
            KeyCode::End => usize::MAX,
            _ => return false,
        };
        true
    }

    /// Changes what is shown.
    fn change(&mut self, code: KeyCode) {
        let turn = |by: isize| {
            let count = Pane::ALL.len() as isize;
            let number = (self.pane.number() as isize + by).rem_euclid(count);
            Pane::ALL.get(number as usize).copied().unwrap_or(Pane::Sites)
        };
        match code {
            KeyCode::Char(digit @ '1'..='9') => {
                let number = usize::from(digit as u8 - b'1');
                self.pane = Pane::ALL.get(number).copied().unwrap_or(self.pane);
            }
            KeyCode::Tab => self.pane = turn(1),
            KeyCode::BackTab => self.pane = turn(-1),
            KeyCode::Char('p') => {
                self.is_paused = !self.is_paused;
                self.update(self.newest.clone());
            }
            KeyCode::Char('/') => self.is_typing = true,
            KeyCode::Char('s') => self.sort = next(&Sort::ALL, self.sort),
            KeyCode::Char('g') => {
                use GroupBy::{Crate, Function, Site, Tag, Thread, Type};
                self.by = next(&[Site, Function, Crate, Type, Thread, Tag], self.by);
            }
            KeyCode::Char('z') => self.whole_run = !self.whole_run,
            KeyCode::Char('m') => self.set_mark(),
            KeyCode::Left | KeyCode::Char('h') if self.pane == Pane::Tree => self.turn_node(false),
            KeyCode::Right | KeyCode::Char('l') if self.pane == Pane::Tree => self.turn_node(true),
            _ => {}
        }
    }

    /// The next or the last capture.
    fn choose(&mut self, by: isize) -> Flow {
        let captures = &self.picture.captures;
        let shown = self.followed().map(|followed| followed.id.clone());
        let at = captures.iter().position(|followed| Some(&followed.id) == shown.as_ref()).unwrap_or(0);
        let next = (at as isize + by).rem_euclid(captures.len().max(1) as isize);
        let Some(followed) = captures.get(next as usize) else { return Flow::Go };
        self.show(followed.id.clone())
    }

    fn show(&mut self, id: String) -> Flow {
        self.chosen = Some(id.clone());
        self.has_details = false;
        Flow::Want(id)
    }

    fn enter(&mut self) -> Flow {
        match self.pane {
            Pane::Sites | Pane::Leaks => {
                self.has_details = !self.has_details;
                self.scroll = 0;
            }
            Pane::Tree => {
                if let Some(node) = self.node.filter(|node| !self.turned.remove(node)) {
                    self.turned.insert(node);
                }
            }
            Pane::Processes => {
                let cursor = self.cursor(self.picture.captures.len());
                if let Some(followed) = self.picture.captures.get(cursor) {
                    let id = followed.id.clone();
                    return self.show(id);
                }
            }
            _ => {}
        }
        Flow::Go
    }

    fn leave(&mut self) {
        if self.has_details {
            self.has_details = false;
        } else {
            self.search.clear();
        }
    }

    fn turn_node(&mut self, to_open: bool) {
        let Some((node, (_, tree))) = self.node.zip(self.tree.as_ref()) else { return };
        if tree.is_open(node, &self.turned) != to_open && !self.turned.remove(&node) {
            self.turned.insert(node);
        }
    }

    /// Marks this moment of the capture that is shown; once more at the same moment takes the mark away.
    fn set_mark(&mut self) {
        let Some(followed) = self.followed() else { return };
        let latest = &followed.latest;
        let is_same = self.mark.as_ref().is_some_and(|(id, mark)| *id == followed.id && mark.at_ns == latest.at_ns);
        let mark = Mark {
            at_ns: latest.at_ns,
            live_bytes: latest.live_bytes().map(|live| live.value),
            rss_bytes: latest.rss_bytes(),
            allocated_bytes: latest.counters.as_ref().map_or(0, |counters| counters.program_upper.bytes),
        };
        self.mark = (!is_same).then_some((followed.id.clone(), mark));
    }
}

/// The item after this one, the first after the last.
fn next<T: Copy + PartialEq>(all: &[T], now: T) -> T {
    let at = all.iter().position(|item| *item == now).map_or(0, |at| at + 1);
    all.get(at).or(all.first()).copied().unwrap_or(now)
}
