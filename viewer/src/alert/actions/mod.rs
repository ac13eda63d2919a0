//! Tells whoever asked for it: a thread takes changes from a bounded queue, so that nothing that is slow keeps the
//! pictures waiting.

mod http;
#[cfg(test)]
mod http_test;
mod program;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use jiff::{Timestamp, Unit};
use plimsoll_format::control::{Answer, Request};

use crate::control;
use crate::present::{answer_text, safe};

use super::{Action, ActionKind, Alert, Change, ChangeState, Rules};

pub(super) use http::check_url;

/// Changes that wait at most; more are counted and left out.
const QUEUE: usize = 256;
/// Alertmanager is told again so often of an alert that goes on.
const AGAIN: Duration = Duration::from_secs(60);
/// At the end, what waits is still told for so long.
const LAST: Duration = Duration::from_secs(5);

/// Carries actions out until it is dropped; what waits then is still told, for five seconds at most.
#[derive(Debug)]
pub struct Runner {
    queue: Option<SyncSender<Change>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    is_ending: AtomicBool,
    left_out: AtomicU64,
}

impl Runner {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// When the system gives none.
    pub fn start(rules: &Rules) -> Result<Runner, std::io::Error> {
        Runner::start_with(rules, AGAIN)
    }

    pub(super) fn start_with(rules: &Rules, again: Duration) -> Result<Runner, std::io::Error> {
        let (queue, changes) = sync_channel(QUEUE);
        let shared = Arc::new(Shared::default());
        let snapshots = rules.rules.iter().filter(|rule| rule.snapshot).map(|rule| rule.name.clone()).collect();
        let mut work = Work {
            actions: rules.actions.clone(),
            snapshots,
            again,
            raised: BTreeMap::new(),
            web: http::Web::new(),
            shared: shared.clone(),
        };
        let thread = thread::Builder::new().name("alerts".to_owned()).spawn(move || work.run(&changes))?;
        Ok(Runner { queue: Some(queue), thread: Some(thread), shared })
    }

    /// Has everybody told of a change. Does not wait.
    pub fn tell(&self, change: Change) {
        let full =
            self.queue.as_ref().is_some_and(|queue| matches!(queue.try_send(change), Err(TrySendError::Full(_))));
        self.shared.left_out.fetch_add(u64::from(full), Ordering::Relaxed);
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.shared.is_ending.store(true, Ordering::Relaxed);
        drop(self.queue.take());
        // One that panicked has said so.
        self.thread.take().map(JoinHandle::join).map(drop).unwrap_or_default();
    }
}

struct Work {
    actions: Vec<Action>,
    /// Rules that ask for a snapshot.
    snapshots: BTreeSet<String>,
    again: Duration,
    /// What Alertmanager is told of again.
    raised: BTreeMap<(String, String), Alert>,
    web: http::Web,
    shared: Arc<Shared>,
}

