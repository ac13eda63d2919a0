//! `menu`: what can be seen and done, as tmux's menu or as a list in any terminal.

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum, ValueHint};
use plimsoll_format::control::{Answer, Request};

use crate::control;
use crate::follow::FollowOptions;
use crate::present::safe;
use crate::serve::{PORT, ports};
use crate::status::{Do, Entry, Menu, Status, display_menu};

use super::error::CliError;
use super::output::print;
use super::status::{caught_up, follow};
use super::top::FollowArgs;

/// Longest wait for a server that was just started.
const PATIENCE: Duration = Duration::from_secs(10);

/// Open the menu behind a status line: use, trends, start and stop tracking, pages, clean-up
///
/// Inside of tmux it is a menu of tmux's own, else a list to choose from. Programs that were started with PLIMSOLL_CONTROL=1
/// can be controlled.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll menu\n  \
    tmux bind-key m run-shell 'plimsoll menu'\n  \
    foot plimsoll menu captures/")]
pub(super) struct MenuArgs {
    /// Captures, directories with captures, or numbers of processes that record [default: everything that records]
    #[arg(value_name = "CAPTURE|DIR|PID", value_hint = ValueHint::AnyPath)]
    targets: Vec<PathBuf>,
    /// A list even inside of tmux
    #[arg(long)]
    list: bool,
    /// Open a page in the browser, and start plimsoll serve if none runs
    #[arg(long, value_enum, conflicts_with = "list")]
    page: Option<Page>,
    #[command(flatten)]
    follow: FollowArgs,
}

/// Pages of `plimsoll serve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Page {
    /// Everything
    Dashboard,
    /// One large chart
    Visualizer,
}

pub(super) fn menu(args: &MenuArgs) -> Result<(), CliError> {
    if let Some(page) = args.page {
        return open_page(page, &args.follow.words(&args.targets));
    }
    let options = FollowOptions { look: None, ..args.follow.options(&args.targets, &Default::default()) };
    let follower = follow(options)?;
    let followed = args.follow.words(&args.targets);
    let now = || menu_of(&Status::of(&caught_up(&follower)), &followed);
    if std::env::var_os("TMUX").is_some() && !args.list {
        let status = Command::new("tmux").args(display_menu(&now(), &own_path())).status();
        return match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(CliError::Refused(format!("tmux shows no menu: {status}; use plimsoll menu --list"))),
            Err(error) => Err(CliError::Refused(format!("cannot run tmux: {error}; use plimsoll menu --list"))),
        };
    }
    let input = std::io::stdin();
    loop {
        let menu = now();
        let choices = list(&menu)?;
        let mut answer = String::new();
        if input.lock().read_line(&mut answer).map_err(CliError::Output)? == 0 || answer.trim() == "q" {
            return Ok(());
        }
        match answer.trim().parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?)) {
            Some(what) => run(what)?,
            None if answer.trim().is_empty() => {}
            None => print("There is no such line.\n")?,
        }
        follower.hurry();
    }
}

/// The menu of a moment, with what programs that listen answer.
pub(super) fn menu_of(status: &Status, followed: &[String]) -> Menu {
    // Those that are shown, wherever their sockets are, and those at the usual places.
    let mut sockets = control::listening();
    sockets.extend(status.programs.iter().filter_map(|shown| control::find(shown.pid?).ok()));
    sockets.sort();
    sockets.dedup_by_key(|socket| socket.pid);
    let answered = sockets.into_iter().filter_map(|socket| match socket.glance(&Request::Status) {
        Ok(Answer::Status(status)) => Some((socket.pid, status)),
        _ => None,
    });
    Menu::new(status, &answered.collect::<Vec<_>>(), followed)
}

/// The path of this program, for bars that know none.
pub(super) fn own_path() -> String {
    let own = std::env::current_exe().ok().and_then(|path| path.into_os_string().into_string().ok());
    own.unwrap_or_else(|| "plimsoll".to_owned())
}

/// Prints the menu as a list; gives what its numbers do.
fn list(menu: &Menu) -> Result<Vec<&Do>, CliError> {
    let mut choices = Vec::new();
    let mut text = String::from("\n");
    for entry in &menu.entries {
        match entry {
            Entry::Says { text: says, .. } => text.push_str(&format!("    {says}\n")),
            Entry::Does { text: says, what } => {
                choices.push(what);
                text.push_str(&format!("{:>2}  {says}\n", choices.len()));
            }
            Entry::Line => text.push('\n'),
        }
    }
    text.push_str(" q  Quit\n\nNumber, or Enter for a newer look: ");
    print(&text)?;
    Ok(choices)
}

/// Does what was chosen, in this terminal.
fn run(what: &Do) -> Result<(), CliError> {
    let status = Command::new(own_path()).args(&what.arguments).status();
    let failed = |error| CliError::Refused(format!("cannot run {}: {error}", safe(&what.arguments.join(" "))));
    // What went wrong, it has said itself.
    status.map(drop).map_err(failed)
}

/// Opens a page of the server that runs, or of one that is started.
fn open_page(page: Page, followed: &[String]) -> Result<(), CliError> {
    let path = match page {
        Page::Dashboard => "/",
        Page::Visualizer => "/visualizer",
    };
    if let Some(server) = server() {
        return browse(&format!("{server}{path}"));
    }
    let mut command = Command::new(own_path());
    command.arg("serve").args(followed).stdin(Stdio::null()).stdout(Stdio::null());
    // It opens the dashboard with the right to control; the other page controls nothing.
    if page == Page::Dashboard {
        command.arg("--open");
    }
    // It goes on without us and without the terminal's signals.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child =
        command.spawn().map_err(|error| CliError::Refused(format!("cannot start plimsoll serve: {error}")))?;
    let end = Instant::now() + PATIENCE;
    let server = loop {
        if let Some(server) = server() {
            break server;
        }
        let has_ended = child.try_wait().is_ok_and(|status| status.is_some());
        if has_ended || Instant::now() > end {
            let (first, last) = (ports(PORT).start().to_owned(), ports(PORT).end().to_owned());
            let where_to = format!("at no port of 127.0.0.1 from {first} to {last}");
            return Err(CliError::Refused(format!("plimsoll serve answers {where_to}; start it by hand")));
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    if page == Page::Dashboard { Ok(()) } else { browse(&format!("{server}{path}")) }
}

/// The address of the first server of ours among the ports that it takes by itself.
fn server() -> Option<String> {
    let at = |port| format!("http://127.0.0.1:{port}");
    ports(PORT).map(at).find(|server| serves(server))
}

/// Whether a server of ours answers.
fn serves(server: &str) -> bool {
    let patience = Some(Duration::from_secs(1));
    let agent: ureq::Agent = ureq::Agent::config_builder().timeout_global(patience).proxy(None).build().into();
    let answer = agent.get(format!("{server}/api/system")).call();
    answer.is_ok_and(|mut answer| {
        let text = answer.body_mut().with_config().limit(1 << 20).read_to_string();
        text.is_ok_and(|text| text.contains("timestamp_unix_ms"))
    })
}

fn browse(url: &str) -> Result<(), CliError> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let opened = Command::new(program).arg(url).stdin(Stdio::null()).stdout(Stdio::null()).status();
    if opened.is_ok_and(|status| status.success()) {
        return Ok(());
    }
    // Who has no browser here may have one elsewhere.
    let _ = writeln!(anstream::stderr(), "plimsoll: cannot open a browser; the page is {url}");
    Ok(())
}
