//! The menu behind a status line, before it has the form of any bar: what is used, how it goes, and what can be done.

use plimsoll_format::control::Status as Answered;

use super::bars::detail;
use super::{Status, Usage, short};
use crate::follow::Level;
use crate::present::units;

/// Programs in a menu, at most: tmux shows no menu that is higher than the screen.
const MAX_PROGRAMS: usize = 4;

/// A line of a menu.
#[derive(Debug, Clone, PartialEq)]
pub enum Entry {
    /// A line that says something.
    Says {
        /// What.
        text: String,
        /// Its colour.
        level: Option<Level>,
    },
    /// A line that does something.
    Does {
        /// What.
        text: String,
        /// How.
        what: Do,
    },
    /// A line between others.
    Line,
}

/// What a line of a menu does: runs this program with these arguments.
#[derive(Debug, Clone, PartialEq)]
pub struct Do {
    /// The arguments: none of them comes from a capture.
    pub arguments: Vec<String>,
    /// It is shown in a terminal of its own, for it takes the whole screen.
    pub terminal: bool,
}

/// The menu of one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Menu {
    /// Its lines.
    pub entries: Vec<Entry>,
}

impl Menu {
    /// The menu for a picture, with the programs that listen for control and what they answered, and what was said on the
    /// command line of what is followed and how.
    pub fn new(status: &Status, listening: &[(u32, Answered)], followed: &[String]) -> Menu {
        let mut menu = Menu::default();
        for shown in status.programs.iter().take(MAX_PROGRAMS) {
            menu.usage(shown);
            let answered = listening.iter().find(|(pid, _)| Some(*pid) == shown.pid);
            answered.into_iter().for_each(|(pid, answered)| menu.control(*pid, answered));
            menu.entries.push(Entry::Line);
        }
        if status.programs.len() > MAX_PROGRAMS {
            let more = units::things(status.programs.len() - MAX_PROGRAMS, "program");
            menu.says(format!("and {more} more"), None);
        }
        let is_idle = |pid: u32| status.programs.iter().all(|shown| shown.pid != Some(pid));
        for (pid, answered) in listening.iter().filter(|(pid, _)| is_idle(*pid)).take(MAX_PROGRAMS) {
            let name = short(&answered.program);
            menu.says(format!("{name} ({pid}) {}", units::bytes(answered.rss_bytes)), None);
            menu.control(*pid, answered);
            menu.entries.push(Entry::Line);
        }
        if menu.entries.is_empty() {
            menu.says("nothing records, and nothing listens for control".to_owned(), None);
            menu.entries.push(Entry::Line);
        }
        menu.views(followed);
        menu
    }

    fn says(&mut self, text: String, level: Option<Level>) {
        self.entries.push(Entry::Says { text, level });
    }

    fn does(&mut self, text: String, arguments: &[&str], terminal: bool) {
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self.entries.push(Entry::Does { text, what: Do { arguments, terminal } });
    }

    /// Current use, and how it goes.
    fn usage(&mut self, shown: &Usage) {
        self.says(detail(shown), shown.strip.level);
        if let Some(trend) = &shown.trend {
            self.says(format!("Trend: {trend}"), None);
        }
    }

    /// What a program that listens can be told.
    fn control(&mut self, pid: u32, answered: &Answered) {
        let number = pid.to_string();
        match answered.recording {
            Some(_) => self.does(format!("Stop tracking {pid}"), &["ctl", &number, "stop"], false),
            None => self.does(format!("Start tracking {pid}"), &["ctl", &number, "start"], false),
        }
        self.does(format!("Force clean-up of {pid}"), &["ctl", &number, "purge"], false);
    }

    fn views(&mut self, followed: &[String]) {
        let views = [
            ("Visualizer", &["menu", "--page", "visualizer"][..], false),
            ("Dashboard", &["menu", "--page", "dashboard"], false),
            ("Statistics", &["top"], true),
        ];
        for (text, begin, terminal) in views {
            let arguments = begin.iter().map(|word| (*word).to_owned()).chain(followed.iter().cloned()).collect();
            self.entries.push(Entry::Does { text: text.to_owned(), what: Do { arguments, terminal } });
        }
    }
}
