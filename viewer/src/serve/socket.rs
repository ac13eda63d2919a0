//! `/ws`: hello, a snapshot or what was missed, then one message for each picture. A client that is too slow loses the
//! oldest, is told how many, and gets a new snapshot.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, timeout};

use crate::present::json::to_line;

use super::hub::Joined;
use super::state::App;

/// The longest message from a client.
pub(super) const MAX_MESSAGE: usize = 64 << 10;
/// Messages from a client in a second, on the average; nobody has that much to say.
const MAX_MESSAGES: u32 = 20;
/// The token must have come by then.
const TOKEN_WITHIN: Duration = Duration::from_secs(5);
/// A client that wants to go on where it was says so within this time after the hello.
const RESUME_WITHIN: Duration = Duration::from_millis(250);
/// A message must have gone by then.
const SEND_WITHIN: Duration = Duration::from_secs(30);
/// Time between two pings; a client that answers none for twice as long is gone.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Close codes: wrong or no token; too many messages.
const POLICY: u16 = 1008;

/// How a client asked for the socket.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) app: App,
    /// Its first message must be the token.
    pub(super) owes_token: bool,
    /// It wants the messages for scripts.
    pub(super) is_simple: bool,
    /// Its places among the sockets and the connections.
    pub(super) places: [Arc<OwnedSemaphorePermit>; 2],
}

/// What a client may say.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Said {
    Token {
        token: String,
    },
    /// The picture that it has, and of which server: one that was started again counts anew.
    Resume {
        number: Option<u64>,
        server: Option<String>,
    },
}

#[derive(Serialize)]
struct HelloJson<'a> {
    r#type: &'static str,
    version: &'static str,
    /// Another one each time that the server starts.
    server: &'a str,
    every_ms: u128,
    control: bool,
}

#[derive(Serialize)]
struct LaggedJson {
    r#type: &'static str,
    count: u64,
}

/// The conversation is over.
struct Over;

impl Client {
    /// Talks until one side goes.
    pub(super) async fn talk(self, mut socket: WebSocket) {
        if self.converse(&mut socket).await.is_err() {
            let _ = timeout(Duration::from_secs(1), socket.send(Message::Close(None))).await;
        }
        drop(self.places);
    }

