//! Holds rules to pictures: pure, so that what it does depends on the pictures alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use crate::follow::{Followed, Picture, State};
use crate::present::safe;

use super::reading::{Found, end_words, is_about, of_capture, of_process};
use super::rules::{Rule, Rules, What};
use super::{Alert, Change, ChangeState};

/// A kill is told of for so long, unless the program comes back before.
const KILL_SHOWN: Duration = Duration::from_secs(600);
/// Characters kept of a program's name.
const MAX_NAME: usize = 100;

/// Knows which alerts are raised. Each rule raises one for each subject, once, until it is over.
#[derive(Debug)]
pub struct Engine {
    rules: Rules,
    tracked: BTreeMap<Key, Tracked>,
    /// Captures whose process was there in an earlier picture: only of these a kill is news.
    seen: BTreeSet<String>,
    /// Kills that have been told of for long enough.
    past: BTreeSet<String>,
}

/// Position of the rule, and what it is about.
type Key = (usize, String);

/// A rule whose threshold is passed.
#[derive(Debug)]
struct Tracked {
    since: SystemTime,
    /// Once it has held for long enough.
    alert: Option<Alert>,
}

/// Something that a rule may be about.
struct Subject<'a> {
    id: String,
    program: &'a str,
    pid: u32,
}

impl Engine {
    /// Without any alert.
    pub fn new(rules: Rules) -> Engine {
        Engine { rules, tracked: BTreeMap::new(), seen: BTreeSet::new(), past: BTreeSet::new() }
    }

    /// The alerts that are raised: the worst first, then the oldest.
    pub fn active(&self) -> Vec<Alert> {
        let mut active: Vec<Alert> = self.tracked.values().filter_map(|tracked| tracked.alert.clone()).collect();
        active.sort_by(|one, other| other.level.cmp(&one.level).then(one.since.cmp(&other.since)));
        active
    }

    /// Holds all rules to a picture; gives what it changed. The same picture again changes nothing.
    pub fn look(&mut self, picture: &Picture) -> Vec<Change> {
        let Some(at) = picture.at else { return Vec::new() };
        let mut changes = Vec::new();
        let mut visited = BTreeSet::new();
        for place in 0..self.rules.rules.len() {
            for (subject, found) in self.subjects(place, picture, at) {
                visited.insert((place, subject.id.clone()));
                self.judge(place, &subject, found, at, &mut changes);
            }
        }
        let gone: Vec<Key> = self.tracked.keys().filter(|key| !visited.contains(*key)).cloned().collect();
        for key in gone {
            let state = picture.capture(&key.1).map(|followed| followed.state);
            let why = state.map_or("it is not followed any more", end_words);
            self.clear(&key, why, at, &mut changes);
        }
        self.remember(picture);
        changes
    }

