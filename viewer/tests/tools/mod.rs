//! Programs of others that tests run: whether they are there, and what Go's pprof says.
// Each test binary uses a part of this.
#![allow(dead_code)]

use std::io::Write;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// Whether `tool` is installed. Where it is not, the test is skipped, loudly, or fails under `PLIMSOLL_REQUIRE_TOOLS`.
pub(crate) fn has_tool(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let required = std::env::var_os("PLIMSOLL_REQUIRE_TOOLS").is_some();
    assert!(found || !required, "{tool} is not installed, and PLIMSOLL_REQUIRE_TOOLS asks for it");
    if !found {
        // Past the test harness, which keeps what tests print to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: {tool} is not installed; nothing was tried with it");
    }
    found
}

/// A program of a test's, killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port").port()
}

/// What Go's pprof says all samples of a file or an address are of a type.
pub(crate) fn go_total(source: &str, kind: &str) -> String {
    let mut command = Command::new("go");
    command.args(["tool", "pprof", "-top", "-unit", "B", kind, source]);
    // It keeps a copy of what it fetches.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = command.env("PPROF_TMPDIR", folder.path()).output().expect("go runs");
    let said = String::from_utf8_lossy(&output.stdout);
    let total = said.split("% of ").nth(1).and_then(|rest| rest.split(" total").next());
    total
        .unwrap_or_else(|| panic!("{said}{}", String::from_utf8_lossy(&output.stderr)))
        .trim_end_matches('B')
        .to_owned()
}
