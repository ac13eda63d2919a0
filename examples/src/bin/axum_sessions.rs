//! An HTTP service whose session map never expires: every login leaves 16 KiB behind.
//!
//! The service runs on axum and is loaded by clients of its own over loopback: 4 clients log in 500 users each and then
//! look at their pages. Pages are rendered anew for each request and dropped, as they should be.
//!
//! `axum_sessions 100` goes on until it is stopped, with that many logins a second: something to watch live.
//!
//! What must be seen at the end, 2,000 × 16,384 = 32,768,000:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `remember_session` | live_bytes | 32768000 |
//! | `remember_session` | live_allocations | 2000 |
//! | `remember_session` | total_bytes | 32768000 |
//! | `render_page` | live_bytes | 0 |

use std::alloc::System;
use std::collections::HashMap;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

const CLIENTS: u64 = 4;
const USERS_PER_CLIENT: u64 = 500;
const SESSION_BYTES: usize = 16 << 10;
const WORKERS: usize = 2;

/// State of each user who ever logged in.
struct Sessions(Mutex<HashMap<u64, Box<[u8]>>>);

/// The problem: a session is put in, and nothing ever takes it out.
#[inline(never)]
fn remember_session(sessions: &Sessions, user: u64) {
    let state = vec![user as u8; SESSION_BYTES].into_boxed_slice();
    sessions.0.lock().unwrap_or_else(PoisonError::into_inner).insert(user, state);
}

#[inline(never)]
fn render_page(sessions: &Sessions, user: u64) -> Option<String> {
    let sessions = sessions.0.lock().unwrap_or_else(PoisonError::into_inner);
    let state = sessions.get(&user)?;
    Some(format!("<h1>User {user}</h1><p>{} bytes of state</p>", state.len()))
}

async fn login(State(sessions): State<Arc<Sessions>>, Path(user): Path<u64>) -> StatusCode {
    remember_session(&sessions, user);
    StatusCode::CREATED
}

async fn page(State(sessions): State<Arc<Sessions>>, Path(user): Path<u64>) -> Result<String, StatusCode> {
    render_page(&sessions, user).ok_or(StatusCode::NOT_FOUND)
}

/// One client: logs its users in, and looks at each one's page. At so many logins a second of all clients it never ends.
fn load(address: SocketAddr, client: u64, pace: Option<u32>) -> Result<(), ureq::Error> {
    let agent = ureq::Agent::new_with_defaults();
    let number = if pace.is_some() { usize::MAX } else { USERS_PER_CLIENT as usize };
    let pause = pace.map_or(Duration::ZERO, |pace| Duration::from_secs(CLIENTS) / pace.max(1));
    for user in (client..).step_by(CLIENTS as usize).take(number) {
        thread::sleep(pause);
        agent.post(format!("http://{address}/login/{user}")).send_empty()?;
        agent.get(format!("http://{address}/page/{user}")).call()?.body_mut().read_to_string()?;
    }
    Ok(())
}

/// Serves until the clients are done.
fn serve(sessions: &Arc<Sessions>, pace: Option<u32>) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(WORKERS).enable_io().build()?;
    let routes = Router::new()
        .route("/login/{user}", post(login))
        .route("/page/{user}", get(page))
        .with_state(Arc::clone(sessions));
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind((std::net::Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        println!("serving on http://{address}");
        let (done, all_done) = tokio::sync::oneshot::channel();
        let clients = thread::spawn(move || {
            let clients: Vec<_> =
                (0..CLIENTS).map(|client| thread::spawn(move || load(address, client, pace))).collect();
            let loaded = clients.into_iter().try_for_each(|client| client.join().unwrap_or(Ok(())));
            // The service may have ended by itself; then nobody waits for this.
            let _ = done.send(());
            loaded
        });
        let stop = async move { all_done.await.unwrap_or(()) };
        axum::serve(listener, routes).with_graceful_shutdown(stop).await?;
        clients.join().unwrap_or(Ok(()))?;
        Ok(())
    })
}

fn main() -> Result<(), Box<dyn Error>> {
    let session = plimsoll::Session::from_env_or_idle();
    let pace = std::env::args().nth(1).map(|pace| pace.parse()).transpose()?;
    // The table itself is made once and large enough, so that what grows is only sessions.
    let users = (CLIENTS * USERS_PER_CLIENT) as usize;
    let sessions = Arc::new(Sessions(Mutex::new(HashMap::with_capacity(users))));
    serve(&sessions, pace)?;
    let kept = sessions.0.lock().map_or(0, |sessions| sessions.len());
    println!("{kept} sessions are still in memory");
    plimsoll_examples::finish(session);
    Ok(())
}
