//! Services on axum over loopback, the work of `tasks` and the example with sessions: CPU time per request, and how long
//! clients wait.

use std::collections::HashMap;
use std::hint::black_box;
use std::io;
use std::net::SocketAddr;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::Path;
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
    prepare: |requests| prepare(requests, router(0), parse_request, Duration::ZERO),
};

pub(super) const PACED: Workload = Workload {
    name: "service-paced",
    units: 3_000,
    recorded_units: 0,
    peers: false,
    about: "the same with other work in each request, so that it makes at most 4 M pairs per CPU-second; 1,000 requests a second",
    prepare: |requests| prepare(requests, router(OTHER_WORK), parse_request, PACE),
    ..SERVICE
};

pub(super) const SESSIONS: Workload = Workload {
    name: "service-sessions",
    units: 16_000,
    recorded_units: 0,
    peers: false,
    about: "a login of the example axum_sessions: 16 KiB of state in place of the user's former, a page; 8,000 requests a second",
    prepare: |requests| prepare(requests, sessions(), login_request, SESSIONS_PACE),
    ..SERVICE
};

pub(super) const CLIENTS: u32 = 8;
/// Of one client, so that all together send 1,000 requests a second.
const PACE: Duration = Duration::from_millis(CLIENTS as u64);
/// 8,000 a second.
const SESSIONS_PACE: Duration = Duration::from_millis(1);
const SESSION_BYTES: usize = 16 << 10;
/// Steps of work that allocates nothing; about 200 µs.
const OTHER_WORK: u64 = 130_000;

/// Parses, fills a map and serializes it, after steps of work that allocates nothing.
fn router(other_work: u64) -> Router {
    let answer = move |body: String| async move {
        black_box((0..other_work).fold(1, |sum, step| mix(black_box(sum), step)));
        requests::answer(&body)
    };
    Router::new().route("/", post(answer))
}

/// What the example does at a login and a look at the page, without its leak: a new session takes the place of the old.
fn sessions() -> Router {
    let sessions: Arc<Mutex<HashMap<u64, Box<[u8]>>>> = Arc::default();
    let login = move |Path(user): Path<u64>| async move {
        let state = vec![user as u8; SESSION_BYTES].into_boxed_slice();
        let page = format!("<h1>User {user}</h1><p>{} bytes of state</p>", state.len());
        sessions.lock().unwrap_or_else(PoisonError::into_inner).insert(user, state);
        page
    };
    Router::new().route("/login/{user}", post(login))
}

fn parse_request(address: SocketAddr) -> String {
    let body = requests::body();
    format!(
        "POST / HTTP/1.1\r\nHost: {address}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn login_request(address: SocketAddr) -> String {
    format!("POST /login/7 HTTP/1.1\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n")
}

/// Starts the service on a thread of its own and returns where it listens. It ends with the process.
fn start(router: Router) -> io::Result<SocketAddr> {
    let (sender, receiver) = sync_channel(1);
    thread::spawn(move || -> io::Result<()> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_io().build()?;
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            let _ = sender.send(listener.local_addr()?);
            axum::serve(listener, router).await
        })
    });
    receiver.recv().map_err(|_| io::Error::other("the service could not listen on loopback"))
}

/// Starts a service and says how to load it.
fn plan(requests: u64, router: Router, request: fn(SocketAddr) -> String, pace: Duration) -> io::Result<Plan> {
    let address = start(router)?;
    let request = request(address).into_bytes();
    Ok(Plan { address, request, requests: requests / u64::from(CLIENTS), pace })
}

/// Starts the service of this name, which has requests at a fixed rate.
pub(super) fn paced(name: &str) -> io::Result<Plan> {
    match name {
        "service-paced" => plan(0, router(OTHER_WORK), parse_request, PACE),
        "service-sessions" => plan(0, sessions(), login_request, SESSIONS_PACE),
        _ => Err(io::Error::other(format!("{name} is no service at a fixed rate"))),
    }
}

fn prepare(requests: u64, router: Router, request: fn(SocketAddr) -> String, pace: Duration) -> Job {
    let plan = plan(requests, router, request, pace);
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
