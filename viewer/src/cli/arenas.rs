//! `list` and `clean`: what processes keep, and dead ones have left, in shared memory.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use plimsoll_format::{ArenaInfo, arena_beside};
use serde::Serialize;

use crate::capture::{ArenaFile, in_shared_memory, inside};
use crate::present::{Screen, safe, units};

use super::error::CliError;
use super::output::{print, print_json};

/// List the processes that record with an arena in shared memory, and what dead ones have left
///
/// A process that records keeps the events that its capture lacks in shared memory. After a kill they are still there:
/// `plimsoll report CAPTURE` reads them, the next start of the program saves them beside the capture, and so does
/// `plimsoll clean`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  plimsoll list\n  plimsoll list --json")]
pub(super) struct ListArgs {
    #[command(flatten)]
    places: Places,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// Save what dead processes have left in shared memory beside their captures, and free the memory
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  plimsoll clean\n  plimsoll clean --dry-run")]
pub(super) struct CleanArgs {
    #[command(flatten)]
    places: Places,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Args)]
struct Places {
    /// Look in these directories too: those that programs were given as PLIMSOLL_ARENA
    #[arg(long, value_name = "DIR")]
    directory: Vec<PathBuf>,
}

impl Places {
    fn arenas(&self) -> Vec<ArenaFile> {
        let told = self.directory.iter().flat_map(|directory| inside(directory));
        in_shared_memory().into_iter().chain(told).collect()
    }
}

/// An arena in JSON.
#[derive(Debug, Serialize)]
struct ArenaJson {
    path: String,
    bytes: u64,
    /// `recording`, `dead`, or `unfinished` when its process died before it had made it.
    state: &'static str,
    program: Option<String>,
    pid: Option<u32>,
    capture: Option<String>,
}

#[derive(Debug, Serialize)]
struct ListJson {
    arenas: Vec<ArenaJson>,
}

fn state(arena: &ArenaFile) -> &'static str {
    match (&arena.info, arena.is_alive()) {
        (_, true) => "recording",
        (Ok(_), false) => "dead",
        (Err(_), false) => "unfinished",
    }
}

fn capture(info: &ArenaInfo) -> PathBuf {
    PathBuf::from(OsString::from_vec(info.capture.clone()))
}

pub(super) fn list(args: &ListArgs) -> Result<(), CliError> {
    let json = |arena: ArenaFile| {
        let info = arena.info.as_ref().ok();
        ArenaJson {
            state: state(&arena),
            program: info.map(|info| info.program.clone()),
            pid: info.map(|info| info.pid),
            capture: info.map(|info| capture(info).to_string_lossy().into_owned()),
            path: arena.path.to_string_lossy().into_owned(),
            bytes: arena.bytes,
        }
    };
    let arenas: Vec<ArenaJson> = args.places.arenas().into_iter().map(json).collect();
    if args.json {
        return print_json(&ListJson { arenas });
    }
    if arenas.is_empty() {
        return print("No process records with an arena in shared memory, and none has left one.\n");
    }
    let mut table = Screen::table(&[1, 3]);
    table.set_header(["program", "pid", "state", "memory", "capture"]);
    for arena in &arenas {
        table.add_row([
            safe(arena.program.as_deref().unwrap_or("?")).into_owned(),
            arena.pid.map_or_else(|| "?".to_owned(), |pid| pid.to_string()),
            arena.state.to_owned(),
            units::bytes(arena.bytes),
            safe(arena.capture.as_deref().unwrap_or(&arena.path)).into_owned(),
        ]);
    }
    let dead = arenas.iter().any(|arena| arena.state != "recording");
    let next = if dead { "Next: plimsoll report CAPTURE of a dead one, then plimsoll clean\n" } else { "" };
    print(&format!("{table}\n{next}"))
}

pub(super) fn clean(args: &CleanArgs) -> Result<(), CliError> {
    let (mut text, mut bytes, mut count) = (String::new(), 0, 0);
    for arena in args.places.arenas().iter().filter(|arena| !arena.is_alive()) {
        let saved = match &arena.info {
            Ok(info) => save(arena, &capture(info), args.dry_run)?,
            Err(_) => None,
        };
        if !args.dry_run {
            remove(&arena.path)?;
        }
        let what = match saved {
            Some(saved) => format!("saved as {}", safe(&saved.to_string_lossy())),
            None => "its capture is gone".to_owned(),
        };
        text.push_str(&format!("{}: {what}\n", safe(&arena.path.to_string_lossy())));
        bytes += arena.bytes;
        count += 1;
    }
    let freed = if args.dry_run { "would be freed" } else { "freed" };
    text.push_str(&match count {
        0 => "No dead process has left anything in shared memory.\n".to_owned(),
        _ => format!("{} {freed}, {}\n", units::things(count, "arena"), units::bytes(bytes)),
    });
    print(&text)
}

/// Copies an arena to beside its capture, where reports find it; `None` when the capture is gone.
fn save(arena: &ArenaFile, capture: &Path, dry_run: bool) -> Result<Option<PathBuf>, CliError> {
    if !fs::symlink_metadata(capture).is_ok_and(|metadata| metadata.is_file()) {
        return Ok(None);
    }
    let saved = arena_beside(capture);
    if dry_run || saved.exists() {
        return Ok(Some(saved));
    }
    let failed = |source: io::Error| CliError::Write { path: saved.clone(), source };
    let bytes = arena.to_keep().map_err(failed)?;
    let mut output = File::options().write(true).create_new(true).mode(0o600).open(&saved).map_err(failed)?;
    if let Err(error) = output.write_all(&bytes).and_then(|()| output.sync_all()) {
        // Half a copy would hide that it is one.
        let _ = fs::remove_file(&saved);
        return Err(failed(error));
    }
    Ok(Some(saved))
}

fn remove(path: &Path) -> Result<(), CliError> {
    match fs::remove_file(path) {
        // The next start of its program was faster.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(|source| CliError::Write { path: path.to_owned(), source }),
    }
}
