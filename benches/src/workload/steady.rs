//! A service under load for as long as it takes: clients that go on until they are told to stop, and allocate nothing
//! meanwhile.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use super::load::{Plan, read_answer};
use super::service;

/// Threads of the load are named like this.
pub const LOAD_THREADS: &str = "load-";

/// Latencies that a client keeps of each of two ways; a long run overwrites the oldest.
const KEPT: usize = 100_000;

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    second_way: AtomicBool,
    answers: AtomicU64,
}

/// A service and its clients.
#[derive(Debug)]
pub struct Steady {
    shared: Arc<Shared>,
    clients: Vec<JoinHandle<io::Result<[Vec<u32>; 2]>>>,
}

impl Steady {
    /// Starts the service of the workload with this name, which has a pace, and its clients.
    pub fn start(workload: &str) -> io::Result<Steady> {
        let plan = service::paced(workload)?;
        let shared = Arc::new(Shared::default());
        let started = Instant::now();
        let clients = (0..service::CLIENTS).map(|number| {
            let (plan, shared) = (plan.clone(), Arc::clone(&shared));
            let begin = started + plan.pace * number / service::CLIENTS;
            thread::Builder::new().name(format!("{LOAD_THREADS}{number}")).spawn(move || client(&plan, begin, &shared))
        });
        Ok(Steady { clients: clients.collect::<io::Result<_>>()?, shared })
    }

    /// From now on, latencies are of the first or of the second way.
    pub fn second_way(&self, second: bool) {
        self.shared.second_way.store(second, Relaxed);
    }

    /// Answers so far.
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Relaxed)
    }

    /// Stops the clients and returns what 99 of 100 requests took at most, in nanoseconds: the first way, the second.
    pub fn stop(self) -> io::Result<[u32; 2]> {
        self.shared.stop.store(true, Relaxed);
        let mut all = [Vec::new(), Vec::new()];
        for client in self.clients {
            let seen = client.join().map_err(|_| io::Error::other("a client panicked"))??;
            all.iter_mut().zip(seen).for_each(|(all, seen)| all.extend(seen.into_iter().filter(|ns| *ns != u32::MAX)));
        }
        Ok(all.map(|mut ns| {
            ns.sort_unstable();
            ns.get(ns.len() * 99 / 100).copied().unwrap_or(0)
        }))
    }
}

fn client(plan: &Plan, begin: Instant, shared: &Shared) -> io::Result<[Vec<u32>; 2]> {
    let mut stream = TcpStream::connect(plan.address)?;
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 << 10];
    // Written once, so that the pages are there before anyone looks at the process's memory.
    let mut latencies = [vec![u32::MAX; KEPT], vec![u32::MAX; KEPT]];
    let mut next = [0; 2];
    let mut number = 0;
    while !shared.stop.load(Relaxed) {
        let due = begin + plan.pace * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let way = usize::from(shared.second_way.load(Relaxed));
        io::Write::write_all(&mut stream, &plan.request)?;
        read_answer(&mut stream, &mut buffer)?;
        latencies[way][next[way] % KEPT] = due.elapsed().as_nanos().min(u128::from(u32::MAX - 1)) as u32;
        next[way] += 1;
        number += 1;
        shared.answers.fetch_add(1, Relaxed);
    }
    Ok(latencies)
}
