//! What is at which address, and what every answer has.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, Request, State, WebSocketUpgrade};
use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router, middleware};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::access::{Asking, Granted, Wanted};
use super::answer::{Answer, Failure};
use super::assets::Asset;
use super::connections::Connection;
use super::query::Query;
use super::socket::{Client, MAX_MESSAGE};
use super::state::App;
use super::{commands, metrics, points, questions};

/// An answer must be there by then.
const REQUEST_WITHIN: Duration = Duration::from_secs(30);

/// Styles and pictures are as the chart library needs them; scripts are ours alone.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What is answered at which address, for programs.
const OPENAPI: &str = include_str!("../../docs/json/openapi.json");

/// Everything that is served.
pub(super) fn router(app: App) -> Router {
    Router::new()
        .route("/", get(|headers: HeaderMap| async move { page("index.html", &headers) }))
        .route("/visualizer", get(|headers: HeaderMap| async move { page("visualizer.html", &headers) }))
        .route("/assets/{name}", get(asset))
        .route("/api/memory", get(memory))
        .route("/api/processes", get(processes))
        .route("/api/system", get(system))
        .route("/api/captures", get(captures))
        .route("/api/alerts", get(alerts))
        .route("/api/timeline", get(timeline))
        .route("/api/sites", get(questions::sites))
        .route("/api/leaks", get(questions::leaks))
        .route("/api/explain", get(questions::explain))
        .route("/api/histogram", get(questions::histogram))
        .route("/api/diff", get(questions::diff))
        .route("/api/flamegraph.svg", get(questions::flamegraph))
        .route("/api/control", post(commands::control))
        .route("/api/openapi.json", get(openapi))
        .route("/debug/pprof/heap", get(questions::pprof_heap))
        .route("/debug/pprof/allocs", get(questions::pprof_allocs))
        .route("/metrics", get(metrics::metrics))
        .route("/ws", get(socket))
        .fallback(|| async { Failure::missing("there is nothing at this address; docs/api.md lists what there is") })
        .layer(middleware::from_fn_with_state(app.clone(), guard))
        .with_state(app)
}

/// Lets a request through or not, and gives every answer its headers.
async fn guard(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    mut request: Request,
    next: Next,
) -> Response {
    let asking = Asking {
        method: request.method(),
        version: request.version(),
        target: request.uri().path_and_query().map_or("", |target| target.as_str()),
        headers: request.headers(),
        local: connection.local,
        wanted: Wanted::of(request.uri().path()),
    };
    let mut response = match app.access.decide(&asking) {
        Err(refusal) => Failure { status: refusal.status, why: refusal.why.to_owned() }.into_response(),
        Ok(granted) => {
            request.extensions_mut().insert(granted);
            match tokio::time::timeout(REQUEST_WITHIN, next.run(request)).await {
                Ok(response) => response,
                Err(_) => Failure::busy("this takes longer than 30 s; ask for a shorter range").into_response(),
            }
        }
    };
    let headers = response.headers_mut();
    let mut set = |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(CONTENT_SECURITY_POLICY, POLICY);
    set(X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(REFERRER_POLICY, "no-referrer");
    set(HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    set(HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn page(name: &str, headers: &HeaderMap) -> Response {
    match Asset::named(name) {
        Some(asset) => send(asset, headers),
        None => Failure::missing("there is no such page").into_response(),
    }
}

async fn asset(Path(name): Path<String>, headers: HeaderMap) -> Response {
    match Asset::named(&name).filter(|asset| !asset.name.ends_with(".html")) {
        Some(asset) => send(asset, &headers),
        None => Failure::missing("there is no such file").into_response(),
    }
}

/// A file of the pages: the browser may keep it, and asks whether it is still the same.
fn send(asset: &Asset, headers: &HeaderMap) -> Response {
    let takes_gzip = headers.get_all(ACCEPT_ENCODING).iter().any(|value| {
        value.to_str().is_ok_and(|value| value.split(',').any(|one| one.trim().split(';').next() == Some("gzip")))
    });
    let answer = match takes_gzip {
        true => Answer::new(asset.media_type(), asset.gzip()),
        false => match asset.plain() {
            Ok(plain) => Answer::new(asset.media_type(), plain),
            Err(_) => return Failure::missing("this file is damaged").into_response(),
        },
    };
    let mut response = answer.respond(headers);
    let set = response.headers_mut();
    set.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    set.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if takes_gzip && response.status() == StatusCode::OK {
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// An answer in JSON.
fn json(value: &impl Serialize, headers: &HeaderMap) -> Response {
    match Answer::json(value) {
        Ok(answer) => answer.respond(headers),
        Err(failure) => failure.into_response(),
    }
}

async fn memory(State(app): State<App>, headers: HeaderMap) -> Response {
    json(&app.hub.live().view().memory(), &headers)
}

async fn processes(State(app): State<App>, headers: HeaderMap) -> Response {
    json(&app.hub.live().view().processes(), &headers)
}

async fn system(State(app): State<App>, headers: HeaderMap) -> Response {
    json(&app.hub.live().view().system(), &headers)
}

async fn captures(State(app): State<App>, headers: HeaderMap) -> Response {
    json(&app.hub.live().captures(), &headers)
}

#[derive(Serialize)]
struct AlertsJson<'a> {
    alerts: &'a RawValue,
}

async fn alerts(State(app): State<App>, headers: HeaderMap) -> Response {
    json(&AlertsJson { alerts: &app.hub.live().alerts }, &headers)
}

async fn openapi(headers: HeaderMap) -> Response {
    Answer::new("application/json", OPENAPI.as_bytes()).respond(&headers)
}

#[derive(Serialize)]
struct TimelineJson<'a> {
    capture: &'a str,
    series: &'a str,
    points: Vec<points::PointJson>,
}

async fn timeline(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    let capture = query.capture.as_deref().unwrap_or("sum");
    let series = app.hub.live().series_named(capture);
    let series = series.ok_or_else(|| Failure::missing("there is no such capture; /api/captures lists them"))?;
    let name = query.series.as_deref().unwrap_or("recent");
    let points = match name {
        "recent" => points::recent(&series),
        "whole" => points::whole(&series),
        other => return Err(Failure::bad(format!("series={other}: expected recent, whole"))),
    };
    Ok(json(&TimelineJson { capture, series: name, points }, &headers))
}

#[derive(Debug, Deserialize)]
struct SocketQuery {
    simple: Option<String>,
}

async fn socket(
    State(app): State<App>,
    Extension(connection): Extension<Connection>,
    Extension(granted): Extension<Granted>,
    axum::extract::Query(query): axum::extract::Query<SocketQuery>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Failure> {
    let place = app.sockets.clone().try_acquire_owned().map_err(|_| Failure {
        status: StatusCode::TOO_MANY_REQUESTS,
        why: "too many clients watch already; close one".to_owned(),
    })?;
    let client = Client {
        owes_token: granted.owes_token,
        is_simple: query.simple.is_some_and(|simple| simple != "0"),
        places: [Arc::new(place), connection.place],
        app,
    };
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_MESSAGE);
    Ok(upgrade.on_upgrade(|socket| client.talk(socket)))
}
