//! `POST /api/control`: what `plimsoll ctl` asks of a program, from the pages. The one thing here that changes anything.

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use plimsoll_format::control::{Answer as Said, MAX_NAME_BYTES, Request, StartOptions};
use serde::{Deserialize, Serialize};

use crate::follow::{AskError, Followed};
use crate::present::{answer_text, safe};

use super::answer::{Answer, Failure};
use super::state::App;

/// The longest body of a request.
const MAX_BODY: usize = 256 << 10;

#[derive(Debug, Deserialize)]
struct Asked {
    capture: String,
    command: String,
    value: Option<serde_json::Value>,
}

#[derive(Serialize)]
struct DoneJson {
    ok: bool,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_returned_bytes: Option<u64>,
}

pub(super) async fn control(State(app): State<App>, body: Body) -> Result<Response, Failure> {
    let too_long = |_| Failure { status: StatusCode::PAYLOAD_TOO_LARGE, why: "the body is longer than 256 KiB".into() };
    let body = to_bytes(body, MAX_BODY).await.map_err(too_long)?;
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
        Failure::bad(format!(
            "expected {{\"capture\":ID,\"command\":COMMAND,\"value\":…}}: {}",
            safe(&error.to_string())
        ))
    })?;
    let request = request(&asked)?;
    let picture = app.hub.live().picture.clone();
    let missing = || Failure::missing("there is no such capture; /api/captures lists them");
    let followed = picture.capture(&asked.capture).ok_or_else(missing)?.clone();
    let place = app.commands.clone().try_acquire_owned();
    let place = place.map_err(|_| Failure::busy("too many commands at once; ask again in a moment"))?;
    let done = tokio::task::spawn_blocking(move || {
        let _place = place;
        ask(&followed, &request)
    });
    let done = done.await.unwrap_or_else(|_| Err(Failure::busy("the command was not carried out")))?;
    // What it did is to be seen at once.
    app.follower.hurry();
    Ok(Answer::json(&done)?.respond(&axum::http::HeaderMap::new()).into_response())
}

/// Asks the capture's process, if it is still that.
fn ask(followed: &Followed, request: &Request) -> Result<DoneJson, Failure> {
    let failed = |error: AskError| Failure { status: StatusCode::CONFLICT, why: error.to_string() };
    let said = followed.ask(request).map_err(failed)?;
    let rss_returned_bytes = match &said {
        Said::Purged(purged) => Some(purged.given_back_bytes()),
        _ => None,
    };
    Ok(DoneJson { ok: !matches!(said, Said::Refused(_)), text: answer_text(&said), rss_returned_bytes })
}

fn request(asked: &Asked) -> Result<Request, Failure> {
    let name = || -> Result<Option<String>, Failure> {
        let text = match &asked.value {
            None | Some(serde_json::Value::Null) => return Ok(None),
            Some(serde_json::Value::String(text)) => text.trim().to_owned(),
            Some(_) => return Err(Failure::bad("value: expected a name")),
        };
        match text.len() {
            0 => Ok(None),
            1..=MAX_NAME_BYTES => Ok(Some(text)),
            _ => Err(Failure::bad(format!("value: a name has at most {MAX_NAME_BYTES} bytes"))),
        }
    };
    let bytes = || {
        let wrong = || Failure::bad("value: expected a number of bytes, at least 1");
        let value =
            asked.value.as_ref().and_then(|value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()));
        value.filter(|bytes| *bytes > 0).ok_or_else(wrong)
    };
    Ok(match asked.command.as_str() {
        "status" => Request::Status,
        "start" => Request::Start(StartOptions::default()),
        "stop" => Request::Stop,
        "pause" => Request::Pause,
        "resume" => Request::Resume,
        "interval" => Request::Interval { bytes: bytes()? },
        "mark" => Request::Mark { name: name()?.ok_or_else(|| Failure::bad("value: expected a name for the moment"))? },
        "snapshot" => Request::Snapshot { name: name()? },
        "flush" => Request::Flush,
        "purge" => Request::Purge,
        other => {
            let known = "start, stop, pause, resume, interval, mark, snapshot, flush, purge";
            return Err(Failure::bad(format!("command {:?}: expected {known}", safe(other))));
        }
    })
}
