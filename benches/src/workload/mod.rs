//! What is done under every allocator: deterministic work that ends in a checksum.
//!
//! A workload is prepared outside the measured section (texts to parse, sockets) and then run inside it.

mod churn;
mod cross_thread;
mod deep;
mod grow;
mod json;
pub mod leaks;
mod load;
mod memory;
pub(crate) mod random;
mod requests;
mod service;
pub mod steady;
mod tasks;
mod threads;

/// What a run came to.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// The same for all who did the same work.
    pub checksum: u64,
    /// CPU time of the threads that did the work, where that is not the calling thread's.
    pub own_ns: Option<u64>,
    /// Of requests.
    pub latency: Option<Latency>,
}

impl Outcome {
    /// Work of the calling thread.
    fn of(checksum: u64) -> Outcome {
        Outcome { checksum, ..Outcome::default() }
    }
}

/// How long requests took.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Half of them at most.
    pub p50_ns: u64,
    /// 99 of 100 at most.
    pub p99_ns: u64,
}

/// A workload that is ready to run.
pub trait Work {
    /// What has to be there before the measured part and has to be seen by a profiler that has been started.
    fn settle(&mut self) {}

    /// The measured part.
    fn run(&mut self) -> Outcome;
}

impl<F: FnMut() -> Outcome> Work for F {
    fn run(&mut self) -> Outcome {
        self()
    }
}

/// Any of them.
pub type Job = Box<dyn Work>;

/// A workload.
#[derive(Debug, Clone, Copy)]
pub struct Workload {
    /// Its name.
    pub name: &'static str,
    /// What one unit is.
    pub unit: &'static str,
    /// Units of a run: a few tenths of a second under a plain allocator.
    pub units: u64,
    /// Units of a run under profilers that record every event; 0 where they are not measured.
    pub recorded_units: u64,
    /// Whether other allocators and profilers are measured beside Plimsoll, too.
    pub peers: bool,
    /// How far the number of allocations of equal work may differ, as a share: threads that wait for each other
    /// allocate as it happens.
    pub tolerance: f64,
    /// What it does.
    pub about: &'static str,
    /// Makes the measured part ready, for so many units.
    pub prepare: fn(u64) -> Job,
}

/// All workloads.
pub const ALL: [Workload; 24] = [
    churn::CHURN,
    churn::CHURN_50K,
    churn::CHURN_LARGE,
    deep::STAY_10,
    deep::STAY_50,
    deep::STAY_200,
    deep::FRESH_10,
    deep::FRESH_50,
    deep::FRESH_200,
    json::JSON,
    tasks::TASKS,
    tasks::TASKS_2,
    service::SERVICE,
    service::PACED,
    service::SESSIONS,
    cross_thread::ONE,
    cross_thread::EIGHT,
    grow::GROW,
    grow::ZEROED,
    threads::THREADS,
    memory::HEAP_300,
    memory::CREW,
    leaks::LEAKS,
    load::EMPTY,
];

/// The workload of this name.
pub fn find(name: &str) -> Option<&'static Workload> {
    ALL.iter().find(|workload| workload.name == name)
}

/// All names.
pub fn names() -> [&'static str; ALL.len()] {
    ALL.map(|workload| workload.name)
}
