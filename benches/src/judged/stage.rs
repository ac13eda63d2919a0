//! Where a program runs: steps by the clock, random numbers by the seed, and the book of what each site holds.

use std::hint::black_box;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use crate::workload::random::Random;

use super::Program;
use super::told::{Told, ToldSite};

/// Length of a step.
pub const STEP: Duration = Duration::from_millis(10);

/// Sites of one program at most.
pub const SITES: usize = 8;

/// Bytes that each site of the program holds now, in the order of its truths.
static HELD: [AtomicI64; SITES] = [const { AtomicI64::new(0) }; SITES];

/// Writes into the book that a site holds so many bytes more, or fewer.
pub(super) fn note(site: usize, bytes: i64) {
    if let Some(held) = HELD.get(site) {
        held.fetch_add(bytes, Ordering::Relaxed);
    }
}

/// A block of memory that is in the book of its site as long as it lives.
#[derive(Debug)]
pub(super) struct Block {
    bytes: Box<[u8]>,
    site: usize,
}

impl Block {
    /// Allocates: in the function that calls, so that this is the site.
    #[inline(always)]
    pub(super) fn new(site: usize, size: usize) -> Block {
        let block = Block { bytes: black_box(vec![0u8; size].into_boxed_slice()), site };
        note(site, size as i64);
        block
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        note(self.site, -(self.bytes.len() as i64));
    }
}

/// Makes functions that allocate a block each, for the truth of the given position: one site each.
macro_rules! sites {
    ($($name:ident = $site:literal;)*) => {
        $(#[inline(never)]
        fn $name(size: usize) -> $crate::judged::stage::Block {
            // Functions that do the same are made one by the compiler; the name makes each differ.
            std::hint::black_box(stringify!($name));
            $crate::judged::stage::Block::new($site, size)
        })*
    };
}
pub(super) use sites;

/// Random numbers that are the same for the same seed.
#[derive(Debug, Clone)]
pub(super) struct Chance(Random);

impl Chance {
    fn new(seed: u64) -> Chance {
        let mut random = Random::new(seed + 1);
        // Neighbouring seeds begin alike.
        for _ in 0..64 {
            random.next();
        }
        Chance(random)
    }

    /// A whole number from 0 to below `end`.
    pub(super) fn below(&mut self, end: u32) -> u32 {
        ((self.0.next() >> 11) % u64::from(end.max(1))) as u32
    }

    /// A whole number from `low` to `high`.
    pub(super) fn between(&mut self, low: u32, high: u32) -> u32 {
        low + self.below(high - low + 1)
    }

    /// True one time in `times`.
    pub(super) fn one_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// From the exponential distribution with this mean, in whole steps of at least 1.
    pub(super) fn lifetime(&mut self, mean: f64) -> u32 {
        let uniform = ((self.0.next() >> 11) + 1) as f64 / (1u64 << 53) as f64;
        (-uniform.ln() * mean).ceil().max(1.0) as u32
    }
}

/// Keeps things until the step in which they are due.
#[derive(Debug)]
pub(super) struct Until<T>(Vec<(u32, T)>);

impl<T> Until<T> {
    /// Of room for so many, so that its own memory does not grow.
    pub(super) fn with_capacity(capacity: usize) -> Until<T> {
        Until(Vec::with_capacity(capacity))
    }

    pub(super) fn keep(&mut self, until: u32, thing: T) {
        self.0.push((until, thing));
    }

    /// Drops what is due.
    pub(super) fn drop_due(&mut self, step: u32) {
        self.0.retain(|(until, _)| *until > step);
    }
}

/// The run of a program, from the start of its recording to the end.
#[derive(Debug)]
pub struct Stage {
    program: &'static Program,
    seed: u64,
    steps: u32,
    step: u32,
    started: Instant,
    session: Option<plimsoll::Session>,
    late: Duration,
    /// By step, then by site.
    book: Vec<[i64; SITES]>,
    told: Option<Told>,
}

impl Stage {
    /// A stage for so many steps. What it needs itself is allocated before the recording starts.
    ///
    /// # Errors
    /// When the recording that the environment asks for cannot start.
    pub fn new(program: &'static Program, seed: u64, steps: u32) -> Result<Stage, plimsoll::Error> {
        let book = Vec::with_capacity(steps as usize);
        let session = Some(plimsoll::Session::from_env()?);
        let started = Instant::now();
        Ok(Stage { program, seed, steps, step: 0, started, session, late: Duration::ZERO, book, told: None })
    }

    /// Random numbers of this run; different ones for each `purpose`.
    pub(super) fn chance(&self, purpose: u64) -> Chance {
        Chance::new(self.seed * 16 + purpose)
    }

    /// The next step, when its time has come. After the last, the recording ends, and there is none.
    pub(super) fn next(&mut self) -> Option<u32> {
        let step = self.step;
        let due = STEP * step;
        if let Some(early) = due.checked_sub(self.started.elapsed()) {
            std::thread::sleep(early);
        }
        if step > 0 && self.book.len() < self.steps as usize {
            self.book.push(std::array::from_fn(|site| HELD[site].load(Ordering::Relaxed)));
        }
        self.late = self.late.max(self.started.elapsed().saturating_sub(due));
        if step == self.steps {
            self.finish();
            return None;
        }
        self.step += 1;
        Some(step)
    }

    fn finish(&mut self) {
        let elapsed = self.started.elapsed();
        let Some(session) = self.session.take() else { return };
        if let Err(error) = session.finish() {
            eprintln!("judged {}: {error}", self.program.name);
        }
        let step_s = elapsed.as_secs_f64() / f64::from(self.steps);
        let of_site = |site: usize| self.book.iter().map(|held| held[site] as f64).collect::<Vec<f64>>();
        let truths = self.program.truths.iter().enumerate();
        self.told = Some(Told {
            program: self.program.name.to_owned(),
            seed: self.seed,
            steps: self.steps,
            elapsed_s: elapsed.as_secs_f64(),
            late_ms: self.late.as_secs_f64() * 1e3,
            sites: truths.map(|(site, truth)| ToldSite::new(truth, &of_site(site), step_s)).collect(),
        });
    }

    /// What the program knows of itself, once it has run.
    pub fn told(self) -> Option<Told> {
        self.told
    }
}
