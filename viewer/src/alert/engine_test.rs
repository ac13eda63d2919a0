//! The engine, on pictures that are put together here: one a second.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::follow::{Followed, Level, Limit, LimitOf, Picture, Process, Rates, Reading, Series, State, Strip, Trend};
use crate::model::Measure;
use crate::present::json::LostJson;

use super::{Alert, Change, ChangeState, Engine, Rules};

const MIB: u64 = 1 << 20;

/// An alert as actions get it.
pub(super) fn change() -> Change {
    let at = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
    let alert = Alert {
        rule: "much".to_owned(),
        level: Level::Red,
        subject: "a".to_owned(),
        program: "service".to_owned(),
        pid: 4711,
        title: "service (4711) live 2.00 GiB".to_owned(),
        text: "rule much: 1.00 GiB or more".to_owned(),
        since: at,
        value: 2.0 * 1024.0 * MIB as f64,
        unit: "bytes",
    };
    Change { state: ChangeState::Raised, alert, at, why: None }
}

fn followed(id: &str) -> Followed {
    Followed {
        id: id.to_owned(),
        path: "a.plim".into(),
        program: "service".to_owned(),
        pid: 4711,
        mode: None,
        interval_bytes: 1,
        start_wall_ns: 1,
        state: State::Running,
        reason: None,
        latest: Reading::default(),
        series: Arc::default(),
        rates: Rates::default(),
        trend: Trend::default(),
        lost: LostJson::default(),
        limit: None,
        level: None,
        rss: Strip::default(),
        live: Strip::default(),
        markers: Vec::new(),
        behind_bytes: 0,
        look: None,
        look_error: None,
        warnings: Vec::new(),
    }
}

/// Uses so many percent of its limit.
fn using(id: &str, percent: u64) -> Followed {
    let limit = Limit { bytes: 100 * MIB, used_bytes: percent * MIB, of: LimitOf::Cgroup };
    Followed { limit: Some(limit), ..followed(id) }
}

/// Pictures that an engine looks at, one a second.
struct Watch {
    engine: Engine,
    number: u64,
}

impl Watch {
    fn new(rules: &str) -> Watch {
        Watch { engine: Engine::new(Rules::read(rules).unwrap()), number: 0 }
    }

    fn look_at(&mut self, captures: Vec<Followed>, processes: Vec<Process>) -> Vec<String> {
        self.number += 1;
        let picture = Picture {
            number: self.number,
            at: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000 + self.number)),
            captures: captures.into_iter().map(Arc::new).collect(),
            processes: processes.into_iter().map(Arc::new).collect(),
            ..Picture::default()
        };
        let changes = self.engine.look(&picture);
        changes
            .iter()
            .map(|change| format!("{} {} {}", change.state.name(), change.alert.rule, change.alert.subject))
            .collect()
    }

    fn look(&mut self, captures: Vec<Followed>) -> Vec<String> {
        self.look_at(captures, Vec::new())
    }

    /// What each picture of one capture's share changes.
    fn shares(&mut self, percents: &[u64]) -> Vec<Vec<String>> {
        percents.iter().map(|percent| self.look(vec![using("a", *percent)])).collect()
    }
}

const SHARE: &str = r#"
[[rule]]
name = "full"
measure = "limit-share"
level = "red"
above = "90%"
clear = "80%"
hold = "3s"
"#;

const NOTHING: Vec<String> = Vec::new();

#[test]
fn an_alert_is_raised_once_when_its_condition_has_held_and_is_over_below_the_clear_level() {
    let mut watch = Watch::new(SHARE);
    // The third second of the hold time is the fourth picture.
    assert_eq!(watch.shares(&[90, 90, 91]), [NOTHING, NOTHING, NOTHING]);
    assert_eq!(watch.shares(&[95]), [["raised full a"]]);
    // Neither told again, nor over between the levels, the clear level's own value included no more.
    assert_eq!(watch.shares(&[99, 85, 81]), [NOTHING, NOTHING, NOTHING]);
    let [alert] = &watch.engine.active()[..] else { panic!("one alert") };
    assert_eq!(
        (alert.value, alert.level, alert.since),
        (0.81, Level::Red, SystemTime::UNIX_EPOCH + Duration::from_secs(1_001))
    );
    assert_eq!(alert.title, "service (4711) uses 81.0 % of its limit: 81.0 MiB of 100 MiB (cgroup)");
    assert_eq!(alert.text, "rule full: 90.0 % or more for 3.00 s, over at 80.0 %");
    assert_eq!(watch.shares(&[80]), [["cleared full a"]]);
    assert!(watch.engine.active().is_empty());
    // And again, with a hold time of its own.
    assert_eq!(watch.shares(&[95, 95, 95, 95]), [NOTHING, NOTHING, NOTHING, vec!["raised full a".to_owned()]]);
}

#[test]
fn a_break_begins_the_hold_time_anew() {
    let mut watch = Watch::new(SHARE);
    let changes = watch.shares(&[95, 95, 95, 89, 95, 95, 95, 89]);
    assert!(changes.iter().all(Vec::is_empty), "{changes:?}");
}

#[test]
fn what_cannot_be_told_changes_nothing() {
    let mut watch = Watch::new(SHARE);
    watch.shares(&[95, 95, 95, 95]);
    assert_eq!(watch.look(vec![followed("a")]), NOTHING);
    assert_eq!(watch.engine.active().len(), 1);
}

