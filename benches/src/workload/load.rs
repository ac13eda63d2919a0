//! The load on a service: clients with keep-alive connections that allocate nothing while they measure.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use super::{Latency, Outcome, Workload};
use crate::clock;

/// Nothing: what starting and measuring come to.
pub(super) const EMPTY: Workload = Workload {
    name: "empty",
    unit: "run",
    units: 1,
    recorded_units: 1,
    peers: true,
    tolerance: 0.0,
    about: "nothing: the resident set of the process",
    prepare: |_| Box::new(Outcome::default),
};

/// What a client sends and how often.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) address: SocketAddr,
    /// A whole request, with `Connection: keep-alive` as the default.
    pub(super) request: Vec<u8>,
    pub(super) requests: u64,
    /// Time between the beginnings of requests; zero sends the next one as soon as the last is answered.
    pub(super) pace: Duration,
}

/// What the clients saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) answers: u64,
    /// Of all answers' bodies.
    pub(super) body_bytes: u64,
    /// CPU time of the clients.
    pub(super) cpu_ns: u64,
    pub(super) latencies_ns: Vec<u64>,
}

impl Seen {
    fn add(&mut self, other: Seen) {
        self.answers += other.answers;
        self.body_bytes += other.body_bytes;
        self.cpu_ns += other.cpu_ns;
        self.latencies_ns.extend(other.latencies_ns);
    }

    pub(super) fn latency(&mut self) -> Latency {
        self.latencies_ns.sort_unstable();
        let at = |percent: usize| self.latencies_ns.get(self.latencies_ns.len() * percent / 100).copied();
        Latency { p50_ns: at(50).unwrap_or(0), p99_ns: at(99).unwrap_or(0) }
    }
}

/// Runs `clients` of them at once; they begin spread over one pace.
pub(super) fn run(clients: u32, plan: &Plan) -> io::Result<Seen> {
    let started = Instant::now();
    let threads: Vec<_> = (0..clients)
        .map(|number| {
            let plan = plan.clone();
            let begin = started + plan.pace * number / clients;
            thread::spawn(move || client(&plan, begin))
        })
        .collect();
    let mut all = Seen::default();
    for thread in threads {
        all.add(thread.join().map_err(|_| io::Error::other("a client panicked"))??);
    }
    Ok(all)
}

fn client(plan: &Plan, begin: Instant) -> io::Result<Seen> {
    let mut stream = TcpStream::connect(plan.address)?;
    stream.set_nodelay(true)?;
    let mut seen = Seen { latencies_ns: Vec::with_capacity(plan.requests as usize), ..Seen::default() };
    let mut buffer = vec![0; 64 << 10];
    for number in 0..plan.requests as u32 {
        // Where there is a pace, a late answer makes the next request late, and its latency counts from when it was due.
        let due = if plan.pace.is_zero() { Instant::now() } else { begin + plan.pace * number };
        thread::sleep(due.saturating_duration_since(Instant::now()));
        stream.write_all(&plan.request)?;
        seen.body_bytes += read_answer(&mut stream, &mut buffer)?;
        seen.latencies_ns.push(due.elapsed().as_nanos() as u64);
        seen.answers += 1;
    }
    seen.cpu_ns = clock::thread_cpu_ns();
    Ok(seen)
}

/// Reads one answer and returns the length of its body.
pub(super) fn read_answer(stream: &mut TcpStream, buffer: &mut [u8]) -> io::Result<u64> {
    let mut filled = 0;
    loop {
        let read = stream.read(&mut buffer[filled..])?;
        if read == 0 {
            return Err(io::Error::other("the service closed the connection, or its answer is larger than 64 KiB"));
        }
        filled += read;
        if let Some((head, body)) = lengths(&buffer[..filled])?
            && filled as u64 >= head + body
        {
            return Ok(body);
        }
    }
}

/// Lengths of head and body, once the head is there.
fn lengths(received: &[u8]) -> io::Result<Option<(u64, u64)>> {
    let Some(end) = received.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = received.get(..end).unwrap_or_default();
    if !head.starts_with(b"HTTP/1.1 200") {
        return Err(io::Error::other("the service answered something else than 200"));
    }
    let header = b"content-length: ";
    let at = head.windows(header.len()).position(|bytes| bytes.eq_ignore_ascii_case(header));
    let digits = at.and_then(|at| head.get(at + header.len()..)).unwrap_or_default();
    let digits = digits.split(|byte| !byte.is_ascii_digit()).next().unwrap_or_default();
    let body = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    let body: u64 = body.ok_or_else(|| io::Error::other("an answer without content-length"))?;
    Ok(Some((end as u64 + 4, body)))
}
