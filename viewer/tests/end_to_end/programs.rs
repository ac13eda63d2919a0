//! Builds the examples once, as a service would be built, and runs them.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

/// How allocations are recorded.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Mode {
    #[default]
    Exact,
    Sampled {
        interval_bytes: u64,
        seed: u64,
    },
}

/// How a program is run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Run<'a> {
    pub(crate) mode: Mode,
    /// Arguments of the program.
    pub(crate) arguments: &'a [&'a str],
    /// Compresses the capture.
    pub(crate) zstd: bool,
    /// A program that runs it, with that one's own arguments.
    pub(crate) under: &'a [&'a str],
}

/// Allocations of C code that heaptrack and valgrind see and a Rust allocator does not, at most: the loader, libc's
/// streams and threads.
pub(crate) const OF_C_CODE: u64 = 200;

/// What a run left.
pub(crate) struct Output {
    pub(crate) capture: PathBuf,
    /// What the independent allocator and Plimsoll counted; none for programs without it.
    pub(crate) oracle: Option<Value>,
    pub(crate) stderr: String,
    /// Holds the capture.
    _folder: TempDir,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the viewer lies in the workspace")
}

/// Where the programs' sources are.
pub(crate) fn source_folder() -> PathBuf {
    root().join("examples/src/bin")
}

/// Names of all programs, in order.
pub(crate) fn sources() -> Vec<String> {
    let entries = std::fs::read_dir(source_folder()).expect("the examples are there");
    let stem = |path: PathBuf| Some(path.file_stem()?.to_str()?.to_owned());
    let mut names: Vec<String> = entries.filter_map(|entry| stem(entry.ok()?.path())).collect();
    names.sort();
    names
}

/// Builds all programs in release, the first time that it is called, beside what cargo builds for the tests.
fn built() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let profile = Path::new(env!("CARGO_BIN_EXE_plimsoll")).parent().expect("a profile's folder");
        let target = profile.parent().expect("the target folder");
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--locked", "-p", "plimsoll-examples", "--features", "zstd"])
            .arg("--target-dir")
            .arg(target)
            .current_dir(root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the examples do not build");
        target.join("release")
    })
}

/// A command that runs `program` into `output`.
pub(crate) fn command(program: &str, run: &Run<'_>, output: &Path) -> Command {
    let path = built().join(program);
    let words = run.under.iter().map(OsStr::new).chain([path.as_os_str()]);
    let mut words = words.chain(run.arguments.iter().map(OsStr::new));
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words).env("PLIMSOLL_OUTPUT", output).env("PLIMSOLL_EXAMPLE_ORACLE", "1");
    command.env("PLIMSOLL_COMPRESS", if run.zstd { "zstd" } else { "none" });
    match run.mode {
        Mode::Exact => command.env("PLIMSOLL_MODE", "exact"),
        Mode::Sampled { interval_bytes, seed } => command
            .env("PLIMSOLL_MODE", "sampled")
            .env("PLIMSOLL_INTERVAL", interval_bytes.to_string())
            .env("PLIMSOLL_SEED", seed.to_string()),
    };
    command
}

/// Runs `program` into a capture of its own.
pub(crate) fn run(program: &str, run: &Run<'_>) -> Output {
    let folder = tempfile::tempdir().expect("a folder for the capture");
    let capture = folder.path().join(format!("{program}.plim"));
    let mut command = command(program, run, &capture);
    let output = command.output().unwrap_or_else(|error| panic!("{program}: {error}"));
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{program}: {}\n{stderr}", output.status);
    // Another test may just have killed a program of that name, which the next start says.
    let mut said = stderr.lines().filter(|line| !line.starts_with("plimsoll: the last run of this program"));
    assert!(!run.under.is_empty() || said.next().is_none(), "{program} says: {stderr}");
    let oracle = stdout.lines().find_map(|line| line.strip_prefix("oracle "));
    let oracle = oracle.map(|line| serde_json::from_str(line).expect("the oracle's line is JSON"));
    Output { capture, oracle, stderr: stderr.into_owned(), _folder: folder }
}
