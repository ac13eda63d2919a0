//! Connections: so many at once, each with limits on what it sends and on how long it takes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections at once, WebSockets included; more are closed at once.
pub(super) const MAX_CONNECTIONS: usize = 256;
/// A request's headers must be there within this time.
const READ_HEADERS: Duration = Duration::from_secs(5);
/// Bytes of a request's headers, and their number.
const MAX_HEADER_BYTES: usize = 16 << 10;
const MAX_HEADERS: usize = 64;
/// What was sent must be taken within this time, or its client is given up.
const TAKEN_WITHIN: Duration = Duration::from_secs(30);
/// After a failure to accept: mostly there are no descriptors left for now.
const PAUSE: Duration = Duration::from_millis(100);

/// The connection that a request came by.
#[derive(Debug, Clone)]
pub(super) struct Connection {
    /// Our end of it.
    pub(super) local: SocketAddr,
    /// Its place among those that may be open; a WebSocket goes on holding it.
    pub(super) place: Arc<OwnedSemaphorePermit>,
}

/// Takes connections for ever.
pub(super) async fn accept(listener: TcpListener, router: Router, places: Arc<Semaphore>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        // One too many is closed, which its client sees at once.
        let Ok(place) = places.clone().try_acquire_owned() else { continue };
        tokio::spawn(serve(stream, router.clone(), Arc::new(place)));
    }
}

async fn serve(stream: TcpStream, router: Router, place: Arc<OwnedSemaphorePermit>) {
    let Ok(local) = stream.local_addr() else { return };
    // Small messages, each of which somebody waits for.
    let _ = stream.set_nodelay(true);
    #[cfg(target_os = "linux")]
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(TAKEN_WITHIN));
    let router = router.layer(axum::Extension(Connection { local, place }));
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(READ_HEADERS)
        .max_buf_size(MAX_HEADER_BYTES)
        .max_headers(MAX_HEADERS);
    // What goes wrong with one connection is its client's affair, who sees it close.
    let _ = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)).with_upgrades().await;
}