#[test]
fn the_same_picture_again_changes_nothing() {
    let mut engine = Engine::new(Rules::read(&SHARE.replace("3s", "0s")).unwrap());
    let captures = vec![Arc::new(using("a", 95))];
    let picture = Picture { at: Some(SystemTime::now()), captures, ..Picture::default() };
    assert_eq!([engine.look(&picture).len(), engine.look(&picture).len()], [1, 0]);
    assert!(engine.look(&Picture::default()).is_empty(), "the empty picture before the first one says nothing");
    assert_eq!(engine.active().len(), 1);
}

#[test]
fn each_capture_has_its_own_alert_and_one_that_ends_has_none() {
    let mut watch = Watch::new(&SHARE.replace("3s", "0s"));
    assert_eq!(watch.look(vec![using("a", 95), using("b", 95)]), ["raised full a", "raised full b"]);
    let killed = Followed { state: State::Killed, ..using("a", 95) };
    assert_eq!(watch.look(vec![killed]), ["cleared full a", "cleared full b"]);
}

const KILLED: &str = "[[rule]]\nname = \"killed\"\nmeasure = \"killed\"\nlevel = \"red\"\n";

#[test]
fn a_kill_is_told_of_when_it_was_seen_and_until_the_program_is_back() {
    let killed = |id: &str| Followed { state: State::Killed, ..followed(id) };
    let mut watch = Watch::new(KILLED);
    assert_eq!(watch.look(vec![killed("old"), followed("a")]), NOTHING);
    assert_eq!(watch.look(vec![killed("old"), killed("a")]), ["raised killed a"]);
    assert_eq!(watch.look(vec![killed("a")]), NOTHING);
    let again = Followed { start_wall_ns: 2, ..followed("b") };
    assert_eq!(watch.look(vec![again, killed("a")]), ["cleared killed a"]);
    assert_eq!(watch.look(vec![killed("a")]), NOTHING, "it is not told of twice");
}

#[test]
fn a_kill_is_told_of_for_ten_minutes_at_most() {
    let killed = || Followed { state: State::Killed, ..followed("a") };
    let mut watch = Watch::new(KILLED);
    watch.look(vec![followed("a")]);
    assert_eq!(watch.look(vec![killed()]), ["raised killed a"]);
    watch.number += 599;
    assert_eq!(watch.look(vec![killed()]), ["cleared killed a"]);
    assert_eq!(watch.look(vec![killed()]), NOTHING);
}

#[test]
fn growth_rates_fragmentation_and_allocation_rates_are_looked_at() {
    let rules = r#"
[[rule]]
name = "grows"
measure = "growth"
level = "yellow"
above = "1MiB/s"
[[rule]]
name = "busy"
measure = "allocation-rate"
level = "yellow"
above = "1GiB/s"
program = "^serv"
[[rule]]
name = "others"
measure = "allocation-rate"
level = "yellow"
above = "0MiB/s"
program = "^other"
"#;
    let mut watch = Watch::new(rules);
    let growing = |seconds: u64, mib: i64| {
        let trend = Trend { over_ns: seconds * 1_000_000_000, live_bytes: Some(mib * MIB as i64), rss_bytes: None };
        Followed { trend, ..followed("a") }
    };
    assert_eq!(watch.look(vec![growing(5, 500)]), NOTHING, "five seconds are too few");
    assert_eq!(watch.look(vec![growing(60, 59)]), NOTHING);
    assert_eq!(watch.look(vec![growing(60, 60)]), ["raised grows a"]);
    assert_eq!(watch.look(vec![growing(60, -60)]), ["cleared grows a"]);
    let rate = Some(Measure::exact(2 << 30));
    let busy = Followed { rates: Rates { allocated_bytes_per_s: rate, ..Rates::default() }, ..followed("a") };
    assert_eq!(watch.look(vec![busy]), ["raised busy a"]);
}

#[test]
fn processes_without_a_capture_are_looked_at_by_name_and_by_number() {
    let rules = r#"
[[rule]]
name = "database"
measure = "process-bytes"
process = "postgres"
level = "yellow"
above = "1GiB"
[[rule]]
name = "number"
measure = "process-bytes"
process = "12"
level = "yellow"
above = "1GiB"
"#;
    assert_eq!(Rules::read(rules).unwrap().processes(), ["postgres", "12"]);
    let process = |pid, memory: Result<u64, String>| Process {
        pid,
        name: "writer".to_owned(),
        command: "/usr/bin/postgres -D x".to_owned(),
        memory,
        cpu_percent: None,
        has_gone: false,
        limit: None,
        level: None,
        strip: Strip::default(),
        series: Arc::new(Series::default()),
        asked_for: true,
        capture: None,
    };
    let mut watch = Watch::new(rules);
    let look = |watch: &mut Watch, processes| watch.look_at(Vec::new(), processes);
    assert_eq!(look(&mut watch, vec![process(12, Ok(1 << 30))]), ["raised database 12", "raised number 12"]);
    assert_eq!(look(&mut watch, vec![process(12, Err("no".to_owned()))]), NOTHING);
    let gone = Process { has_gone: true, ..process(12, Err("the process has gone".to_owned())) };
    assert_eq!(look(&mut watch, vec![gone]), ["cleared database 12", "cleared number 12"]);
}

#[test]
fn hostile_names_are_spelled_out() {
    let mut watch = Watch::new(&SHARE.replace("3s", "0s"));
    watch.look(vec![Followed { program: "\u{1b}]0;x\u{7}\n\u{202e}".repeat(1_000), ..using("a", 99) }]);
    let [alert] = &watch.engine.active()[..] else { panic!("one alert") };
    assert!(alert.title.chars().all(|character| !character.is_control() && character != '\u{202e}'));
    assert!(alert.title.len() < 2_000, "{}", alert.title.len());
}
