//! Turns pictures into messages, each once, however many watch: a snapshot when somebody joins, deltas for those who are
//! there, the last deltas for those who come back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use axum::extract::ws::Utf8Bytes;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast;

use crate::follow::{Followed, Follower, Levels, Picture, Series, State as Life};
use crate::present::json::to_line;

use super::live::{ProcessJson, Shown, SumJson, SystemJson};
use super::points::{self, PointJson};
use super::simple::Simple;

/// Messages that a slow client may be behind; of more, the oldest are dropped for it.
const QUEUE: usize = 16;
/// Deltas kept for clients that come back, and their bytes at most.
const KEPT: usize = 60;
const KEPT_BYTES: usize = 4 << 20;
/// Captures whose series are sent in full when somebody joins; of the others the newest points.
const FULL_SERIES: usize = 8;
const FEW_POINTS: usize = 100;

/// A message to all: a picture as the difference to the one before.
#[derive(Debug, Clone)]
pub(super) struct Delta {
    pub(super) number: u64,
    from: u64,
    pub(super) text: Utf8Bytes,
}

/// The newest picture, and what it is as JSON.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) picture: Arc<Picture>,
    /// By id, in the picture's order: as JSON.
    captures: Vec<(String, Box<RawValue>)>,
    /// As a JSON list.
    pub(super) alerts: Box<RawValue>,
    levels: Levels,
    snapshot: OnceLock<Utf8Bytes>,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Hub {
    state: Mutex<State>,
    deltas: broadcast::Sender<Delta>,
    simple: broadcast::Sender<Utf8Bytes>,
}

#[derive(Debug)]
struct State {
    live: Arc<Live>,
    kept: VecDeque<Delta>,
    /// The newest moment sent of each series.
    sent: HashMap<String, u64>,
    simple: Simple,
}

#[derive(Serialize)]
struct SnapshotJson<'a> {
    r#type: &'static str,
    number: u64,
    system: SystemJson,
    sum: SumJson,
    processes: Vec<ProcessJson>,
    captures: Vec<&'a RawValue>,
    alerts: &'a RawValue,
    warnings: &'a [String],
    series: BTreeMap<String, SeriesJson>,
}

#[derive(Serialize)]
struct SeriesJson {
    recent: Vec<PointJson>,
    whole: Vec<PointJson>,
}

#[derive(Serialize)]
struct DeltaJson<'a> {
    r#type: &'static str,
    number: u64,
    from: u64,
    system: SystemJson,
    sum: SumJson,
    processes: Vec<ProcessJson>,
    captures: Vec<&'a RawValue>,
    gone: Vec<&'a str>,
    points: BTreeMap<String, Vec<PointJson>>,
    alerts: &'a RawValue,
    warnings: &'a [String],
}

#[derive(Serialize)]
struct CapturesJson<'a> {
    captures: Vec<&'a RawValue>,
}

/// How a client goes on.
pub(super) struct Joined {
    /// What brings it to the newest picture.
    pub(super) first: Vec<Utf8Bytes>,
    /// What comes then.
    pub(super) then: broadcast::Receiver<Delta>,
    /// Older messages of these are known to it.
    pub(super) number: u64,
}

impl Hub {
    pub(super) fn new(levels: Levels) -> Hub {
        let live = Live {
            picture: Arc::default(),
            captures: Vec::new(),
            alerts: Box::default(),
            levels,
            snapshot: OnceLock::new(),
        };
        let state =
            State { live: Arc::new(live), kept: VecDeque::new(), sent: HashMap::new(), simple: Simple::default() };
        Hub { state: Mutex::new(state), deltas: broadcast::channel(QUEUE).0, simple: broadcast::channel(QUEUE).0 }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest picture.
    pub(super) fn live(&self) -> Arc<Live> {
        self.lock().live.clone()
    }

    /// Tells everybody of a new picture; `control` says which processes answer commands.
    pub(super) fn publish(&self, picture: Arc<Picture>, alerts: Box<RawValue>, control: impl Fn(u32) -> bool) {
        let levels = self.lock().live.levels;
        let shown = Shown { picture: &picture, levels };
        let json = |followed: &Arc<Followed>| {
            let control = followed.state != Life::Killed && followed.pid != 0 && control(followed.pid);
            let line = to_line(&shown.capture(followed, control)).ok()?;
            Some((followed.id.clone(), RawValue::from_string(line).ok()?))
        };
        let captures = picture.captures.iter().filter_map(json).collect();
        let live = Arc::new(Live { picture: picture.clone(), captures, alerts, levels, snapshot: OnceLock::new() });
        let mut state = self.lock();
        if let Some(message) = state.simple.message(&shown) {
            // Without anybody who listens there is nobody to tell.
            let _ = self.simple.send(message);
        }
        if let Some(text) = state.delta(&live) {
            let delta = Delta { number: picture.number, from: state.live.picture.number, text };
            state.keep(delta.clone());
            let _ = self.deltas.send(delta);
        }
        state.live = live;
    }

    /// What a client needs that has seen a picture, or none, and what comes after it.
    pub(super) fn join(&self, resume: Option<u64>) -> Joined {
        let (then, live, missed) = {
            let state = self.lock();
            (self.deltas.subscribe(), state.live.clone(), resume.and_then(|number| state.since(number)))
        };
        let number = live.picture.number;
        let first = missed.unwrap_or_else(|| vec![live.snapshot()]);
        Joined { first, then, number }
    }

    /// The messages for scripts.
    pub(super) fn join_simple(&self) -> broadcast::Receiver<Utf8Bytes> {
        self.simple.subscribe()
    }
}

impl State {
    /// The deltas that a client has missed; `None` when they are not all there any more.
    fn since(&self, number: u64) -> Option<Vec<Utf8Bytes>> {
        let newest = self.live.picture.number;
        if number == newest {
            return Some(Vec::new());
        }
        let missed: Vec<&Delta> = self.kept.iter().filter(|delta| delta.number > number).collect();
        let is_whole = missed.first().is_some_and(|first| first.from == number);
        is_whole.then(|| missed.into_iter().map(|delta| delta.text.clone()).collect())
    }