impl Work {
    fn run(&mut self, changes: &Receiver<Change>) {
        let mut next = Instant::now() + self.again;
        let mut ends = None;
        loop {
            match changes.recv_timeout(next.saturating_duration_since(Instant::now())) {
                Ok(change) => self.carry_out(&change),
                Err(RecvTimeoutError::Timeout) => {
                    self.remind();
                    next = Instant::now() + self.again;
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let left_out = self.shared.left_out.swap(0, Ordering::Relaxed);
            if left_out > 0 {
                complain(&format!("{left_out} alerts were not told of: actions take too long"));
            }
            if self.shared.is_ending.load(Ordering::Relaxed) {
                let ends = *ends.get_or_insert_with(|| Instant::now() + LAST);
                if Instant::now() > ends {
                    return;
                }
            }
        }
    }

    fn carry_out(&mut self, change: &Change) {
        let key = (change.alert.rule.clone(), change.alert.subject.clone());
        match change.state {
            ChangeState::Raised => drop(self.raised.insert(key, change.alert.clone())),
            ChangeState::Cleared => drop(self.raised.remove(&key)),
        }
        for action in self.actions.iter().filter(|action| is_for(action, &change.alert)) {
            if let Err(what) = self.one(&action.kind, change) {
                complain(&what);
            }
        }
        if change.state == ChangeState::Raised && self.snapshots.contains(&change.alert.rule) {
            snapshot(&change.alert);
        }
    }

    fn one(&self, kind: &ActionKind, change: &Change) -> Result<(), String> {
        match kind {
            ActionKind::Log { file } => log(file.as_deref(), change),
            ActionKind::Bell {} if change.state == ChangeState::Raised => bell(),
            ActionKind::Bell {} => Ok(()),
            ActionKind::Exec { command } => program::run(command, change),
            ActionKind::Webhook { url } => self.web.webhook(url, change),
            ActionKind::Alertmanager { url } => {
                let end = (change.state == ChangeState::Cleared).then_some(change.at);
                self.web.alertmanager(url, &[&change.alert], end, self.again)
            }
        }
    }

    /// Tells Alertmanager of what goes on, before it takes it for over.
    fn remind(&self) {
        for action in &self.actions {
            let ActionKind::Alertmanager { url } = &action.kind else { continue };
            let alerts: Vec<&Alert> = self.raised.values().filter(|alert| is_for(action, alert)).collect();
            if alerts.is_empty() {
                continue;
            }
            if let Err(what) = self.web.alertmanager(url, &alerts, None, self.again) {
                complain(&what);
            }
        }
    }
}

fn is_for(action: &Action, alert: &Alert) -> bool {
    alert.level >= action.level && (action.rules.is_empty() || action.rules.contains(&alert.rule))
}

/// `2026-11-24T01:02:03Z red raised at-the-limit: service (4711) uses 91.0 % of its limit …`
pub(crate) fn line(change: &Change) -> String {
    let Change { state, alert, at, why } = change;
    let end = why.as_ref().map_or_else(|| alert.text.clone(), |why| format!("over: {why}"));
    format!("{} {} {} {}: {}; {end}", stamp(*at), alert.level.name(), state.name(), alert.rule, alert.title)
}

/// A moment as RFC 3339 has it, to the millisecond at most.
fn stamp(at: SystemTime) -> String {
    let stamp = Timestamp::try_from(at).unwrap_or(Timestamp::UNIX_EPOCH);
    stamp.round(Unit::Millisecond).unwrap_or(stamp).to_string()
}

fn log(file: Option<&Path>, change: &Change) -> Result<(), String> {
    let line = format!("{}\n", line(change));
    let Some(path) = file else {
        // Nobody could be told that this failed.
        let _ = anstream::stderr().write_all(line.as_bytes());
        return Ok(());
    };
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let written = opened.and_then(|mut file| file.write_all(line.as_bytes()));
    written.map_err(|error| format!("cannot write the alert to {}: {error}", path.display()))
}

/// To the terminal, wherever the output goes.
fn bell() -> Result<(), String> {
    let rung = OpenOptions::new().write(true).open("/dev/tty").and_then(|mut terminal| terminal.write_all(b"\x07"));
    rung.map_err(|error| format!("cannot ring the terminal's bell: {error}"))
}

fn snapshot(alert: &Alert) {
    if !control::reachable(alert.pid) {
        return;
    }
    let name = Some(format!("alert-{}", alert.rule));
    match control::ask(alert.pid, &Request::Snapshot { name }) {
        Ok(Answer::Refused(why)) => complain(&format!("no snapshot of {}: {}", alert.pid, safe(&why))),
        Ok(answer) => complain(&format!("snapshot of {}: {}", alert.pid, answer_text(&answer))),
        Err(error) => complain(&format!("no snapshot of {}: {error}", alert.pid)),
    }
}

/// Says what went wrong, in one line.
fn complain(what: &str) {
    // When even that cannot be written, nobody is there to read it.
    let _ = anstream::stderr().write_all(format!("plimsoll: {}\n", safe(what)).as_bytes());
}
