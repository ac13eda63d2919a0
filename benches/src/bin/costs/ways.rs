//! The ways a workload is run: which program, in which mode, with what around it.

use std::path::{Path, PathBuf};
use std::process::Command;

use plimsoll_benches::row::{self, BARE};

/// What stands around a program.
#[derive(Debug, Clone)]
pub(crate) enum Around {
    Nothing,
    /// An option that an allocator reads from the environment.
    Variable(&'static str, &'static str),
    /// Interpreted while it records, or, where its interpreter fails, only recorded.
    Heaptrack,
    /// Another recorder, loaded into the program.
    Preload(PathBuf),
}

/// One way.
#[derive(Debug, Clone)]
pub(crate) struct Way {
    pub(crate) allocator: String,
    pub(crate) mode: String,
    /// Name of the program.
    program: &'static str,
    /// Mode that the program is asked for.
    program_mode: &'static str,
    around: Around,
}

/// What jemalloc is told so that it samples every 512 KiB.
const JEMALLOC: Around = Around::Variable("_RJEM_MALLOC_CONF", "prof:true,lg_prof_sample:19");

fn way(allocator: &str, program: &'static str, mode: &'static str, around: Around) -> Way {
    Way { allocator: allocator.into(), mode: mode.into(), program, program_mode: mode, around }
}

fn recorder(name: &str, around: Around) -> Way {
    Way { allocator: name.into(), mode: "exact".into(), program: "with_system", program_mode: BARE, around }
}

/// The bare allocator and what costs little beside it.
pub(crate) fn light() -> Vec<Way> {
    let nothing = || Around::Nothing;
    vec![
        way("system", "with_system", BARE, nothing()),
        way("plimsoll", "with_plimsoll", "idle", nothing()),
        way("plimsoll", "with_plimsoll", "sampled", nothing()),
        way("jemalloc", "with_jemalloc", BARE, nothing()),
        way("jemalloc", "with_jemalloc", "sampled", JEMALLOC),
        way("plimsoll/jemalloc", "with_plimsoll_jemalloc", "sampled", nothing()),
        way("mimalloc", "with_mimalloc", BARE, nothing()),
        way("plimsoll/mimalloc", "with_plimsoll_mimalloc", "sampled", nothing()),
        way("tracking-allocator", "with_tracking", "off", nothing()),
        way("tracking-allocator", "with_tracking", "counting", nothing()),
    ]
}

/// The bare allocator and what records every event.
pub(crate) fn recorded(preloads: &[(String, PathBuf)]) -> Vec<Way> {
    let mut ways = vec![
        way("system", "with_system", BARE, Around::Nothing),
        way("plimsoll", "with_plimsoll", "exact", Around::Nothing),
        way("dhat", "with_dhat", "exact", Around::Nothing),
        recorder("heaptrack", Around::Heaptrack),
    ];
    ways.extend(preloads.iter().map(|(name, path)| recorder(name, Around::Preload(path.clone()))));
    ways
}

/// Bare, idle, sampled and exact over the system's allocator.
pub(crate) fn own() -> Vec<Way> {
    let modes = ["idle", "sampled", "exact"];
    let mut ways = vec![way("system", "with_system", BARE, Around::Nothing)];
    ways.extend(modes.map(|mode| way("plimsoll", "with_plimsoll", mode, Around::Nothing)));
    ways
}

/// The way that a way's cost is counted from: the same allocator by itself.
pub(crate) fn base(allocator: &str) -> &str {
    match allocator.split_once('/') {
        Some((_, inner)) => inner,
        None if ["jemalloc", "mimalloc"].contains(&allocator) => allocator,
        None if allocator == "switched" => "switched",
        None => "system",
    }
}

impl Way {
    pub(crate) fn name(&self) -> String {
        row::way(&self.allocator, &self.mode)
    }

    /// Whether it is the system's allocator, by itself or under Plimsoll.
    pub(crate) fn is_own(&self) -> bool {
        ["system", "plimsoll"].contains(&self.allocator.as_str())
    }

    /// Whether it can be had: its program is built, and what is around it is installed.
    pub(crate) fn missing(&self, programs: &Path) -> Option<String> {
        let program = programs.join(self.program);
        if !program.exists() {
            return Some(format!(
                "{} is not built; build it with `cargo build --release -p plimsoll-benches --features peers`",
                self.program
            ));
        }
        match &self.around {
            Around::Heaptrack if Command::new("heaptrack").arg("--version").output().is_err() => {
                Some("heaptrack is not installed (Debian package heaptrack)".into())
            }
            Around::Preload(path) if !path.exists() => Some(format!("{} does not exist", path.display())),
            _ => None,
        }
    }

    /// The command that runs `units` of `workload` once and writes what it writes into `directory`.
    pub(crate) fn command(&self, programs: &Path, workload: &str, units: u64, directory: &Path) -> Command {
        let program = programs.join(self.program);
        let mut command = match &self.around {
            Around::Heaptrack => {
                let mut command = Command::new("heaptrack");
                // The interpreter of 1.4.0 eats all memory on this one.
                command.args((workload == "json").then_some("--raw"));
                command.arg("--output").arg(directory.join("heaptrack")).arg(program);
                command
            }
            _ => Command::new(program),
        };
        match &self.around {
            Around::Variable(name, value) => command.env(name, value),
            Around::Preload(path) => command.env("LD_PRELOAD", path),
            Around::Nothing | Around::Heaptrack => &mut command,
        };
        command.args([workload, "--mode", self.program_mode, "--units", &units.to_string(), "--keep"]).arg(directory);
        // Recorders that are loaded into the program write here.
        command.current_dir(directory);
        command
    }
}
