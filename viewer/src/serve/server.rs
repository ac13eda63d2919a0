//! Starts and stops: addresses, the port, the token, the threads.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde_json::value::to_raw_value;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Semaphore;

use crate::alert::actions::Runner;
use crate::alert::{Engine, Rules};
use crate::follow::{FollowError, FollowOptions, Follower, Picture};

use super::access::Access;
use super::connections::{MAX_CONNECTIONS, accept};
use super::heavy::{AT_ONCE, Heavy};
use super::hub::{self, Hub};
use super::routes::router;
use super::state::{MAX_SOCKETS, Shared};

/// The port, unless told otherwise.
pub const PORT: u16 = 8002;
/// Ports that are tried when it is taken.
const TRIED: u16 = 100;
/// Commands to processes at once.
const COMMANDS: usize = 4;
/// Random bytes of a token.
const TOKEN_BYTES: usize = 24;

/// Those of a server's name.
const ID_BYTES: usize = 8;

/// What is served, and where.
#[derive(Debug, Clone)]
pub struct ServeOptions {
    /// What is followed.
    pub follow: FollowOptions,
    /// The address to listen on; `None` for this machine's users only. Elsewhere everything needs the token.
    pub listen: Option<IpAddr>,
    /// The port; 0 for any. One that is taken is not taken away: the next free one is used.
    pub port: u16,
    /// Host names, with or without a port, under which others reach us; then everything needs the token.
    pub allow_hosts: Vec<String>,
    /// Rules that are held to every picture, and whose actions are taken; `None` for the shipped ones without actions.
    pub rules: Option<Rules>,
}

impl Default for ServeOptions {
    fn default() -> ServeOptions {
        let follow = FollowOptions::default();
        ServeOptions { follow, listen: None, port: PORT, allow_hosts: Vec::new(), rules: None }
    }
}

