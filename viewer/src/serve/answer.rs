//! Answers: JSON with a tag that says whether it has changed, errors of one line.

use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::present::json::to_line;

/// Why there is no answer, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) status: StatusCode,
    pub(super) why: String,
}

impl Failure {
    /// The request makes no sense.
    pub(super) fn bad(why: impl Into<String>) -> Failure {
        Failure { status: StatusCode::BAD_REQUEST, why: why.into() }
    }

    /// There is no such thing.
    pub(super) fn missing(why: impl Into<String>) -> Failure {
        Failure { status: StatusCode::NOT_FOUND, why: why.into() }
    }

    /// Not now.
    pub(super) fn busy(why: impl Into<String>) -> Failure {
        Failure { status: StatusCode::SERVICE_UNAVAILABLE, why: why.into() }
    }
}

#[derive(Serialize)]
struct FailureJson<'a> {
    error: &'a str,
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let line = to_line(&FailureJson { error: &self.why }).unwrap_or_default();
        (self.status, [(CONTENT_TYPE, HeaderValue::from_static("application/json"))], line).into_response()
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) media_type: &'static str,
    pub(super) bytes: Bytes,
    tag: HeaderValue,
}

/// Tags are of this process: another one may say the same in other words.
static SEED: LazyLock<RandomState> = LazyLock::new(RandomState::new);

impl Answer {
    pub(super) fn new(media_type: &'static str, bytes: impl Into<Bytes>) -> Answer {
        let bytes = bytes.into();
        let tag = format!("\"{:016x}\"", SEED.hash_one(&bytes));
        let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
        Answer { media_type, bytes, tag }
    }

    pub(super) fn json(value: &impl Serialize) -> Result<Answer, Failure> {
        let line = to_line(value).map_err(|error| Failure {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            why: format!("cannot write the answer as JSON: {error}"),
        })?;
        Ok(Answer::new("application/json", line))
    }

    /// The response; without a body when the client has it already.
    pub(super) fn respond(self, headers: &HeaderMap) -> Response {
        let is_known = headers.get(IF_NONE_MATCH).is_some_and(|known| *known == self.tag);
        let (status, body) = match is_known {
            true => (StatusCode::NOT_MODIFIED, Body::empty()),
            false => (StatusCode::OK, Body::from(self.bytes)),
        };
        (status, [(CONTENT_TYPE, HeaderValue::from_static(self.media_type)), (ETAG, self.tag)], body).into_response()
    }
}
