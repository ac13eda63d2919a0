//! `serve`: the live picture in a browser.

use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clap::{Args, ValueHint};

use crate::alert::Rules;
use crate::serve::{PORT, ServeOptions, Server};

use super::args::SymbolsArg;
use super::error::CliError;
use super::output::print;
use super::top::FollowArgs;

/// Show running programs in the browser: memory live, leaks, flame graphs; REST, metrics and pprof for other tools
///
/// Reads captures as they grow; the programs pay nothing for it. Only this machine's users reach it, unless --listen or
/// --allow-host says otherwise. Changes, and everything from elsewhere, need the token in the addresses that it prints.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    plimsoll serve --open\n  \
    plimsoll serve captures/ --process postgres\n  \
    plimsoll serve service.plim --port 9000\n  \
    plimsoll serve captures/ --listen 0.0.0.0 --allow-host build.example.org")]
pub(super) struct ServeArgs {
    /// Captures, directories with captures, or numbers of processes that record [default: everything that records here]
    #[arg(value_name = "PATH|PID", value_hint = ValueHint::AnyPath)]
    targets: Vec<PathBuf>,
    #[command(flatten)]
    follow: FollowArgs,
    /// Listen on this address of the machine, so that others reach it; everything needs the token then
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<IpAddr>,
    /// Port; when it is taken, the next free one; 0 for any
    #[arg(long, value_name = "PORT", default_value_t = PORT)]
    port: u16,
    /// Answer under this host name too, as it stands in others' addresses (NAME or NAME:PORT); everything needs the token
    /// then; may be given several times
    #[arg(long, value_name = "NAME")]
    allow_host: Vec<String>,
    /// Hold these rules to what is shown, and do what they say [default: those of plimsoll watch --print-rules, shown on the
    /// dashboard alone]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    rules: Option<PathBuf>,
    /// Open the dashboard in the browser
    #[arg(long)]
    open: bool,
    #[command(flatten)]
    symbols: SymbolsArg,
}

pub(super) fn serve(args: &ServeArgs) -> Result<(), CliError> {
    let rules = args.rules.as_deref().map(Rules::load).transpose();
    let rules = rules.map_err(|error| CliError::Refused(error.to_string()))?;
    let options = ServeOptions {
        follow: args.follow.options(&args.targets, &args.symbols),
        listen: args.listen,
        port: args.port,
        allow_hosts: args.allow_host.clone(),
        rules,
    };
    let server = Server::start(options).map_err(|error| CliError::Refused(error.to_string()))?;
    print(&told(&server, args))?;
    if args.open {
        open(&server.url("/"))?;
    }
    // Ctrl-C ends it, and there is nothing to put in order.
    loop {
        std::thread::park();
    }
}

/// Where it is.
fn told(server: &Server, args: &ServeArgs) -> String {
    let mut text = String::new();
    if let (port, true) = server.port() {
        text.push_str(&format!("Port {} is taken; port {port} it is.\n", args.port));
    }
    if args.listen.is_some_and(|listen| !listen.is_loopback()) {
        text.push_str(
            "warning: other machines reach this, over an open connection: who has the token sees everything\n",
        );
    }
    text.push_str(&format!("Dashboard:   {}\nSimple view: {}\n", server.url("/"), server.url("/visualizer")));
    text
}

/// Starts the browser. What it says stays out of the terminal.
fn open(url: &str) -> Result<(), CliError> {
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = Command::new(program);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let refuse = |error| CliError::Refused(format!("cannot start {program}: {error}; open the address above by hand"));
    let mut child = command.spawn().map_err(refuse)?;
    std::thread::spawn(move || child.wait());
    Ok(())
}
