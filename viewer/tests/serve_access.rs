//! Who is let through: every combination of host, origin, token, method and what browsers say, over real sockets.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use plimsoll_viewer::serve::{ServeOptions, Server};

#[path = "serve_support/mod.rs"]
mod serve_support;

use serve_support::{Connection, get, get_with, serve};

/// What a value of a dimension is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Worth {
    /// It says nothing.
    Absent,
    /// It speaks for the request.
    Ours,
    /// It speaks against it, whatever else is there.
    Foreign,
}

use Worth::{Absent, Foreign, Ours};

/// A value of a header, written for this port; and its worth.
type Choice = (&'static str, Worth);

const HOSTS: [Choice; 8] = [
    ("localhost:PORT", Ours),
    ("127.0.0.1:PORT", Ours),
    ("[::1]:PORT", Ours),
    ("", Absent),
    ("evil.example:PORT", Foreign),
    ("localhost", Foreign),
    ("localhost:1", Foreign),
    ("localhost:PORT.evil.example", Foreign),
];
const ORIGINS: [Choice; 5] = [
    ("", Absent),
    ("http://HOST", Ours),
    ("null", Foreign),
    ("http://evil.example", Foreign),
    ("https://HOST", Foreign),
];
const TOKENS: [Choice; 4] = [("", Absent), ("Bearer TOKEN", Ours), ("Bearer TOKEX", Foreign), ("Basic TOKEN", Foreign)];
const SITES: [Choice; 5] =
    [("", Absent), ("same-origin", Ours), ("none", Ours), ("cross-site", Foreign), ("same-site", Foreign)];
const METHODS: [&str; 4] = ["GET", "POST", "DELETE", "OPTIONS"];
/// Each with its method, and the status when it is let through: the socket opens, the command names no capture.
const TARGETS: [(&str, &str, u16); 4] =
    [("/", "GET", 200), ("/api/system", "GET", 200), ("/ws", "GET", 101), ("/api/control", "POST", 404)];

/// The promise of docs/serve.md: nothing may speak against a request; changes need the token; what browsers let other
/// sites' pages do (the socket, changes) needs our origin, or the token from what is no browser.
fn promised(target: (&str, &str, u16), method: &str, [host, origin, token, site]: [Worth; 4]) -> u16 {
    let (path, takes, through) = target;
    if host == Absent {
        return 400;
    }
    if method != takes {
        return 405;
    }
    if [host, origin, token, site].contains(&Foreign) {
        return 403;
    }
    let by_page = origin == Ours;
    let by_program = token == Ours && site == Absent;
    let is_let_in = match path {
        "/ws" => by_page || by_program,
        "/api/control" => token == Ours && (by_page || by_program),
        _ => true,
    };
    if is_let_in { through } else { 403 }
}

#[test]
fn every_combination_of_host_origin_token_method_and_site_is_as_promised() {
    let server = serve(Vec::new());
    let port = server.port().0;
    let (mut asked, mut let_in) = (0, BTreeMap::new());
    let mut connection = Connection::to(port);
    for (target, method) in TARGETS.into_iter().flat_map(|target| METHODS.map(|method| (target, method))) {
        for (host, origin) in HOSTS.into_iter().flat_map(|host| ORIGINS.map(|origin| (host, origin))) {
            for (token, site) in TOKENS.into_iter().flat_map(|token| SITES.map(|site| (token, site))) {
                let lines =
                    [("Host", host.0), ("Origin", origin.0), ("Authorization", token.0), ("Sec-Fetch-Site", site.0)];
                let lines = lines.into_iter().filter(|(_, value)| !value.is_empty());
                let headers: String = lines.map(|(name, value)| format!("{name}: {value}\r\n")).collect();
                let headers = headers
                    .replace("HOST", host.0)
                    .replace("PORT", &port.to_string())
                    .replace("TOKEN", server.token())
                    .replace("TOKEX", &format!("{}x", &server.token()[1..]));
                let promise = promised(target, method, [host.1, origin.1, token.1, site.1]);
                let answer = send(&mut connection, port, target.0, method, &headers);
                assert_eq!(answer, promise, "{method} {}\n{headers}", target.0);
                asked += 1;
                *let_in.entry(target.0).or_insert(0) += u32::from(answer == target.2);
            }
        }
    }
    assert_eq!(asked, 4 * 4 * 8 * 5 * 4 * 5);
    // 3 hosts. Pages and data: 2 origins (none, ours) × 2 tokens × 3 sites. The socket: from a page 2 × 3, from a program
    // 1. Changes: from a page 1 × 3, from a program 1.
    let expected = [("/", 36), ("/api/control", 12), ("/api/system", 36), ("/ws", 21)];
    assert_eq!(let_in, BTreeMap::from(expected));
}

/// The status of one request. A socket that opens, and a connection that was closed, is replaced.
fn send(connection: &mut Connection, port: u16, target: &str, method: &str, headers: &str) -> u16 {
    let body = "{\"capture\":\"none\",\"command\":\"flush\"}";
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let more = if target == "/ws" { upgrade } else { "" };
    let length = if target == "/api/control" { body.len() } else { 0 };
    let request =
        format!("{method} {target} HTTP/1.1\r\n{headers}{more}Content-Length: {length}\r\n\r\n{}", &body[..length]);
    let answer = connection.ask(request.as_bytes()).expect("an answer");
    if answer.status == 101 || answer.header("connection") == Some("close") || length > 0 {
        *connection = Connection::to(port);
    }
    answer.status
}

#[test]
fn every_answer_tells_browsers_to_be_careful_and_lets_no_other_site_read() {
    let server = serve(Vec::new());
    let port = server.port().0;
    for target in ["/", "/visualizer", "/assets/plotly.min.js", "/api/memory", "/metrics", "/nothing", "/api/sites"] {
        let answer = get_with(port, target, "Accept-Encoding: gzip\r\n");
        let policy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; \
            connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
        assert_eq!(answer.header("content-security-policy"), Some(policy), "{target}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cross-origin-opener-policy"), Some("same-origin"));
        assert_eq!(answer.header("cross-origin-resource-policy"), Some("same-origin"));
        assert!(!answer.head.contains("access-control"), "{}", answer.head);
        assert!(!answer.body.windows(32).any(|bytes| bytes == server.token().as_bytes()), "{target} tells the token");
    }
    let refused = get_with(port, "/api/memory", "Origin: http://evil.example\r\n");
    assert_eq!((refused.status, refused.header("x-content-type-options")), (403, Some("nosniff")));
    assert!(refused.json()["error"].as_str().is_some_and(|error| !error.contains('\n')));
}