    async fn converse(&self, socket: &mut WebSocket) -> Result<(), Over> {
        if self.owes_token {
            match timeout(TOKEN_WITHIN, heard(socket)).await {
                Ok(Ok(Some(Said::Token { token }))) if self.app.access.is_token(&token) => {}
                _ => return refuse(socket, "the first message must be the token").await,
            }
        }
        if self.is_simple {
            return self.tell_simple(socket).await;
        }
        let every_ms = self.app.every.as_millis();
        let (version, server) = (env!("CARGO_PKG_VERSION"), self.app.id.as_str());
        let hello = HelloJson { r#type: "hello", version, server, every_ms, control: true };
        send(socket, to_line(&hello).unwrap_or_default().into()).await?;
        let resume = self.resume(socket).await?;
        let joined = self.app.hub.join(resume);
        self.tell(socket, joined).await
    }

    /// The picture that the client has, if it says so. Its token, where none is owed, must be right nevertheless.
    async fn resume(&self, socket: &mut WebSocket) -> Result<Option<u64>, Over> {
        let end = Instant::now() + RESUME_WITHIN;
        loop {
            match tokio::time::timeout_at(end, heard(socket)).await {
                Err(_) => return Ok(None),
                Ok(Ok(Some(Said::Resume { number, server }))) => {
                    let is_ours = server.is_none_or(|server| server == self.app.id);
                    return Ok(number.filter(|_| is_ours));
                }
                Ok(Ok(Some(Said::Token { token }))) if self.app.access.is_token(&token) => {}
                Ok(Ok(Some(Said::Token { .. }))) => return refuse(socket, "the token is wrong").await,
                Ok(Ok(None)) => {}
                Ok(Err(over)) => return Err(over),
            }
        }
    }

    async fn tell(&self, socket: &mut WebSocket, mut joined: Joined) -> Result<(), Over> {
        let mut pulse = Pulse::new();
        loop {
            for text in std::mem::take(&mut joined.first) {
                send(socket, text).await?;
            }
            match pulse.next(socket, &mut joined.then).await? {
                Ok(delta) if delta.number > joined.number => send(socket, delta.text).await?,
                Ok(_) => {}
                Err(count) => {
                    let lagged = LaggedJson { r#type: "lagged", count };
                    send(socket, to_line(&lagged).unwrap_or_default().into()).await?;
                    joined = self.app.hub.join(None);
                }
            }
        }
    }

    async fn tell_simple(&self, socket: &mut WebSocket) -> Result<(), Over> {
        let mut messages = self.app.hub.join_simple();
        let mut pulse = Pulse::new();
        loop {
            // Each message holds the last hundred: what a slow client has missed is in the next.
            if let Ok(text) = pulse.next(socket, &mut messages).await? {
                send(socket, text).await?;
            }
        }
    }
}

/// Keeps a conversation alive, and notices when it is not.
struct Pulse {
    ping_at: Instant,
    heard_at: Instant,
    /// Messages that the client may send yet.
    credit: u32,
    credit_at: Instant,
}

impl Pulse {
    fn new() -> Pulse {
        let now = Instant::now();
        Pulse { ping_at: now + PING_EVERY, heard_at: now, credit: MAX_MESSAGES, credit_at: now }
    }

    /// The next message of a queue, or how many were lost; answers the client meanwhile.
    async fn next<T: Clone>(
        &mut self,
        socket: &mut WebSocket,
        queue: &mut Receiver<T>,
    ) -> Result<Result<T, u64>, Over> {
        loop {
            tokio::select! {
                message = queue.recv() => return match message {
                    Ok(message) => Ok(Ok(message)),
                    Err(RecvError::Lagged(count)) => Ok(Err(count)),
                    Err(RecvError::Closed) => Err(Over),
                },
                message = socket.recv() => self.heard(message)?,
                () = tokio::time::sleep_until(self.ping_at) => self.ping(socket).await?,
            }
        }
    }

    /// Nothing that a client says later on matters, but that it does.
    fn heard(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), Over> {
        let Some(Ok(message)) = message else { return Err(Over) };
        self.heard_at = Instant::now();
        if self.credit_at.elapsed() >= Duration::from_secs(1) {
            (self.credit, self.credit_at) = (MAX_MESSAGES, self.heard_at);
        }
        self.credit = self.credit.checked_sub(1).ok_or(Over)?;
        if matches!(message, Message::Close(_)) { Err(Over) } else { Ok(()) }
    }

    async fn ping(&mut self, socket: &mut WebSocket) -> Result<(), Over> {
        if self.heard_at.elapsed() > PING_EVERY * 2 {
            return Err(Over);
        }
        self.ping_at = Instant::now() + PING_EVERY;
        let sent = timeout(SEND_WITHIN, socket.send(Message::Ping(Vec::new().into()))).await;
        if matches!(sent, Ok(Ok(()))) { Ok(()) } else { Err(Over) }
    }
}

async fn send(socket: &mut WebSocket, text: Utf8Bytes) -> Result<(), Over> {
    match timeout(SEND_WITHIN, socket.send(Message::Text(text))).await {
        Ok(Ok(())) => Ok(()),
        _ => Err(Over),
    }
}

/// The next message of the client; `None` for one that says nothing known.
async fn heard(socket: &mut WebSocket) -> Result<Option<Said>, Over> {
    match socket.recv().await {
        Some(Ok(Message::Text(text))) => Ok(serde_json::from_str(&text).ok()),
        Some(Ok(Message::Binary(_) | Message::Ping(_) | Message::Pong(_))) => Ok(None),
        _ => Err(Over),
    }
}

/// Says why it is over.
async fn refuse<T>(socket: &mut WebSocket, why: &'static str) -> Result<T, Over> {
    let reason = Utf8Bytes::from_static(why);
    let _ = timeout(SEND_WITHIN, socket.send(Message::Close(Some(CloseFrame { code: POLICY, reason })))).await;
    Err(Over)
}
