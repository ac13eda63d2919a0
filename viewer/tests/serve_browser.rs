//! The pages of `plimsoll serve` in a real Chromium: a leak that grows live, a kill and a restart without a reload, and
//! names that try to run. The scripts are in `browser/`; the processes are this test's.
#![forbid(unsafe_code)]
#![cfg(target_os = "linux")]

#[path = "support/mod.rs"]
mod support;

#[path = "browser/exports.rs"]
mod exports;
#[path = "browser/hostile_names.rs"]
mod hostile_names;

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// Logins a second of the service; each leaves 16 KiB behind.
const PACE: &str = "150";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the viewer lies in the workspace")
}

fn scripts() -> PathBuf {
    root().join("viewer/tests/browser")
}

/// Whether Chromium, node and the driver are there. Where one is not, the test is skipped, loudly, or fails under
/// `PLIMSOLL_REQUIRE_TOOLS`.
fn has_browser() -> bool {
    static HAS: OnceLock<bool> = OnceLock::new();
    *HAS.get_or_init(|| {
        let missing = missing_tool();
        let required = std::env::var_os("PLIMSOLL_REQUIRE_TOOLS").is_some();
        assert!(missing.is_none() || !required, "{missing:?}, and PLIMSOLL_REQUIRE_TOOLS asks for it");
        if let Some(missing) = &missing {
            // Past the test harness, which keeps what tests print to itself.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {missing}; the pages were not looked at in a browser");
        }
        missing.is_none()
    })
}

fn missing_tool() -> Option<String> {
    let runs = |program: &str, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(scripts()).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    let tools = ["chromium", "node", "npm"];
    if let Some(tool) = tools.into_iter().find(|tool| !runs(tool, &["--version"])) {
        return Some(format!("{tool} is not installed"));
    }
    let installed = |package: &&str| scripts().join("node_modules").join(package).join("package.json").exists();
    let there = ["playwright-core", "speedscope"].iter().all(installed);
    let installs = || runs("npm", &["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
    (!there && !installs()).then(|| "npm ci fails in viewer/tests/browser".to_owned())
}

/// A process that ends with the test.
struct Running(Child);

impl Running {
    fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The server, and where its pages are.
struct Server {
    running: Running,
    address: Address,
}

#[derive(Clone)]
struct Address {
    base: String,
    token: String,
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    listener.local_addr().expect("it has an address").port()
}

impl Server {
    fn start(folder: &Path, port: u16, more: &[&str]) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.arg("serve").arg(folder).args(["--port", &port.to_string()]).args(more);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("plimsoll starts");
        let said = child.stdout.take().expect("its output is piped");
        let running = Running(child);
        let mut lines = BufReader::new(said).lines().map_while(Result::ok);
        let address =
            lines.find_map(|line| line.split_whitespace().find(|word| word.contains("#t=")).map(str::to_owned));
        let address = address.expect("serve prints its address with the token");
        // Whatever else it says must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        let (base, token) = address.split_once("/#t=").expect("the token is in the fragment");
        Server { running, address: Address { base: base.to_owned(), token: token.to_owned() } }
    }
}

/// Runs a script against the pages there; what it wants done is done by `serve_wish`, which answers in one line.
fn drive(script: &str, address: &Address, failure: &Path, mut serve_wish: impl FnMut(&str) -> String) {
    let mut command = Command::new("node");
    command.arg(scripts().join(script)).args([&address.base, &address.token]);
    command.env("PLIMSOLL_BROWSER_FAILURE", failure).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut node = Running(command.spawn().expect("node starts"));
    let mut answers = node.0.stdin.take().expect("its input is piped");
    let said = BufReader::new(node.0.stdout.take().expect("its output is piped"));
    for line in said.lines().map_while(Result::ok) {
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{script} says {line}: {error}"));
        let answer = serve_wish(said["want"].as_str().expect("it wants something"));
        writeln!(answers, "{answer}").expect("node takes the answer");
    }
    let status = node.0.wait().expect("node ends");
    assert!(status.success(), "{script}: {status}; {} shows how the page was", failure.display());
}

/// Where a failing script leaves its picture.
fn failure(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-failed.png"))
}

/// The leaking service, built once as a service would be.
fn service() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let profile = Path::new(env!("CARGO_BIN_EXE_plimsoll")).parent().expect("a profile's folder");
        let target = profile.parent().expect("the target folder");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--release", "--locked", "-p", "plimsoll-examples", "--features", "zstd"]);
        cargo.args(["--bin", "axum_sessions", "--target-dir"]).arg(target).current_dir(root());
        assert!(cargo.status().expect("cargo runs").success(), "the example does not build");
        target.join("release/axum_sessions")
    })
}

fn start_service(captures: &Path) -> Running {
    let mut command = Command::new(service());
    command.arg(PACE).env("PLIMSOLL_OUTPUT", format!("{}/", captures.display()));
    command.env("PLIMSOLL_INTERVAL", "16KiB").env("PLIMSOLL_CONTROL", "1").stdout(Stdio::null());
    Running(command.spawn().expect("the service starts"))
}

#[test]
fn a_leak_is_seen_live_over_a_kill_and_a_restart() {
    if !has_browser() {
        return;
    }
    let folder = TempDir::new().expect("a folder for the captures");
    let mut service = start_service(folder.path());
    let port = free_port();
    let mut server = Server::start(folder.path(), port, &[]);
    drive("dashboard.mjs", &server.address.clone(), &failure("dashboard"), |wish| match wish {
        "kill the service" => {
            service.kill();
            "killed".to_owned()
        }
        "start the service" => {
            service = start_service(folder.path());
            service.0.id().to_string()
        }
        "stop the server" => {
            server.running.kill();
            "stopped".to_owned()
        }
        "start the server" => {
            server = Server::start(folder.path(), port, &[]);
            "started".to_owned()
        }
        other => panic!("nobody knows how to {other}"),
    });
}

#[test]
fn hostile_names_run_nowhere() {
    if !has_browser() {
        return;
    }
    let folder = TempDir::new().expect("a folder for the captures");
    hostile_names::save_captures(folder.path());
    let _process = hostile_names::start_process(folder.path());
    let server = Server::start(folder.path(), free_port(), &["--process", "__x"]);
    drive("hostile.mjs", &server.address, &failure("hostile"), |wish| panic!("nobody knows how to {wish}"));
}
