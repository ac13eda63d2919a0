//! The work of `tasks` behind axum on loopback: CPU time per request, and how long clients wait.

use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::routing::post;

use super::load::{self, Plan};
use super::random::mix;
use super::{Job, Outcome, Workload, requests};
use crate::clock;

pub(super) const SERVICE: Workload = Workload {
    name: "service",
    unit: "request",
    units: 6_000,
    recorded_units: 600,
    peers: true,
    tolerance: 0.01,
    about: "an axum service of two threads that answers as `tasks` does; 8 connections, as fast as they can",
    prepare: |requests| prepare(requests, 0, Duration::ZERO),
};

pub(super) const PACED: Workload = Workload {
    name: "service-paced",
    units: 3_000,
    recorded_units: 0,
    peers: false,
    about: "the same with other work in each request, so that it makes at most 4 M pairs per CPU-second; 1,000 requests a second",
    prepare: |requests| prepare(requests, OTHER_WORK, Duration::from_millis(u64::from(CLIENTS))),
    ..SERVICE
};

const CLIENTS: u32 = 8;
/// Steps of work that allocates nothing; about 200 µs.
const OTHER_WORK: u64 = 130_000;

/// Starts the service on a thread of its own and returns where it listens. It ends with the process.
fn start(other_work: u64) -> io::Result<SocketAddr> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_io().build()?;
        runtime.block_on(async {
            let answer = move |body: String| async move {
                black_box((0..other_work).fold(1, |sum, step| mix(black_box(sum), step)));
                requests::answer(&body)
            };
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let _ = sender.send(listener.local_addr()?);
            axum::serve(listener, Router::new().route("/", post(answer))).await
        })
    });
    receiver.recv().map_err(|_| io::Error::other("the service could not listen on loopback"))
}

fn plan(address: SocketAddr, requests: u64, pace: Duration) -> Plan {
    let body = requests::body();
    let head =
        format!("POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {}", body.len());
    let request = format!("{head}\r\n\r\n{body}").into_bytes();
    Plan { address, request, requests: requests / u64::from(CLIENTS), pace }
}

fn prepare(requests: u64, other_work: u64, pace: Duration) -> Job {
    let plan = start(other_work).map(|address| plan(address, requests, pace));
    let warm_up = plan.as_ref().map(|plan| load::run(CLIENTS, &Plan { requests: 5, ..plan.clone() }));
    let ready = matches!(warm_up, Ok(Ok(_)));
    Box::new(move || {
        let Some(plan) = plan.as_ref().ok().filter(|_| ready) else { return Outcome::default() };
        let before = clock::process_cpu_ns();
        let Ok(mut seen) = load::run(CLIENTS, plan) else { return Outcome::default() };
        // What is left is the service's own, and a profiler's threads'.
        let own_ns = (clock::process_cpu_ns() - before).saturating_sub(seen.cpu_ns);
        let checksum = mix(seen.answers, seen.body_bytes);
        Outcome { checksum, own_ns: Some(own_ns), latency: Some(seen.latency()) }
    })
}