/// Why nothing is served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// No address could be had.
    #[error("cannot listen on {address}: {error}; choose another address with --listen, or another port with --port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: io::Error,
    },
    /// The system gave no threads.
    #[error("cannot start the server: {0}; raise the limit of processes and try again")]
    Start(#[source] io::Error),
    /// The system gave no random bytes.
    #[error("cannot make a token: {0}")]
    Token(getrandom::Error),
    /// Nothing can be followed.
    #[error(transparent)]
    Follow(#[from] FollowError),
}

/// Serves until it is dropped; see the [module](super).
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    addresses: Vec<SocketAddr>,
    asked_port: u16,
    token: String,
    runtime: Option<Runtime>,
    publisher: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens, and begins to follow.
    ///
    /// # Errors
    ///
    /// When no address can be had, or the system gives no threads or random bytes.
    pub fn start(mut options: ServeOptions) -> Result<Server, ServeError> {
        let (rules, runner) = match options.rules.take() {
            Some(rules) => (rules.clone(), Some(Runner::start(&rules).map_err(ServeError::Start)?)),
            None => (Rules::shipped(), None),
        };
        options.follow.processes.extend(rules.processes());
        let listeners = listen(options.listen, options.port)?;
        let addresses: Vec<SocketAddr> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let token = random::<TOKEN_BYTES>()?;
        let is_public = addresses.iter().any(|address| !address.ip().is_loopback());
        let follow = &options.follow;
        let look = follow.look.clone().unwrap_or_default();
        let shared = Arc::new(Shared {
            access: Access::new(token.clone(), options.allow_hosts, is_public),
            hub: Hub::new(follow.levels),
            sockets: Arc::new(Semaphore::new(MAX_SOCKETS)),
            heavy: Heavy::default(),
            commands: Arc::new(Semaphore::new(COMMANDS)),
            id: random::<ID_BYTES>()?,
            every: follow.every,
            symbols: look.symbols,
            names: look.names,
            limit_bytes: follow.limit_bytes,
            stopped: AtomicBool::new(false),
            follower: Follower::start(options.follow)?,
        });
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .max_blocking_threads(AT_ONCE + COMMANDS)
            .thread_name("serving")
            .enable_all()
            .build()
            .map_err(ServeError::Start)?;
        let publisher = publish(&shared, rules, runner).map_err(ServeError::Start)?;
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        for listener in listeners {
            let _entered = runtime.enter();
            let listener = tokio::net::TcpListener::from_std(listener).map_err(ServeError::Start)?;
            runtime.spawn(accept(listener, router(shared.clone()), places.clone()));
        }
        Ok(Server {
            shared,
            addresses,
            asked_port: options.port,
            token,
            runtime: Some(runtime),
            publisher: Some(publisher),
        })
    }

    /// Where it listens.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// The port, and whether it is another than was asked for.
    pub fn port(&self) -> (u16, bool) {
        let port = self.addresses.first().map_or(0, SocketAddr::port);
        (port, self.asked_port != 0 && port != self.asked_port)
    }

    /// What who asks for changes, or from elsewhere, must show.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Whether everything needs the token.
    pub fn needs_token(&self) -> bool {
        self.shared.access.is_public()
    }

    /// The address of a page such as `/` for a browser on this machine, with the token where only the browser sees it.
    pub fn url(&self, page: &str) -> String {
        let ip = self.addresses.first().map(SocketAddr::ip);
        let host = match ip {
            Some(ip) if !ip.is_loopback() && !ip.is_unspecified() => match ip {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            },
            Some(IpAddr::V6(_)) => "[::1]".to_owned(),
            _ => "127.0.0.1".to_owned(),
        };
        format!("http://{host}:{}{page}#t={}", self.port().0, self.token)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        if let Some(publisher) = self.publisher.take() {
            // One that panicked has said so.
            let _ = publisher.join();
        }
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

fn random<const BYTES: usize>() -> Result<String, ServeError> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(ServeError::Token)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

/// The thread that turns pictures into messages.
fn publish(shared: &Arc<Shared>, rules: Rules, runner: Option<Runner>) -> io::Result<JoinHandle<()>> {
    let shared = shared.clone();
    let run = move || {
        let goes_on = || !shared.stopped.load(Ordering::Relaxed);
        let mut engine = Engine::new(rules);
        let alerts = |picture: &Picture| {
            let changes = engine.look(picture);
            if let Some(runner) = &runner {
                changes.into_iter().for_each(|change| runner.tell(change));
            }
            to_raw_value(&engine.active()).unwrap_or_default()
        };
        hub::run(&shared.hub, &shared.follower, alerts, goes_on);
    };
    thread::Builder::new().name("publishing".to_owned()).spawn(run)
}

/// Where a server may be that was asked for a port.
pub fn ports(port: u16) -> RangeInclusive<u16> {
    port..=if port == 0 { 0 } else { port.saturating_add(TRIED) }
}

/// Listens on the address, or on this machine's two own: on the port, else the next free one.
fn listen(ip: Option<IpAddr>, port: u16) -> Result<Vec<TcpListener>, ServeError> {
    let first = ip.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
    let ports = ports(port);
    let last = *ports.end();
    for tried in ports {
        match both(first, ip.is_none(), tried) {
            Ok(listeners) => return Ok(listeners),
            Err(error) if error.kind() == ErrorKind::AddrInUse && tried < last => {}
            Err(error) => return Err(ServeError::Listen { address: SocketAddr::new(first, tried), error }),
        }
    }
    let error = ErrorKind::AddrInUse.into();
    Err(ServeError::Listen { address: SocketAddr::new(first, last), error })
}

/// The same port on the address, and of loopback on its IPv6 side, where there is one.
fn both(first: IpAddr, with_second: bool, port: u16) -> io::Result<Vec<TcpListener>> {
    let listener = bind(SocketAddr::new(first, port))?;
    let mut listeners = vec![listener];
    let port = listeners.first().map_or(Ok(port), |listener| listener.local_addr().map(|address| address.port()))?;
    if with_second {
        match bind(SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), port)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == ErrorKind::AddrInUse => return Err(error),
            // A machine without IPv6.
            Err(_) => {}
        }
    }
    Ok(listeners)
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}
