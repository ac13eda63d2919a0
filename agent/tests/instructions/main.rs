//! What the agent adds to an allocation and its free, in instructions: no more than was committed here, plus a tenth.
//!
//! The program beside this file is built as a user's would be, in the default release profile and outside of this
//! workspace, and counted by callgrind, without the agent and in each of its ways. Only its own thread counts, from its
//! first pair to its last. How the figures come about: `agent/docs/hot-path.md`.
#![forbid(unsafe_code)]
#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Instructions added to a pair, as measured on 2026-11-23 with rustc 1.95.0 and glibc 2.36.
const IDLE: f64 = 3.1;
const SAMPLED: f64 = 13.6;
const SAMPLED_WITH_50_000_LIVE: f64 = 15.2;
const EXACT: f64 = 640.0;

/// One way to run the program.
struct Way {
    name: &'static str,
    committed: f64,
    /// `PLIMSOLL_MODE`; without one there is no session.
    mode: Option<&'static str>,
    pairs: u64,
    /// Blocks of 512 KiB held meanwhile: 63.2 % of blocks as large as the interval are samples.
    held: u64,
}

const WAYS: [Way; 4] = [
    Way { name: "idle", committed: IDLE, mode: None, pairs: 200_000, held: 0 },
    Way { name: "sampled", committed: SAMPLED, mode: Some("sampled"), pairs: 1_000_000, held: 0 },
    Way {
        name: "sampled, 50,000 live",
        committed: SAMPLED_WITH_50_000_LIVE,
        mode: Some("sampled"),
        pairs: 1_000_000,
        held: 79_000,
    },
    Way { name: "exact", committed: EXACT, mode: Some("exact"), pairs: 50_000, held: 0 },
];

/// So much more is a regression: a tenth, but at least one instruction.
fn bound(committed: f64) -> f64 {
    committed + (committed.abs() / 10.0).max(1.0)
}

fn has_valgrind() -> bool {
    let found = Command::new("valgrind").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    let required = std::env::var_os("PLIMSOLL_REQUIRE_TOOLS").is_some();
    assert!(found || !required, "valgrind is not installed, and PLIMSOLL_REQUIRE_TOOLS asks for it");
    if !found {
        // Past the test harness, which keeps what tests print to itself.
        let _ = writeln!(std::io::stderr(), "SKIPPED: valgrind is not installed; no instructions were counted");
    }
    found
}

/// Builds the program in a package of its own; gives the executable.
fn build(with_agent: bool) -> PathBuf {
    let agent = Path::new(env!("CARGO_MANIFEST_DIR"));
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(if with_agent { "churn" } else { "churn-bare" });
    std::fs::create_dir_all(&package).expect("a folder in the target directory");
    let manifest = format!(
        "[package]\nname = \"churn\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nplimsoll = {{ path = {agent:?}, optional = true }}\n\
         [[bin]]\nname = \"churn\"\npath = {:?}\n",
        agent.join("tests/instructions/churn.rs")
    );
    std::fs::write(package.join("Cargo.toml"), manifest).expect("written");
    // The versions that this workspace is tested with, so that nothing need be fetched.
    std::fs::copy(agent.join("../Cargo.lock"), package.join("Cargo.lock")).expect("copied");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--offline"]).current_dir(&package);
    cargo.args(with_agent.then_some("--features=plimsoll"));
    for variable in ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_BUILD_TARGET", "CARGO_BUILD_RUSTFLAGS"] {
        cargo.env_remove(variable);
    }
    let output = cargo.env("CARGO_TARGET_DIR", package.join("target")).output().expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    package.join("target/release/churn")
}

/// Instructions a pair of one run.
fn count(program: &Path, pairs: u64, held: u64, mode: Option<&str>) -> f64 {
    let directory = tempfile::tempdir().expect("a directory");
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*churn_pairs*"]);
    valgrind.arg(program).args([pairs.to_string(), held.to_string()]);
    for variable in ["PLIMSOLL_OUTPUT", "PLIMSOLL_MODE", "PLIMSOLL_INTERVAL", "PLIMSOLL_UNWINDER"] {
        valgrind.env_remove(variable);
    }
    if let Some(mode) = mode {
        // The seed gives the same gaps between samples each time.
        let output = directory.path().join("run.plim");
        valgrind.env("PLIMSOLL_MODE", mode).env("PLIMSOLL_OUTPUT", output).env("PLIMSOLL_SEED", "1");
    }
    let output = valgrind.output().expect("valgrind runs");
    let printed = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{printed}");
    let collected = printed.split("Collected :").nth(1).and_then(|rest| rest.split_whitespace().next());
    let collected: f64 = collected.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{printed}"));
    collected / pairs as f64
}

#[test]
fn no_way_costs_more_than_was_committed() {
    if !has_valgrind() {
        return;
    }
    let (bare, with_agent) = (build(false), build(true));
    let bare = count(&bare, 200_000, 0, None);
    let mut complaints = Vec::new();
    for Way { name, committed, mode, pairs, held } in WAYS {
        let added = count(&with_agent, pairs, held, mode) - bare;
        let line =
            format!("{name}: {added:+.2} instructions a pair, committed {committed:+.1}; without the agent {bare:.2}");
        println!("{line}");
        if added > bound(committed) {
            complaints.push(line);
        }
    }
    assert!(complaints.is_empty(), "more than was committed:\n{}", complaints.join("\n"));
}
