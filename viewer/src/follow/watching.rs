//! Makes one picture after the other: finds captures, reads what has come to each, and asks for the processes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use super::following::Following;
use super::found::Place;
use super::looking::{Board, Candidate};
use super::options::FollowOptions;
use super::picture::{Followed, Picture};
use super::processes::Processes;

/// Captures that are followed at most.
const MAX_CAPTURES: usize = 64;
/// A picture waits so long for captures that are long to read; the next one goes on.
const CATCH_UP: Duration = Duration::from_millis(400);

/// What is followed, between two pictures.
#[derive(Debug)]
pub(super) struct Watching {
    options: FollowOptions,
    places: Vec<Place>,
    captures: Vec<Following>,
    processes: Processes,
    number: u64,
}

impl Watching {
    pub(super) fn new(options: FollowOptions) -> Watching {
        let processes = Processes::new(&options.processes, options.levels, options.limit_bytes);
        let places = options.targets.iter().map(Place::new).collect();
        Watching { options, places, captures: Vec::new(), processes, number: 0 }
    }

    /// The next picture; results of looks come from the board.
    pub(super) fn picture(&mut self, board: &Board) -> Picture {
        let mut warnings = Vec::new();
        self.find(&mut warnings);
        self.read();
        for (id, looked) in board.results() {
            if let Some(known) = self.captures.iter_mut().find(|known| known.id() == id) {
                known.looked(looked);
            }
        }
        let followed = self.followed();
        self.offer(&followed, board);
        let live = followed.iter().filter(|followed| followed.state.is_live() && followed.pid != 0);
        let recording: BTreeMap<u32, String> = live.map(|followed| (followed.pid, followed.id.clone())).collect();
        let (system, processes, sum) = self.processes.look(&recording);
        self.number += 1;
        let at = Some(SystemTime::now());
        Picture { number: self.number, at, system, captures: followed, processes, sum, warnings }
    }

    /// Takes up captures that are new, and lets go of those whose files are gone or that are too many.
    fn find(&mut self, warnings: &mut Vec<String>) {
        let mut found: Vec<PathBuf> = Vec::new();
        for place in &mut self.places {
            match place.captures() {
                Ok(paths) => found.extend(paths.iter().cloned()),
                Err(reason) => warnings.push(reason.clone()),
            }
        }
        if found.len() > MAX_CAPTURES {
            let left_out = found.len() - MAX_CAPTURES;
            warnings.push(format!("{left_out} captures are not followed: only the newest {MAX_CAPTURES} are"));
            found.truncate(MAX_CAPTURES);
        }
        let is_wanted = |known: &Following| known.is_recording() || found.iter().any(|path| known.is_named(path));
        self.captures.retain(|known| !known.is_over() && is_wanted(known));
        for path in found {
            if !self.captures.iter().any(|known| known.is_named(&path)) {
                self.captures.push(Following::new(&path, self.options.limit_bytes));
            }
        }
    }

    /// Reads what has come to each capture.
    fn read(&mut self) {
        let begin = Instant::now();
        self.captures.iter_mut().for_each(Following::poll);
        while begin.elapsed() < CATCH_UP && self.captures.iter().any(Following::is_behind) {
            self.captures.iter_mut().filter(|known| known.is_behind()).for_each(Following::poll);
        }
    }

    /// All captures, each session once: those that go on first, then the newest.
    fn followed(&self) -> Vec<Arc<Followed>> {
        let levels = self.options.levels;
        let mut seen = BTreeSet::new();
        let once = self.captures.iter().filter(|known| seen.insert(known.id()));
        let mut followed: Vec<Arc<Followed>> = once.map(|known| Arc::new(known.followed(&levels))).collect();
        followed.sort_by_key(|followed| (!followed.state.is_live(), Reverse(followed.start_wall_ns)));
        followed
    }

    /// Says what there is to look at, and lets go of looks that are too many.
    fn offer(&mut self, followed: &[Arc<Followed>], board: &Board) {
        let version = |id: &str| self.captures.iter().find(|known| known.id() == id).map(Following::version);
        let candidate = |followed: &Arc<Followed>| {
            let (id, path) = (followed.id.clone(), followed.path.clone());
            Some(Candidate { version: version(&id)?, id, path })
        };
        let stale = board.offer(followed.iter().filter_map(candidate).collect());
        for known in self.captures.iter_mut().filter(|known| stale.contains(&known.id())) {
            known.forget_look();
        }
    }
}
