//! `watch`: holds rules to the live picture without a screen, and tells whom they name.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::{Args, ValueHint};

use crate::alert::actions::Runner;
use crate::alert::{Engine, Rules, SHIPPED};
use crate::follow::{Followed, Follower, Level, LookOptions, Picture, Target};
use crate::present::units;
use crate::view::GroupBy;

use super::args::SymbolsArg;
use super::error::CliError;
use super::output::{print, print_json};
use super::status::caught_up;
use super::top::FollowArgs;

/// Longest wait for a picture; they come every few seconds. With --once for sites and verdicts.
const PATIENCE: Duration = Duration::from_secs(60);
/// The exit codes of --once.
const EXIT_YELLOW: u8 = 1;
const EXIT_RED: u8 = 3;
/// Of so many captures sites are waited for: looks of no more than these are kept.
const LOOKED_AT: usize = 8;

/// Tell of memory that runs out, grows or leaks: log, bell, a program, webhook, Alertmanager
///
/// Holds rules to everything that is followed, until it is ended. Without --rules those that --print-rules shows are in
/// force, which say what happened on standard error. Without a name it watches everything that records on this machine.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll watch\n  \
    plimsoll watch captures/ --rules alerts.toml\n  \
    plimsoll watch 4711 --process postgres --json\n  \
    plimsoll watch captures/ --once || echo look at it\n  \
    plimsoll watch --print-rules > alerts.toml")]
pub(super) struct WatchArgs {
    /// Captures, directories with captures, or numbers of processes that record
    #[arg(value_name = "CAPTURE|DIR|PID", value_hint = ValueHint::AnyPath)]
    targets: Vec<PathBuf>,
    /// Rules and actions in TOML
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,
    /// Print the rules that are in force without --rules, and stop
    #[arg(long)]
    print_rules: bool,
    /// Look once, without waiting for hold times, and end: exit code 0 when nothing is raised, 1 when the worst alert is
    /// yellow, 3 when it is red
    #[arg(long)]
    once: bool,
    /// Print what is raised and cleared as JSON too, one object a line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    follow: FollowArgs,
    #[command(flatten)]
    symbols: SymbolsArg,
}

pub(super) fn watch(args: &WatchArgs) -> Result<(), CliError> {
    if args.print_rules {
        return print(SHIPPED);
    }
    let mut rules = match &args.rules {
        Some(path) => Rules::load(path).map_err(|error| CliError::Refused(error.to_string()))?,
        None => Rules::shipped(),
    };
    let mut options = args.follow.options(&args.targets, &args.symbols);
    for process in rules.processes() {
        if !options.processes.contains(&process) {
            options.processes.push(process);
        }
    }
    // Verdicts by site are all that rules look at.
    let by_site = |look: LookOptions| LookOptions { by: vec![GroupBy::Site], ..look };
    options.look = options.look.filter(|_| rules.need_looks()).map(by_site);
    let failed = |error: &dyn std::error::Error| CliError::Refused(format!("cannot watch: {error}"));
    let runner = Runner::start(&rules).map_err(|error| failed(&error))?;
    if !args.once {
        begin(&rules, &options.targets);
    }
    let follower = Follower::start(options).map_err(|error| failed(&error))?;
    if args.once {
        rules.rules.iter_mut().for_each(|rule| rule.hold = Duration::ZERO);
        let picture = complete(&follower, rules.need_looks());
        let mut engine = Engine::new(rules);
        look(&mut engine, &picture, &runner, args.json)?;
        // What is raised is told before it ends.
        drop(runner);
        return worst(&engine);
    }
    let mut engine = Engine::new(rules);
    let mut number = 0;
    loop {
        let Some(picture) = follower.wait(number, PATIENCE) else { continue };
        number = picture.number;
        look(&mut engine, &picture, &runner, args.json)?;
    }
}

/// A picture in which all that is there was read and, where rules need it, looked at; or a late one.
fn complete(follower: &Follower, needs_looks: bool) -> Arc<Picture> {
    let end = Instant::now() + PATIENCE;
    let mut picture = caught_up(follower);
    // No rule asks for the sites of those that have ended.
    let waits =
        |one: &Arc<Followed>| one.pid != 0 && one.state.is_live() && one.look.is_none() && one.look_error.is_none();
    while needs_looks && picture.captures.iter().take(LOOKED_AT).any(waits) {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            anstream::eprintln!("plimsoll: not all sites were looked at within {} s", PATIENCE.as_secs());
            break;
        }
        picture = follower.wait(picture.number, left).unwrap_or(picture);
    }
    picture
}

/// The end of --once.
fn worst(engine: &Engine) -> Result<(), CliError> {
    match engine.active().first().map(|alert| alert.level) {
        Some(Level::Red) => Err(CliError::Alerts(EXIT_RED)),
        Some(Level::Yellow) => Err(CliError::Alerts(EXIT_YELLOW)),
        Some(Level::Green) | None => Ok(()),
    }
}

fn look(engine: &mut Engine, picture: &Picture, runner: &Runner, json: bool) -> Result<(), CliError> {
    for change in engine.look(picture) {
        if json {
            print_json(&change)?;
        }
        runner.tell(change);
    }
    Ok(())
}

fn begin(rules: &Rules, targets: &[Target]) {
    let (number, actions) = (units::things(rules.rules.len(), "rule"), units::things(rules.actions.len(), "action"));
    let what = match targets {
        [] => "processes".to_owned(),
        [Target::Recording] => "everything that records here".to_owned(),
        targets => units::things(targets.len(), "target"),
    };
    anstream::eprintln!("plimsoll: watching {what} with {number} and {actions}; Ctrl-C ends it");
}
