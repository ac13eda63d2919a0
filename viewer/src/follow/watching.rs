//! Makes one picture after the other: finds captures, reads what has come to each, and asks for the processes.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use super::following::Following;
use super::found;
use super::looking::{Board, Candidate};
use super::options::FollowOptions;
use super::picture::{Followed, Picture};
use super::processes::Processes;

/// Captures that are followed at most.
pub(super) const MAX_CAPTURES: usize = 64;

/// What is followed, between two pictures.
#[derive(Debug)]
pub(super) struct Watching {
    options: FollowOptions,
    captures: Vec<Following>,
    processes: Processes,
    number: u64,
}

impl Watching {
    pub(super) fn new(options: FollowOptions) -> Watching {
        let processes = Processes::new(&options.processes, options.levels, options.limit_bytes);
        Watching { options, captures: Vec::new(), processes, number: 0 }
    }

    /// The next picture; results of looks come from the board.
    pub(super) fn picture(&mut self, board: &Board) -> Picture {
        let mut warnings = Vec::new();
        self.find(&mut warnings);
        self.captures.iter_mut().for_each(Following::poll);
        for (id, looked) in board.results() {
            if let Some(known) = self.captures.iter_mut().find(|known| known.id() == id) {
                known.looked(looked);
            }
        }
        let followed = self.followed(board);
        let live = followed.iter().filter(|followed| followed.state.is_live() && followed.pid != 0);
        let recording: BTreeMap<u32, String> = live.map(|followed| (followed.pid, followed.id.clone())).collect();
        let (system, processes, sum) = self.processes.look(&recording);
        self.number += 1;
        let at = Some(SystemTime::now());
        Picture { number: self.number, at, system, captures: followed, processes, sum, warnings }
    }

    /// Takes up captures that are new, and lets go of those whose files are gone.
    fn find(&mut self, warnings: &mut Vec<String>) {
        self.captures.retain(|following| !following.is_over());
        let mut found: Vec<PathBuf> = Vec::new();
        for target in &self.options.targets {
            match found::captures(target) {
                Ok(paths) => found.extend(paths),
                Err(reason) => warnings.push(reason),
            }
        }
        let is_new = |path: &PathBuf| !self.captures.iter().any(|known| known.path() == path);
        let mut new: Vec<PathBuf> = found.into_iter().filter(is_new).collect();
        new.dedup();
        let room = MAX_CAPTURES.saturating_sub(self.captures.len());
        if new.len() > room {
            warnings.push(format!("{} captures are not followed: the newest {MAX_CAPTURES} are", new.len() - room));
        }
        let limit = self.options.limit_bytes;
        self.captures.extend(new.iter().take(room).map(|path| Following::new(path, limit)));
    }

    /// All captures, those that go on first, then the newest.
    fn followed(&self, board: &Board) -> Vec<Arc<Followed>> {
        let levels = self.options.levels;
        let mut followed: Vec<(u64, Arc<Followed>)> =
            self.captures.iter().map(|known| (known.version(), Arc::new(known.followed(&levels)))).collect();
        followed.sort_by_key(|(_, followed)| (!followed.state.is_live(), std::cmp::Reverse(followed.start_wall_ns)));
        let candidates = followed.iter().map(|(version, followed)| Candidate {
            id: followed.id.clone(),
            path: followed.path.clone(),
            version: *version,
        });
        board.offer(candidates.collect());
        followed.into_iter().map(|(_, followed)| followed).collect()
    }
}
