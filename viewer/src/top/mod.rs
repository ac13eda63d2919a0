//! `plimsoll top`: the live picture in a terminal.
//!
//! [`App`] is what is shown, made of pictures and keys; [`run`] puts it on a terminal, and the terminal back in order
//! however it ends.

mod app;
mod ask;
mod control;
mod draw;
mod header;
mod histogram;
mod losses;
mod processes;
mod sites;
mod theme;
mod threads;
mod time;
mod tree;
mod words;

use std::io;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event};

pub use app::{App, Flow};
pub use control::Whom;

use crate::follow::Follower;

/// A key or a picture waits so long at most.
const TURN: Duration = Duration::from_millis(50);

/// Shows what a follower sees until a key ends it. The terminal is put back in order before it returns, and before a
/// panic is told.
///
/// # Errors
///
/// When the terminal cannot be set up, drawn on or read.
pub fn run(follower: &Follower, colour: bool) -> io::Result<()> {
    on_terminal(|terminal| show(terminal, follower, App::new(colour)))
}

/// Takes the whole terminal for as long as `show` runs, and puts it back in order after that, and before a panic is told.
///
/// # Errors
///
/// When the terminal cannot be set up or put back, and those of `show`.
pub fn on_terminal(show: impl FnOnce(&mut DefaultTerminal) -> io::Result<()>) -> io::Result<()> {
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal);
    ratatui::try_restore()?;
    shown
}

fn show(terminal: &mut DefaultTerminal, follower: &Follower, mut app: App) -> io::Result<()> {
    let mut number = 0;
    let mut asked: Option<Receiver<_>> = None;
    terminal.draw(|frame| app.draw(frame))?;
    loop {
        let picture = follower.now();
        let mut has_changed = picture.number != number;
        number = picture.number;
        app.update(picture);
        if let Some(came) = asked.as_ref().and_then(ask::answer) {
            asked = None;
            app.answered(came);
            // What it did is to be seen at once.
            follower.hurry();
            has_changed = true;
        }
        if event::poll(TURN)? {
            has_changed = true;
            match event::read()? {
                Event::Key(key) => match app.key(key) {
                    Flow::Go => {}
                    Flow::Quit => return Ok(()),
                    Flow::Want(id) => follower.want(&id),
                    Flow::Ask(whom, request) => asked = Some(ask::ask(&follower.now(), whom, request)),
                },
                // Another size: drawn anew.
                _ => terminal.autoresize()?,
            }
        }
        if has_changed {
            terminal.draw(|frame| app.draw(frame))?;
        }
    }
}
