//! What a child is told to do, what it tells of itself at the end, and how it ends.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::witness::{self, Counts};

/// The variable that makes this program a child: a [`Job`] as JSON.
pub(crate) const VARIABLE: &str = "TORTURE_JOB";
/// What a child's last line begins with; the rest is a [`Told`] as JSON.
pub(crate) const TELLS: &str = "told ";

/// How a child is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// Past Plimsoll.
    #[value(skip)]
    Bare,
    Sampled,
    Exact,
}

/// Both ways to record.
pub(crate) const RECORDED: [Mode; 2] = [Mode::Exact, Mode::Sampled];

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Mode::Bare => "bare",
            Mode::Sampled => "sampled",
            Mode::Exact => "exact",
        })
    }
}

/// What a child is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Job {
    /// What, by the name in the table of `main.rs`.
    pub(crate) work: String,
    /// Which form of it.
    pub(crate) form: String,
    pub(crate) mode: Mode,
    pub(crate) count: u64,
    pub(crate) seconds: f64,
    /// Mean bytes between samples in sampled mode.
    pub(crate) interval_bytes: u64,
    /// Time between ticks.
    pub(crate) tick_ms: u64,
    /// Bound on the capture's size, 0 for none.
    pub(crate) max_bytes: u64,
    /// The capture to write.
    pub(crate) capture: String,
}

impl Job {
    pub(crate) fn new(work: &str, mode: Mode) -> Job {
        Job {
            work: work.to_owned(),
            form: String::new(),
            mode,
            count: 0,
            seconds: 0.0,
            interval_bytes: 4096,
            tick_ms: 100,
            max_bytes: 0,
            capture: String::new(),
        }
    }

    pub(crate) fn form(self, form: &str) -> Job {
        Job { form: form.to_owned(), ..self }
    }

    pub(crate) fn count(self, count: u64) -> Job {
        Job { count, ..self }
    }

    pub(crate) fn seconds(self, seconds: f64) -> Job {
        Job { seconds, ..self }
    }

    pub(crate) fn time(&self) -> Duration {
        Duration::from_secs_f64(self.seconds)
    }

    /// Starts the session of a child; none in mode `bare`.
    pub(crate) fn start(&self) -> Option<plimsoll::Session> {
        let builder = plimsoll::Session::builder().output(&self.capture).tick(Duration::from_millis(self.tick_ms));
        let builder = if self.max_bytes > 0 { builder.max_bytes(self.max_bytes) } else { builder };
        let builder = match self.mode {
            Mode::Bare => {
                witness::pass_plimsoll_by();
                return None;
            }
            Mode::Sampled => builder.sampled(self.interval_bytes),
            Mode::Exact => builder.exact(),
        };
        Some(builder.start().unwrap_or_else(|error| panic!("{error}")))
    }
}

/// Figures of a child's own, by name.
pub(crate) type Figures = BTreeMap<String, f64>;

/// What a child tells at its end.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Told {
    /// What Plimsoll had counted for the program when the session ended: this is what the capture must say.
    pub(crate) recorded: Counts,
    /// What had reached the inner allocator at the end.
    pub(crate) witness: Counts,
    /// What Plimsoll had counted then for the program, and for the agent.
    pub(crate) program: Counts,
    pub(crate) agent_allocations: u64,
    pub(crate) agent_bytes: u64,
    pub(crate) agent_freed_bytes: u64,
    pub(crate) figures: Figures,
    /// Whether the session had ended: else the capture may say more.
    pub(crate) is_last: bool,
}

fn of_program(stats: &plimsoll::Stats) -> Counts {
    let plimsoll::Stats { allocations, bytes, frees, freed_bytes, .. } = *stats;
    Counts { allocations, bytes, frees, freed_bytes }
}

/// Ends the session, if there is one, and tells. All other threads of the program must have ended or be at rest.
pub(crate) fn finish(session: Option<plimsoll::Session>, figures: Figures) {
    let recorded = of_program(&plimsoll::stats());
    let finished = session.map(plimsoll::Session::finish);
    tell(recorded, figures, true);
    if let Some(Err(error)) = finished {
        eprintln!("finish: {error}");
    }
}

/// Tells without ending the session: what the capture must at least say is what was recorded by now.
pub(crate) fn tell_now(figures: Figures) {
    tell(of_program(&plimsoll::stats()), figures, false);
}

fn tell(recorded: Counts, figures: Figures, is_last: bool) {
    // All is read before anything is printed, since printing allocates. The agent's threads may do so at any time
    // while a session records: the agent's counts are read on both sides.
    let mut tries = 0;
    let (witness, stats) = loop {
        let before = plimsoll::stats();
        let witness = Counts::of_witness();
        let stats = plimsoll::stats();
        tries += 1;
        if before.agent_bytes == stats.agent_bytes && before.agent_live_bytes == stats.agent_live_bytes || tries > 1000
        {
            break (witness, stats);
        }
    };
    let told = Told {
        recorded,
        witness,
        program: of_program(&stats),
        agent_allocations: stats.agent_allocations,
        agent_bytes: stats.agent_bytes,
        agent_freed_bytes: stats.agent_bytes - stats.agent_live_bytes,
        figures,
        is_last,
    };
    match serde_json::to_string(&told) {
        Ok(line) => println!("{TELLS}{line}"),
        Err(error) => eprintln!("cannot tell: {error}"),
    }
}