    fn keep(&mut self, delta: Delta) {
        self.kept.push_back(delta);
        let bytes = |kept: &VecDeque<Delta>| kept.iter().map(|delta| delta.text.len()).sum::<usize>();
        while self.kept.len() > KEPT || (self.kept.len() > 1 && bytes(&self.kept) > KEPT_BYTES) {
            self.kept.pop_front();
        }
    }

    /// The difference to the picture before. Remembers which points were sent.
    fn delta(&mut self, live: &Live) -> Option<Utf8Bytes> {
        let before: HashMap<&str, &str> =
            self.live.captures.iter().map(|(id, json)| (id.as_str(), json.get())).collect();
        let has_changed = |(id, json): &&(String, Box<RawValue>)| before.get(id.as_str()) != Some(&json.get());
        let is_gone = |id: &&str| live.picture.capture(id).is_none();
        let series = live.series();
        let mut points = BTreeMap::new();
        for (id, series) in &series {
            let new = points::after(series, self.sent.get(id).copied());
            if !new.is_empty() {
                points.insert(id.clone(), new);
            }
        }
        let newest = |(id, series): (String, Arc<Series>)| Some((id, series.newest()?.at_ns));
        let shown = live.shown();
        let text = to_line(&DeltaJson {
            r#type: "delta",
            number: live.picture.number,
            from: self.live.picture.number,
            system: shown.system(),
            sum: shown.sum(),
            processes: shown.process_list(),
            captures: live.captures.iter().filter(has_changed).map(|(_, json)| json.as_ref()).collect(),
            gone: before.keys().copied().filter(is_gone).collect(),
            points,
            alerts: &live.alerts,
            warnings: &live.picture.warnings,
        });
        self.sent = series.into_iter().filter_map(newest).collect();
        text.ok().map(Utf8Bytes::from)
    }
}

impl Live {
    fn shown(&self) -> Shown<'_> {
        Shown { picture: &self.picture, levels: self.levels }
    }

    /// `/api/captures`.
    pub(super) fn captures(&self) -> impl Serialize + '_ {
        CapturesJson { captures: self.captures.iter().map(|(_, json)| json.as_ref()).collect() }
    }

    /// The answers made of the picture alone.
    pub(super) fn view(&self) -> Shown<'_> {
        self.shown()
    }

    /// Every series by its name in messages: a capture's id, `pid:N` of a process without one, `sum` and `system`.
    fn series(&self) -> Vec<(String, Arc<Series>)> {
        let captures = self.picture.captures.iter().map(|followed| (followed.id.clone(), followed.series.clone()));
        let alone = self.picture.processes.iter().filter(|process| process.capture.is_none());
        let processes = alone.map(|process| (format!("pid:{}", process.pid), process.series.clone()));
        let sum = ("sum".to_owned(), self.picture.sum.series.clone());
        let system = ("system".to_owned(), self.picture.system.series.clone());
        captures.chain(processes).chain([sum, system]).collect()
    }

    /// The series of a name.
    pub(super) fn series_named(&self, name: &str) -> Option<Arc<Series>> {
        self.series().into_iter().find(|(known, _)| known == name).map(|(_, series)| series)
    }

    /// Everything, for a client that knows nothing: made when the first one asks.
    pub(super) fn snapshot(&self) -> Utf8Bytes {
        let make = || {
            let shown = self.shown();
            let series = self.series().into_iter().enumerate().map(|(at, (id, series))| {
                let is_full = at < FULL_SERIES || id == "sum" || id == "system";
                let (mut recent, mut whole) = (points::recent(&series), Vec::new());
                match is_full {
                    true => whole = points::whole(&series),
                    false => drop(recent.drain(..recent.len().saturating_sub(FEW_POINTS))),
                }
                (id, SeriesJson { recent, whole })
            });
            let text = to_line(&SnapshotJson {
                r#type: "snapshot",
                number: self.picture.number,
                system: shown.system(),
                sum: shown.sum(),
                processes: shown.process_list(),
                captures: self.captures.iter().map(|(_, json)| json.as_ref()).collect(),
                alerts: &self.alerts,
                warnings: &self.picture.warnings,
                series: series.collect(),
            });
            Utf8Bytes::from(text.unwrap_or_default())
        };
        self.snapshot.get_or_init(make).clone()
    }
}

/// Tells of each picture, with the alerts that are raised by then, until nobody wants it any more.
pub(super) fn run(
    hub: &Hub,
    follower: &Follower,
    mut alerts: impl FnMut(&Picture) -> Box<RawValue>,
    goes_on: impl Fn() -> bool,
) {
    let mut number = 0;
    while goes_on() {
        let Some(picture) = follower.wait(number, Duration::from_millis(250)) else { continue };
        number = picture.number;
        let alerts = alerts(&picture);
        hub.publish(picture, alerts, crate::control::reachable);
    }
}
