//! Finds the file that holds a module's symbols: the right one by its build id, or none.
//!
//! Searched in this order: the path in the capture, the directories the user named, the file's debug link, the
//! system's debug directory. The first with DWARF wins, then the first at all.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use object::read::ReadCache;
use object::{Object, ObjectSection};
use plimsoll_format::Module;

/// Where distributions put debug files.
const SYSTEM_DEBUG: &str = "/usr/lib/debug";
/// Larger files are not read.
const MAX_FILE_BYTES: u64 = 16 << 30;
/// Files looked at for one module.
const MAX_CANDIDATES: usize = 64;

/// Finds files by build id.
#[derive(Debug)]
pub(super) struct Finder {
    directories: Vec<PathBuf>,
    opens_files: bool,
}

/// What the search gave.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct FoundFile {
    pub(super) path: Option<PathBuf>,
    pub(super) warning: Option<String>,
}

/// What a file says of itself.
#[derive(Debug, Default, PartialEq, Eq)]
struct Identity {
    build_id: Vec<u8>,
    has_dwarf: bool,
    debug_link: Option<String>,
}

/// Why a candidate was not taken.
enum Refusal {
    Absent,
    OtherBuild(PathBuf),
}

impl Finder {
    pub(super) fn new(directories: &[PathBuf]) -> Finder {
        Finder { directories: directories.to_vec(), opens_files: true }
    }

    /// One that finds nothing, and looks nowhere.
    pub(super) fn none() -> Finder {
        Finder { directories: Vec::new(), opens_files: false }
    }

    /// The best file for a module, and what the user should know.
    pub(super) fn find(&self, module: &Module) -> FoundFile {
        let own = Path::new(&module.path);
        if module.path.is_empty() || !own.is_absolute() || !self.opens_files {
            // The vdso and the like: there is no file, and no news in that.
            return FoundFile::default();
        }
        let mut candidates = vec![own.to_owned()];
        candidates.extend(self.directories.iter().flat_map(|directory| in_directory(directory, own, module)));
        candidates.extend(system_file(module));
        let mut other_build = None;
        let mut best: Option<PathBuf> = None;
        let mut at = 0;
        while let Some(candidate) = candidates.get(at).cloned() {
            at += 1;
            match judge(&candidate, module) {
                Ok(identity) if identity.has_dwarf => return found(candidate, module),
                Ok(identity) => {
                    let linked = debug_files(&candidate, &identity);
                    // Links may go in a circle: each file is looked at once.
                    let new: Vec<PathBuf> = linked.into_iter().filter(|path| !candidates.contains(path)).collect();
                    candidates.extend(new);
                    candidates.truncate(MAX_CANDIDATES);
                    best.get_or_insert(candidate);
                }
                Err(Refusal::OtherBuild(path)) => other_build = other_build.or(Some(path)),
                Err(Refusal::Absent) => {}
            }
        }
        match best {
            Some(path) => found(path, module),
            None => FoundFile { path: None, warning: Some(missing(module, other_build)) },
        }
    }
}

fn found(path: PathBuf, module: &Module) -> FoundFile {
    let unsure = module.build_id.is_empty();
    let warning = unsure.then(|| {
        format!("{} has no build id: names from {} are right only if it is the same build", module.path, path.display())
    });
    FoundFile { path: Some(path), warning }
}

fn missing(module: &Module, other_build: Option<PathBuf>) -> String {
    let reason = match other_build {
        Some(path) => format!("{} is another build (its build id differs)", path.display()),
        None => "the file is not there".to_owned(),
    };
    format!("no symbols for {}: {reason}; give the directory of the right one with --symbols", module.path)
}

/// Reads what a candidate says of itself, and checks that it is the right build.
fn judge(path: &Path, module: &Module) -> Result<Identity, Refusal> {
    let identity = identity(path).ok_or(Refusal::Absent)?;
    if !module.build_id.is_empty() && identity.build_id != module.build_id {
        return Err(Refusal::OtherBuild(path.to_owned()));
    }
    Ok(identity)
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    if !metadata.is_file() || metadata.len() == 0 || metadata.len() > MAX_FILE_BYTES {
        return None;
    }
    let cache = ReadCache::new(BufReader::new(File::open(path).ok()?));
    let file = object::File::parse(&cache).ok()?;
    let link = file.gnu_debuglink().ok().flatten();
    Some(Identity {
        build_id: file.build_id().ok().flatten().unwrap_or_default().to_vec(),
        has_dwarf: file.section_by_name(".debug_info").is_some_and(|section| section.size() > 0),
        debug_link: link.map(|(name, _)| String::from_utf8_lossy(name).into_owned()),
    })
}

fn in_directory(directory: &Path, own: &Path, module: &Module) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    if let Some(name) = own.file_name() {
        let mut debug = name.to_owned();
        debug.push(".debug");
        paths.extend([directory.join(debug), directory.join(name)]);
    }
    paths.extend(by_build_id(directory, module));
    paths
}

fn by_build_id(directory: &Path, module: &Module) -> Option<PathBuf> {
    let hex: String = module.build_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let (first, rest) = hex.split_at_checked(2)?;
    (!rest.is_empty()).then(|| directory.join(".build-id").join(first).join(format!("{rest}.debug")))
}

fn system_file(module: &Module) -> Option<PathBuf> {
    by_build_id(Path::new(SYSTEM_DEBUG), module)
}

/// Where the debug information of a stripped file may be.
fn debug_files(path: &Path, identity: &Identity) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    // A debug link is a bare file name; anything else is not followed.
    let link = identity.debug_link.as_deref().filter(|link| !link.is_empty() && !link.contains('/'));
    if let (Some(link), Some(folder)) = (link, path.parent()) {
        paths.extend([folder.join(link), folder.join(".debug").join(link)]);
        let below = folder.strip_prefix("/").unwrap_or(folder);
        paths.push(Path::new(SYSTEM_DEBUG).join(below).join(link));
    }
    paths
}
