//! `status`: the live picture in one line, for status bars.

use std::io::{BufRead, IsTerminal};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum, ValueHint};

use crate::follow::{FollowOptions, Follower, Picture};
use crate::status::{Bar, MenuBar, Status, i3_header, menu_text};

use super::error::CliError;
use super::menu::{menu_of, own_path};
use super::output::{print, print_json};
use super::top::FollowArgs;

/// Longest wait for a long capture to be caught up with.
const PATIENCE: Duration = Duration::from_secs(5);

/// Print current memory, ten-bar strip and level in one line, for status bars
///
/// A bar that calls it now and then takes the one line; with --watch there is one for each picture, for bars that read on.
/// argos, xbar and swiftbar are the text of a menu too.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll status\n  \
    plimsoll status 4711 --format json\n  \
    tmux set -g status-right '#(plimsoll status --format tmux)'\n  \
    plimsoll status --format waybar --watch\n  \
    plimsoll status --process postgres --format i3bar --watch")]
pub(super) struct StatusArgs {
    /// Captures, directories with captures, or numbers of processes that record [default: everything that records]
    #[arg(value_name = "CAPTURE|DIR|PID", value_hint = ValueHint::AnyPath)]
    targets: Vec<PathBuf>,
    /// The bar that reads it
    #[arg(long, value_enum, default_value_t = Format::Plain)]
    format: Format,
    /// Go on, a line for each picture
    #[arg(long)]
    watch: bool,
    /// What a click on the block does, read by a shell: of i3bar with --watch
    #[arg(long, value_name = "COMMAND", requires = "watch")]
    on_click: Option<String>,
    #[command(flatten)]
    follow: FollowArgs,
}

/// Forms of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Plain,
    /// For programs; viewer/docs/json in the sources holds its schema
    Json,
    /// status-right of tmux
    Tmux,
    /// A custom module of Waybar
    Waybar,
    /// status_command of i3bar and swaybar
    I3bar,
    /// A script module of Polybar
    Polybar,
    /// Argos of GNOME, with its menu
    Argos,
    /// xbar of macOS, with its menu
    Xbar,
    /// SwiftBar of macOS, with its menu
    Swiftbar,
}

pub(super) fn status(args: &StatusArgs) -> Result<(), CliError> {
    // Nobody looks at sites here.
    let options = FollowOptions { look: None, ..args.follow.options(&args.targets, &Default::default()) };
    let follower = follow(options)?;
    if args.format == Format::I3bar {
        print(&i3_header(args.on_click.is_some()))?;
        if let Some(command) = &args.on_click {
            listen(command);
        }
    }
    let mut picture = caught_up(&follower);
    loop {
        show(args, &picture)?;
        if !args.watch {
            return if args.format == Format::I3bar { print("[]]\n") } else { Ok(()) };
        }
        if args.format == Format::Swiftbar {
            // Parts one frame from the next.
            print("~~~\n")?;
        }
        picture = loop {
            if let Some(next) = follower.wait(picture.number, PATIENCE) {
                break next;
            }
        };
    }
}

/// Starts to follow.
pub(super) fn follow(options: FollowOptions) -> Result<Follower, CliError> {
    Follower::start(options).map_err(|error| CliError::Refused(error.to_string()))
}

/// The first picture in which all that is there was read, or a late one.
pub(super) fn caught_up(follower: &Follower) -> Arc<Picture> {
    let end = Instant::now() + PATIENCE;
    let mut picture = follower.now();
    while picture.number == 0 || picture.captures.iter().any(|followed| followed.behind_bytes > 0) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        picture = follower.wait(picture.number, left).unwrap_or(picture);
    }
    picture
}

fn show(args: &StatusArgs, picture: &Picture) -> Result<(), CliError> {
    let status = Status::of(picture);
    let menu = |bar| {
        let followed = args.follow.words(&args.targets);
        print(&menu_text(bar, &status, &menu_of(&status, &followed), &own_path()))
    };
    let line = |bar: Bar| print(&bar.line(&status));
    match args.format {
        Format::Plain => line(Bar::Plain),
        Format::Json => print_json(&status),
        Format::Tmux => line(Bar::Tmux),
        Format::Waybar => line(Bar::Waybar),
        Format::I3bar => line(Bar::I3bar),
        Format::Polybar => line(Bar::Polybar),
        Format::Argos => menu(MenuBar::Argos),
        Format::Xbar => menu(MenuBar::Xbar),
        Format::Swiftbar => menu(MenuBar::SwiftBar),
    }
}

/// Runs a command for each click that i3bar tells of, in a thread.
fn listen(command: &str) {
    let command = command.to_owned();
    let run = move || {
        let input = std::io::stdin();
        if input.is_terminal() {
            return;
        }
        for line in input.lock().lines().map_while(Result::ok) {
            // An endless list: `[`, then an object a line, from the second on with a comma before it.
            let click = serde_json::from_str::<serde_json::Value>(line.trim_start_matches(['[', ',', ' ']));
            if click.is_ok_and(|click| click["name"] == "plimsoll") {
                let mut shell = Command::new("sh");
                shell.args(["-c", &command]).stdin(Stdio::null()).stdout(Stdio::null());
                // Waited for, so that none stays as a zombie; who clicks meanwhile waits too.
                let _ = shell.status();
            }
        }
    };
    // Without a thread the line is still shown.
    let _ = std::thread::Builder::new().name("clicks".to_owned()).spawn(run);
}