    /// Everything in a picture that a rule is about, with what the rule finds.
    fn subjects<'a>(&mut self, place: usize, picture: &'a Picture, at: SystemTime) -> Vec<(Subject<'a>, Found)> {
        let mut subjects = Vec::new();
        let Some(rule) = self.rules.rules.get(place) else { return subjects };
        let is_named = |name: &str| rule.program.as_ref().is_none_or(|pattern| pattern.is_match(name));
        for followed in picture.captures.iter().filter(|followed| is_named(&followed.program)) {
            let found = match (rule.what, followed.state) {
                (What::Killed, State::Killed) => match self.kill(place, followed, picture, at) {
                    true => Found::Value { value: 1.0, words: "was killed".to_owned(), more: String::new() },
                    false => Found::Calm,
                },
                (What::ProcessBytes | What::Killed, _) => continue,
                (_, state) if state.is_live() => of_capture(rule, followed),
                _ => continue,
            };
            let subject = Subject { id: followed.id.clone(), program: &followed.program, pid: followed.pid };
            subjects.push((subject, found));
        }
        for process in picture.processes.iter().filter(|process| is_named(&process.name) && !process.has_gone) {
            if is_about(rule, process) {
                let subject = Subject { id: process.pid.to_string(), program: &process.name, pid: process.pid };
                subjects.push((subject, of_process(rule, process)));
            }
        }
        subjects
    }

    /// Whether a killed capture is still to be told of.
    fn kill(&self, place: usize, followed: &Followed, picture: &Picture, at: SystemTime) -> bool {
        let since = self.tracked.get(&(place, followed.id.clone())).map_or(at, |tracked| tracked.since);
        let is_back = |other: &Followed| {
            other.state.is_live() && other.program == followed.program && other.start_wall_ns > followed.start_wall_ns
        };
        self.seen.contains(&followed.id)
            && !self.past.contains(&followed.id)
            && between(since, at) < KILL_SHOWN
            && !picture.captures.iter().any(|other| is_back(other))
    }

    fn judge(&mut self, place: usize, subject: &Subject<'_>, found: Found, at: SystemTime, changes: &mut Vec<Change>) {
        let key = (place, subject.id.clone());
        let Some(rule) = self.rules.rules.get(place) else { return };
        let (value, words, more) = match found {
            Found::Unknown => return,
            Found::Calm => {
                let why = match rule.what {
                    What::Killed => "it is back, or was told of for long enough",
                    _ => "there is nothing of it any more",
                };
                return self.clear(&key, why, at, changes);
            }
            Found::Value { value, words, more } => (value, words, more),
        };
        let is_raised = self.tracked.get(&key).is_some_and(|tracked| tracked.alert.is_some());
        let bound = if is_raised { rule.clear } else { rule.threshold };
        // What reaches the threshold is beyond it; what is back at a clear level of its own is over.
        let is_beyond = match (rule.is_below, bound == rule.threshold) {
            (false, true) => value >= bound,
            (false, false) => value > bound,
            (true, true) => value <= bound,
            (true, false) => value < bound,
        };
        if !is_beyond {
            let why = format!("{words}, which is {}", if rule.is_below { "late enough" } else { "little enough" });
            return self.clear(&key, &why, at, changes);
        }
        let alert = make(rule, subject, value, &words, &more, at);
        let tracked = self.tracked.entry(key).or_insert(Tracked { since: at, alert: None });
        let since = tracked.since;
        if tracked.alert.is_none() && between(since, at) < rule.hold {
            return;
        }
        let alert = Alert { since, ..alert };
        if tracked.alert.is_none() {
            changes.push(Change { state: ChangeState::Raised, alert: alert.clone(), at, why: None });
        }
        tracked.alert = Some(alert);
    }

    /// Forgets that a threshold was passed, and says so if it was told of.
    fn clear(&mut self, key: &Key, why: &str, at: SystemTime, changes: &mut Vec<Change>) {
        let Some(tracked) = self.tracked.remove(key) else { return };
        if self.rules.rules.get(key.0).is_some_and(|rule| rule.what == What::Killed) {
            self.past.insert(key.1.clone());
        }
        if let Some(alert) = tracked.alert {
            changes.push(Change { state: ChangeState::Cleared, alert, at, why: Some(why.to_owned()) });
        }
    }

    /// Remembers whose process was there, of what is still in the picture.
    fn remember(&mut self, picture: &Picture) {
        let ids = || picture.captures.iter();
        self.seen.retain(|id| picture.capture(id).is_some());
        self.past.retain(|id| picture.capture(id).is_some());
        self.seen
            .extend(ids().filter(|followed| followed.state.is_live() && followed.pid != 0).map(|one| one.id.clone()));
    }
}

/// Time from one moment to another; none when the clock was set back.
fn between(from: SystemTime, to: SystemTime) -> Duration {
    to.duration_since(from).unwrap_or_default()
}

fn make(rule: &Rule, subject: &Subject<'_>, value: f64, words: &str, more: &str, at: SystemTime) -> Alert {
    let name: String = subject.program.chars().take(MAX_NAME).collect();
    let name = safe(&name);
    let mut text = says(rule);
    if !more.is_empty() {
        text = format!("{more}; {text}");
    }
    Alert {
        rule: rule.name.clone(),
        level: rule.level,
        subject: subject.id.clone(),
        program: name.clone().into_owned(),
        pid: subject.pid,
        title: format!("{name} ({}) {words}", subject.pid),
        text,
        since: at,
        value,
        unit: rule.what.unit().name(),
    }
}

/// What a rule says, in words.
fn says(rule: &Rule) -> String {
    let show = |value| rule.what.unit().show(value);
    let begin = format!("rule {}", rule.name);
    if rule.what == What::Killed || (rule.what == What::Leak && rule.threshold == 0.0) {
        return begin;
    }
    let beyond = if rule.is_below { "or less" } else { "or more" };
    let hold = match rule.hold {
        Duration::ZERO => String::new(),
        hold => format!(" for {}", super::amount::Unit::Seconds.show(hold.as_secs_f64())),
    };
    let clear = if rule.clear == rule.threshold { String::new() } else { format!(", over at {}", show(rule.clear)) };
    format!("{begin}: {} {beyond}{hold}{clear}", show(rule.threshold))
}