#[test]
fn who_can_be_reached_from_elsewhere_asks_everybody_for_the_token() {
    let options = |listen, hosts: &[&str]| ServeOptions {
        listen,
        port: 0,
        allow_hosts: hosts.iter().map(ToString::to_string).collect(),
        ..ServeOptions::default()
    };
    let open = options(Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)), &[]);
    let named = options(None, &["Heap.example", "other.example:443"]);
    for (options, is_named) in [(open, false), (named, true)] {
        let server = Server::start(options).unwrap();
        assert!(server.needs_token());
        let port = server.port().0;
        let token = format!("Authorization: Bearer {}\r\n", server.token());
        for target in ["/api/system", "/metrics", "/debug/pprof/heap", "/api/openapi.json"] {
            assert_eq!(get(port, target).status, 403, "{target}");
        }
        assert_eq!(get(port, "/").status, 200, "a page holds no data");
        assert_eq!(get_with(port, "/api/system", &token).status, 200);
        let by = |host: &str, more: &str| {
            let request = format!("GET /api/system HTTP/1.1\r\nHost: {host}\r\n{token}{more}\r\n");
            Connection::to(port).ask(request.as_bytes()).unwrap().status
        };
        let allowed = if is_named { 200 } else { 403 };
        assert_eq!(by(&format!("heap.example:{port}"), ""), allowed);
        assert_eq!(by("heap.EXAMPLE", "Origin: https://heap.example\r\n"), allowed);
        assert_eq!(by("other.example:443", "Origin: https://other.example:443\r\n"), allowed);
        assert_eq!(by("heap.example", "Origin: https://other.example:443\r\n"), 403);
        assert_eq!(by("other.example", ""), 403);
    }
}

#[test]
fn requests_that_are_too_large_or_too_slow_are_turned_away() {
    let server = serve(Vec::new());
    let port = server.port().0;
    let status = |request: String| Connection::to(port).ask(request.as_bytes()).map(|answer| answer.status);
    let host = format!("Host: localhost:{port}\r\n");
    assert_eq!(status(format!("GET / HTTP/1.0\r\n{host}\r\n")), Some(400));
    assert_eq!(status(format!("GET / HTTP/1.1\r\n{host}{host}\r\n")), Some(400));
    assert_eq!(status(format!("GET /?{} HTTP/1.1\r\n{host}\r\n", "x".repeat(9 << 10))), Some(414));
    assert_eq!(status(format!("GET / HTTP/1.1\r\n{host}X: {}\r\n\r\n", "x".repeat(20 << 10))), Some(431));
    assert_eq!(status(format!("GET / HTTP/1.1\r\n{host}{}\r\n", "X: x\r\n".repeat(65))), Some(431));
    let token = server.token();
    let long = format!("Authorization: Bearer {token}\r\nContent-Length: {}\r\n", 300 << 10);
    assert_eq!(status(format!("POST /api/control HTTP/1.1\r\n{host}{long}\r\n{}", "x".repeat(300 << 10))), Some(413));
    // Headers that never end: closed after 5 s, without an answer or with one that says so.
    let begin = std::time::Instant::now();
    assert!(matches!(status(format!("GET / HTTP/1.1\r\n{host}")), None | Some(408)));
    assert!((4..15).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
}

#[test]
fn a_client_that_takes_nothing_is_given_up() {
    const ANSWERS: usize = 100;
    let server = serve(Vec::new());
    let port = server.port().0;
    let one = get(port, "/assets/plotly.min.js").body.len();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    let request = format!("GET /assets/plotly.min.js HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    stream.write_all(request.repeat(ANSWERS).as_bytes()).expect("they are short");
    std::thread::sleep(std::time::Duration::from_secs(35));
    let mut taken = Vec::new();
    // What the system still holds comes, and then the end, or an error.
    let _ = stream.read_to_end(&mut taken);
    assert!(taken.len() < one * ANSWERS, "all {} bytes come after half a minute", taken.len());
}

#[test]
fn connections_are_counted_and_one_too_many_is_closed() {
    let server = serve(Vec::new());
    let port = server.port().0;
    let mut open: Vec<Connection> = (0..256).map(|_| Connection::to(port)).collect();
    // The last one has its place when it is answered.
    let ask = format!("GET /api/system HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    assert_eq!(open[255].ask(ask.as_bytes()).map(|answer| answer.status), Some(200));
    assert!(Connection::to(port).ask(ask.as_bytes()).is_none(), "the 257th is closed");
    open.truncate(200);
    let end = std::time::Instant::now() + serve_support::PATIENCE;
    while Connection::to(port).ask(ask.as_bytes()).is_none() {
        assert!(std::time::Instant::now() < end, "places of connections that ended stay taken");
    }
}
