//! `top`: the live picture in a terminal.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueHint};

use crate::follow::{EVERY, FollowOptions, Follower, Levels, LookOptions, Target};
use crate::top;

use super::args::SymbolsArg;
use super::error::CliError;
use super::size::Size;

/// Watch running programs in the terminal: memory, sites, call tree, histograms, leaks
///
/// Reads captures as they grow; the programs pay nothing for it. Without a name it shows everything that records on this
/// machine. Press ? for the keys.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll top\n  \
    plimsoll top service.plim\n  \
    plimsoll top captures/\n  \
    plimsoll top 4711\n  \
    plimsoll top captures/ --process postgres --process 4711")]
pub(super) struct TopArgs {
    /// Captures, directories with captures, or numbers of processes that record [default: everything that records]
    #[arg(value_name = "CAPTURE|DIR|PID", value_hint = ValueHint::AnyPath)]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    follow: FollowArgs,
    #[command(flatten)]
    symbols: SymbolsArg,
}

/// How running programs are followed.
#[derive(Debug, Args)]
pub(super) struct FollowArgs {
    /// Show processes too that need not link the agent: by number, or by a part of their name or command line; may be
    /// given several times
    #[arg(long, value_name = "PATTERN|PID")]
    process: Vec<String>,
    /// Seconds between two pictures, 0.2 to 5
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    every: Duration,
    /// Memory that each program may use, such as 512MiB [default: the cgroup's limit, else all of the machine]
    #[arg(long, value_name = "SIZE")]
    limit: Option<Size>,
    /// From which parts of the limit on levels are yellow and red, in percent
    #[arg(long, value_name = "YELLOW,RED", default_value = "70,90", value_parser = levels)]
    levels: Levels,
}

impl FollowArgs {
    /// What to follow; without targets everything that records, unless processes are asked for.
    pub(super) fn options(&self, targets: &[PathBuf], symbols: &SymbolsArg) -> FollowOptions {
        let mut targets: Vec<Target> = targets.iter().map(|target| Target::named(target)).collect();
        if targets.is_empty() && self.process.is_empty() {
            targets.push(Target::Recording);
        }
        let limit_bytes = self.limit.map(|limit| limit.0);
        let symbols = symbols.directories.clone();
        FollowOptions {
            targets,
            processes: self.process.clone(),
            every: self.every,
            levels: self.levels,
            limit_bytes,
            look: Some(LookOptions { symbols, limit_bytes, ..LookOptions::default() }),
        }
    }

    /// The same as words of a command line that is run elsewhere: in another directory.
    pub(super) fn words(&self, targets: &[PathBuf]) -> Vec<String> {
        // A percentage as it was written.
        let percent = |share: f64| (share * 1e8).round() / 1e6;
        let mut words: Vec<String> = self.process.iter().map(|process| format!("--process={process}")).collect();
        words.push(format!("--every={}", self.every.as_secs_f64()));
        words.extend(self.limit.map(|limit| format!("--limit={}", limit.0)));
        words.push(format!("--levels={},{}", percent(self.levels.yellow()), percent(self.levels.red())));
        if !targets.is_empty() {
            words.push("--".to_owned());
        }
        words.extend(targets.iter().map(|target| match Target::named(target) {
            Target::Pid(_) => target.to_string_lossy().into_owned(),
            _ => std::path::absolute(target).unwrap_or_else(|_| target.clone()).to_string_lossy().into_owned(),
        }));
        words
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let wrong = || format!("expected seconds from {} to {}", EVERY.0.as_secs_f64(), EVERY.1.as_secs_f64());
    let seconds = text.strip_suffix('s').unwrap_or(text).parse().map_err(|_| wrong())?;
    let every = Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?;
    if (EVERY.0..=EVERY.1).contains(&every) { Ok(every) } else { Err(wrong()) }
}

fn levels(text: &str) -> Result<Levels, String> {
    let percent = |text: &str| Some(text.trim().trim_end_matches('%').trim().parse::<f64>().ok()? / 100.0);
    let levels = text.split_once(',').and_then(|(yellow, red)| Levels::new(percent(yellow)?, percent(red)?));
    levels.ok_or_else(|| "expected two percentages that rise, such as 70,90".to_owned())
}

pub(super) fn top(args: &TopArgs) -> Result<(), CliError> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        let instead = "use plimsoll report CAPTURE for a picture of one moment";
        return Err(CliError::Refused(format!("plimsoll top needs a terminal: {instead}")));
    }
    let options = args.follow.options(&args.targets, &args.symbols);
    let follower = Follower::start(options).map_err(|error| CliError::Refused(error.to_string()))?;
    // As on other screens: any value that is not empty means no colours.
    let colour = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    top::run(&follower, colour).map_err(CliError::Output)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        targets: Vec<PathBuf>,
        #[command(flatten)]
        follow: FollowArgs,
    }

    #[test]
    fn what_is_followed_survives_as_words() {
        let of = |words: &[&str]| {
            let line = Line::try_parse_from([&["plimsoll"], words].concat()).unwrap();
            (format!("{:?}", line.follow.options(&line.targets, &SymbolsArg::default())), line)
        };
        let given = ["/c/", "4711", "--process=-x y", "--process", "7", "--every", "0.25", "--limit", "1.5MiB"];
        for given in [&given[..], &["--levels", "29,58.5"], &[]] {
            let (options, line) = of(given);
            let words = line.follow.words(&line.targets);
            assert_eq!(of(&words.iter().map(String::as_str).collect::<Vec<_>>()).0, options, "{words:?}");
        }
        let relative = of(&["x.plim"]).1;
        let words = relative.follow.words(&relative.targets);
        assert!(words.last().unwrap().starts_with('/'), "it is run in another directory: {words:?}");
    }
}
