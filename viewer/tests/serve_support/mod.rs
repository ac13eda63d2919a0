//! Talks to a server over plain sockets, byte by byte, so that no client library makes a request better than it is.
// Each test binary uses a part of this.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use plimsoll_viewer::follow::{FollowOptions, Target};
use plimsoll_viewer::serve::{ServeOptions, Server};
use serde_json::Value;
use tungstenite::client::IntoClientRequest;
use tungstenite::{Message, WebSocket};

/// Nothing here takes that long, unless the machine has much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A server for these targets at any free port, with five pictures a second.
pub(crate) fn serve(targets: Vec<Target>) -> Server {
    let follow = FollowOptions { targets, every: Duration::from_millis(200), ..FollowOptions::default() };
    Server::start(ServeOptions { follow, port: 0, ..ServeOptions::default() }).expect("a free port")
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("text")
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// A header's value; its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// One connection, kept while the server keeps it.
pub(crate) struct Connection(TcpStream);

impl Connection {
    pub(crate) fn to(port: u16) -> Connection {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket has time-outs");
        Connection(stream)
    }

    /// Sends bytes as they are, and reads one answer; `None` when the connection ends without one.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Option<Answer> {
        // A server that refuses early may close before everything is sent.
        let _ = self.0.write_all(request);
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if self.0.read(&mut byte).ok()? == 0 {
                return None;
            }
            head.extend(byte);
        }
        let head = String::from_utf8(head).expect("headers are ASCII");
        let status = head[9..12].parse().expect("a status");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).expect("a whole body");
        Some(Answer { status, head, body })
    }
}

/// Gets something as a program on this machine does.
pub(crate) fn get(port: u16, target: &str) -> Answer {
    get_with(port, target, "")
}

/// The same with more header lines, each with its end.
pub(crate) fn get_with(port: u16, target: &str, headers: &str) -> Answer {
    let request = format!("GET {target} HTTP/1.1\r\nHost: localhost:{port}\r\n{headers}\r\n");
    Connection::to(port).ask(request.as_bytes()).expect("an answer")
}

/// Asks until the answer is as it should be.
pub(crate) fn until(port: u16, target: &str, what: &str, is_so: impl Fn(&Answer) -> bool) -> Answer {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = get(port, target);
        if is_so(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{what} does not come: {} {}", answer.head, answer.text());
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits for a look at the first capture; gives the capture.
pub(crate) fn looked_at(port: u16) -> Value {
    let answer = until(port, "/api/captures", "a look", |answer| answer.json()["captures"][0]["look"].is_object());
    answer.json()["captures"][0].clone()
}

/// A client of the socket.
pub(crate) type Client = WebSocket<TcpStream>;

/// Connects to the socket as a page does.
pub(crate) fn watch(port: u16, target: &str) -> Client {
    watch_over(TcpStream::connect(("127.0.0.1", port)).expect("the server listens"), port, target)
}

/// The same over a connection that is there.
pub(crate) fn watch_over(stream: TcpStream, port: u16, target: &str) -> Client {
    let mut request = format!("ws://localhost:{port}{target}").into_client_request().expect("an address");
    request.headers_mut().insert("Origin", format!("http://localhost:{port}").parse().expect("an origin"));
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket has time-outs");
    tungstenite::client(request, stream).expect("an upgrade").0
}

/// The next message.
pub(crate) fn hear(client: &mut Client) -> Value {
    loop {
        match client.read().expect("a message") {
            Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
            Message::Ping(_) | Message::Pong(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// Says something.
pub(crate) fn say(client: &mut Client, message: &Value) {
    client.send(Message::text(message.to_string())).expect("the server listens");
}
