//! The control thread: takes connections, reads one request from each, and answers it.
//!
//! It never waits for a client: whoever has sent no whole request within [`PATIENCE`] is turned away, and the oldest as
//! soon as [`MOST_CLIENTS`] wait. An answer goes out in one piece or not at all.
//!
//! The program may close any descriptor by accident: each is looked at before it is used, and a listener that was lost, or
//! whose file was removed, is made anew, so nothing that the program opens in its place is touched.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use plimsoll_format::control::{Answer, HEADER_BYTES, MAX_REQUEST_BYTES, Request};

use super::Stop;
use super::place::{self, Listener};
use crate::own_file::OwnFile;
use crate::{clock, sys};

/// Longest time for a request to come in.
const PATIENCE: Duration = Duration::from_secs(2);
/// Clients that wait at the same time.
const MOST_CLIENTS: usize = 32;
/// How often the listener is looked at when nobody comes.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The next try to listen after one that failed.
const TRY_EVERY: Duration = Duration::from_secs(30);
/// Pause after a connection could not be taken.
const AFTER_REFUSAL: Duration = Duration::from_millis(200);

/// A connection whose request has not come yet.
struct Client {
    socket: OwnFile,
    got: Vec<u8>,
    until_ns: u64,
}

impl Drop for Client {
    fn drop(&mut self) {
        // For a forked child that has a copy of the descriptor too: the other end is to learn that this is over.
        if let Ok(socket) = self.socket.get() {
            sys::shut_down(socket);
        }
    }
}

/// What became of a client.
enum Next {
    Waits,
    Gone,
}

/// The thread's whole life.
pub(super) fn run(listener: Listener, stop: &Stop, mut answer: impl FnMut(Request) -> Answer) {
    place::clean_beside(&listener.path);
    let mut listener = Some(listener);
    let mut clients: Vec<Client> = Vec::new();
    while !stop.is_asked() {
        let Some(socket) = listener.as_ref().and_then(Listener::get) else {
            // First of all the old one's path: the new one has the same.
            drop(listener.take());
            listener = super::listen_again(stop);
            if listener.is_none() {
                stop.wait(TRY_EVERY);
            }
            continue;
        };
        wait(socket, &clients);
        // The descriptor may have become another file's meanwhile.
        let Some(socket) = listener.as_ref().and_then(Listener::get) else { continue };
        if stop.is_asked() {
            return;
        }
        if let Err(_refused) = take_new(socket, &mut clients) {
            // No descriptors are left, say. Whoever waits stays in the queue.
            stop.wait(AFTER_REFUSAL);
        }
        clients.retain_mut(|client| matches!(serve(client, &mut answer), Next::Waits));
        let now = clock::monotonic_ns();
        clients.retain(|client| now < client.until_ns);
    }
}

/// Waits until somebody comes, a request comes in, or a client's time is up.
fn wait(listener: &File, clients: &[Client]) {
    let now = clock::monotonic_ns();
    let until = clients.iter().map(|client| client.until_ns).min();
    let timeout = until.map_or(LOOK_EVERY, |until| Duration::from_nanos(until.saturating_sub(now)) + ONE_MS);
    let waited = |file: &File| sys::pollfd { fd: file.as_raw_fd(), events: libc::POLLIN, revents: 0 };
    let sockets = clients.iter().filter_map(|client| client.socket.get().ok());
    let mut waited: Vec<sys::pollfd> = std::iter::once(listener).chain(sockets).map(waited).collect();
    sys::poll(&mut waited, timeout);
}

const ONE_MS: Duration = Duration::from_millis(1);

/// Takes everybody in who has come, the newest last.
fn take_new(listener: &File, clients: &mut Vec<Client>) -> io::Result<()> {
    // More than a queue holds: whoever comes faster than this can be turned away must not keep the thread here.
    for _ in 0..1024 {
        let socket = match sys::accept(listener) {
            Ok(socket) => socket,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let user = sys::peer_user(&socket);
        let Ok(socket) = OwnFile::new(socket) else { continue };
        let mut client =
            Client { socket, got: Vec::new(), until_ns: clock::monotonic_ns() + PATIENCE.as_nanos() as u64 };
        if !user.is_some_and(|user| user == sys::user() || user == 0) {
            let user = user.map_or_else(|| "unknown".to_owned(), |user| user.to_string());
            let why = format!("this program takes requests of user {} and of root, not of user {user}", sys::user());
            send(&mut client, &Answer::Refused(why));
            continue;
        }
        if clients.len() >= MOST_CLIENTS {
            clients.remove(0);
        }
        clients.push(client);
    }
    Ok(())
}

/// Reads what has come; answers a whole request.
fn serve(client: &mut Client, answer: &mut impl FnMut(Request) -> Answer) -> Next {
    let has_ended = match read(client) {
        Ok(has_ended) => has_ended,
        Err(()) => return Next::Gone,
    };
    let reply = match Request::from_frame(&client.got) {
        Ok(None) if has_ended => return Next::Gone,
        Ok(None) => return Next::Waits,
        Ok(Some(request)) => answer(request),
        Err(bad) => Answer::Refused(format!("the request is {bad}")),
    };
    send(client, &reply);
    Next::Gone
}

/// Reads what is there, as far as a request can be long; true when no more can come.
fn read(client: &mut Client) -> Result<bool, ()> {
    let mut piece = [0u8; 1024];
    while client.got.len() <= HEADER_BYTES + MAX_REQUEST_BYTES {
        let mut socket = client.socket.get().map_err(|_| ())?;
        match socket.read(&mut piece) {
            Ok(0) => return Ok(true),
            Ok(length) => client.got.extend_from_slice(piece.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return Err(()),
        }
    }
    Ok(true)
}

/// Sends an answer, which fits into what a new socket holds for its reader; who does not read it misses it.
fn send(client: &mut Client, answer: &Answer) {
    if let Ok(mut socket) = client.socket.get() {
        let _ = socket.write(&answer.to_frame());
    }
}
