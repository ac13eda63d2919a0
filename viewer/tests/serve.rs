//! The dashboard's server from the outside: what it answers, what its socket tells, and that it says the same as the
//! command line.
#![forbid(unsafe_code)]

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use plimsoll_format::{Header, Mode, Record, Tick, Totals};
use plimsoll_viewer::follow::{FollowOptions, Target};
use plimsoll_viewer::serve::{ServeOptions, Server};
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

#[path = "serve_support/mod.rs"]
mod serve_support;
#[path = "support/mod.rs"]
mod support;

use serve_support::{Connection, get, get_with, hear, looked_at, say, serve, until, watch, watch_over};
use support::{CaptureBuilder, START, alloc, counters, header};

const SECOND: u64 = 1_000_000_000;

/// A real service's capture, sampled.
fn sessions() -> Target {
    Target::named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/axum-64k.plim"))
}

/// A second of a process: memory and counters, with so many live bytes.
fn tick(builder: &mut CaptureBuilder, second: u64, bytes: u64) {
    let ticks = START + second * SECOND;
    let process = plimsoll_format::ProcessMemory { rss_bytes: 2 * bytes, ..Default::default() };
    builder.record(Record::Tick(Tick { ticks, process, ..Tick::default() }));
    builder.record(Record::Counters(counters(ticks, Totals { allocations: 1, bytes, ..Totals::default() }, bytes)));
    builder.watermark(ticks);
}

/// A process that a capture can be of.
struct Sleeper(Child);

impl Sleeper {
    fn new() -> Sleeper {
        Sleeper(Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().expect("sleep is there"))
    }

    fn capture(&self) -> CaptureBuilder {
        CaptureBuilder::with_header(Header {
            session: 7,
            pid: self.0.id(),
            program: "sleep".into(),
            ..header(Mode::Exact, 1)
        })
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What the command line says in JSON.
fn command_line(arguments: &[&str]) -> Value {
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/axum-64k.plim");
    let output =
        Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(arguments).args([capture, "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn sites_leaks_and_histograms_are_those_of_the_command_line() {
    let server = serve(vec![sessions()]);
    let port = server.port().0;
    let capture = looked_at(port);
    assert_eq!((capture["program"].as_str(), capture["state"].as_str()), (Some("axum_sessions"), Some("ended")));
    let ask = |target: &str| {
        let answer = get(port, target);
        assert_eq!(answer.status, 200, "{target}: {}", answer.text());
        answer.json()
    };
    let report = command_line(&["report", "--top", "0"]);
    let sites = ask("/api/sites?limit=10000");
    assert_eq!(sites["sites"], report["sites"]);
    assert_eq!(sites["total_rows"], report["sites_total"]);
    assert_eq!(
        ask("/api/sites?offset=1&limit=2")["sites"].as_array(),
        Some(&report["sites"].as_array().unwrap()[1..3].to_vec())
    );
    let leaks = command_line(&["leaks", "--top", "0"]);
    assert_eq!(ask("/api/leaks?limit=10000")["sites"], leaks["sites"]);
    assert_eq!(capture["look"]["leaks"], 1);
    // A range, by milliseconds and as the command line has it.
    let range = command_line(&["report", "--top", "0", "--from", "100ms", "--to", "300ms", "--by", "crate"]);
    let asked = ask("/api/sites?from=100&to=300ms&by=crate");
    assert_eq!((&asked["sites"], asked["from_ms"].as_f64()), (&range["sites"], Some(100.0)));
    for of in ["size", "lifetime", "age"] {
        let histogram = command_line(&["histogram", "--by", of]);
        assert_eq!(ask(&format!("/api/histogram?of={of}"))["buckets"], histogram["buckets"], "{of}");
    }
    let diff = command_line(&["diff", "--from", "100ms", "--to", "300ms", "--top", "0"]);
    let asked = ask("/api/diff?before=100&after=300");
    assert_eq!((&asked["changes"], &asked["compared"]), (&diff["changes"], &diff["compared"]));
    assert!(
        ask("/api/explain?site=1")["text"].as_str().is_some_and(|text| text.contains("What would change the verdict"))
    );
}

#[test]
fn lists_are_sorted_filtered_and_answered_once() {
    let server = serve(vec![sessions()]);
    let port = server.port().0;
    looked_at(port);
    let first = |sort: &str| get(port, &format!("/api/sites?limit=3&sort={sort}")).json()["sites"].clone();
    for (sort, key) in
        [("total_bytes", "total_bytes"), ("live_bytes", "live_bytes"), ("peak_live_bytes", "peak_live_bytes")]
    {
        let sites = first(sort);
        let values: Vec<u64> = (0..3).map(|at| sites[at][key]["value"].as_u64().unwrap()).collect();
        assert!(values.is_sorted_by(|one, other| one >= other), "{sort}: {values:?}");
    }
    let all = get(port, "/api/sites").json()["total_rows"].as_u64().unwrap();
    let some = get(port, "/api/sites?filter=AXUM_sessions%2B0x1b3ac7").json()["total_rows"].as_u64().unwrap();
    assert!(0 < some && some < all, "{some} of {all}");
    assert_eq!(get(port, "/api/sites?filter=nothing+has+this").json()["total_rows"], 0);
    let answer = get(port, "/api/sites?limit=5");
    let tag = answer.header("etag").expect("a tag").to_owned();
    let again = get_with(port, "/api/sites?limit=5", &format!("If-None-Match: {tag}\r\n"));
    assert_eq!((again.status, again.body.len(), again.header("etag")), (304, 0, Some(tag.as_str())));
    assert_ne!(get(port, "/api/sites?limit=6").header("etag"), Some(tag.as_str()));
}

#[test]
fn questions_that_make_no_sense_are_answered_in_one_line() {
    let server = serve(vec![sessions()]);
    let port = server.port().0;
    looked_at(port);
    let bad = [
        (400, "/api/sites?by=nothing"),
        (400, "/api/sites?sort=nothing"),
        (400, "/api/sites?limit=-1"),
        (400, "/api/sites?at=100000000"),
        (400, "/api/sites?at=nothing"),
        (400, "/api/sites?from=300&to=100"),
        (400, "/api/sites?at=1&from=2"),
        (400, "/api/sites?sort=temporary_allocations"),
        (400, "/api/histogram?of=nothing"),
        (400, "/api/flamegraph.svg?of=temporary"),
        (400, "/api/flamegraph.svg?of=peak&at=100"),
        (400, "/api/diff?before=100"),
        (400, "/api/explain"),
        (404, "/api/explain?site=100000"),
        (404, "/api/sites?capture=nothing"),
        (404, "/api/timeline?capture=../../etc/passwd"),
        (400, "/api/timeline?series=nothing"),
        (404, "/api/nothing"),
        (404, "/assets/..%2fassets.rs"),
        (404, "/assets/index.html"),
    ];
    for (status, target) in bad {
        let answer = get(port, target);
        assert_eq!(answer.status, status, "{target}: {}", answer.text());
        let error = answer.json()["error"].as_str().unwrap_or_default().to_owned();
        assert!(!error.is_empty() && !error.contains('\n'), "{target}: {error:?}");
    }
}

#[test]
fn what_openapi_names_is_there_and_nothing_else() {
    let server = serve(vec![sessions()]);
    let port = server.port().0;
    let capture = looked_at(port);
    let described = get(port, "/api/openapi.json").json();
    let paths = described["paths"].as_object().expect("paths");
    for path in paths.keys().filter(|path| !["/ws", "/api/control"].contains(&path.as_str())) {
        let target = match path.as_str() {
            "/api/explain" => "/api/explain?site=1",
            "/api/diff" => "/api/diff?before=100&after=300",
            "/assets/{name}" => "/assets/app.css",
            path => path,
        };
        assert_eq!(get(port, target).status, 200, "{target}");
    }
    for path in
        ["/api/memory", "/api/processes", "/api/system", "/api/captures", "/api/sites", "/api/timeline", "/api/alerts"]
    {
        let schema = &paths[path]["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{path} has a schema");
        let schema = json!({"components": described["components"], "allOf": [schema]});
        let answer = get(port, path).json();
        let errors: Vec<String> = jsonschema::validator_for(&schema)
            .unwrap()
            .iter_errors(&answer)
            .map(|error| format!("{error} at {}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{path}: {errors:#?}\n{answer}");
    }
    assert_eq!(capture["control"], false);
}

#[test]
fn the_socket_tells_what_comes_and_goes_on_after_a_break() {
    let folder = tempfile::tempdir().unwrap();
    let sleeper = Sleeper::new();
    let mut builder = sleeper.capture();
    tick(&mut builder, 1, 100);
    let path = builder.save(folder.path(), "a.plim");
    let server = serve(vec![Target::named(&path)]);
    let port = server.port().0;
    until(port, "/api/captures", "the capture", |answer| answer.json()["captures"][0]["state"] == "running");
    let mut client = watch(port, "/ws");
    let hello = hear(&mut client);
    assert_eq!((hello["type"].as_str(), hello["every_ms"].as_u64()), (Some("hello"), Some(200)));
    let snapshot = hear(&mut client);
    assert_eq!(snapshot["type"], "snapshot");
    let id = snapshot["captures"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(snapshot["series"][&id]["recent"].as_array().unwrap().len(), 1);
    tick(&mut builder, 2, 250);
    fs::write(&path, builder.bytes()).unwrap();
    // Each builds on the one before; the new point comes once.
    let mut number = snapshot["number"].clone();
    let mut points = Vec::new();
    while points.is_empty() {
        let delta = hear(&mut client);
        assert_eq!((delta["type"].as_str(), &delta["from"]), (Some("delta"), &number));
        number = delta["number"].clone();
        points.extend(delta["points"][&id].as_array().into_iter().flatten().cloned());
        if !points.is_empty() {
            assert_eq!(delta["captures"][0]["live_bytes"], json!({"value": 250, "low": 250, "high": 250}));
        }
    }
    assert_eq!(
        (points.len(), points[0]["rss_bytes"].as_u64(), points[0]["at_ms"].as_f64()),
        (1, Some(500), Some(2000.0))
    );
    drop(client);
    tick(&mut builder, 3, 300);
    fs::write(&path, builder.bytes()).unwrap();
    until(port, "/api/captures", "growth", |answer| answer.json()["captures"][0]["live_bytes"]["value"] == 300);
    // What was missed comes, and no snapshot.
    let mut client = watch(port, "/ws");
    say(&mut client, &json!({"type": "resume", "number": number}));
    assert_eq!(hear(&mut client)["type"], "hello");
    let mut missed = Vec::new();
    while missed.is_empty() {
        let delta = hear(&mut client);
        assert_eq!((delta["type"].as_str(), &delta["from"]), (Some("delta"), &number));
        number = delta["number"].clone();
        missed.extend(delta["points"][&id].as_array().into_iter().flatten().cloned());
    }
    assert_eq!(missed[0]["live_bytes"]["value"], 300);
    // Of a picture that nobody knows any more: all of it.
    let mut client = watch(port, "/ws");
    say(&mut client, &json!({"type": "resume", "number": 123_456_789}));
    assert_eq!([hear(&mut client)["type"].clone(), hear(&mut client)["type"].clone()], ["hello", "snapshot"]);
    drop(sleeper);
    loop {
        let delta = hear(&mut client);
        if delta["captures"][0]["state"] == "killed" {
            break;
        }
    }
}

#[test]
fn scripts_get_one_message_a_second() {
    let server = serve(vec![sessions()]);
    let mut client = watch(server.port().0, "/ws?simple=1");
    for length in 1..=2 {
        let message = hear(&mut client);
        assert_eq!(message["type"], "memory_update");
        let history = message["history"].as_array().unwrap();
        assert!(history.len() >= length && history.len() <= 100);
        let newest = history.last().unwrap();
        assert_eq!(newest["timestamp_unix_ms"], message["data"]["timestamp_unix_ms"]);
        assert!(message["data"]["processes"].is_array() && message["data"]["rss_bytes"].is_u64());
        if let [.., before, newest] = history.as_slice() {
            let passed = newest["timestamp_unix_ms"].as_u64().unwrap() - before["timestamp_unix_ms"].as_u64().unwrap();
            assert!(passed >= 950, "{passed} ms");
        }
    }
}

#[test]
fn many_watchers_are_cheap_and_none_starves() {
    const CLIENTS: usize = 100;
    let capture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/captures/axum-64k.plim");
    let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
        .args(["serve", capture, "--port", "0", "--every", "0.2"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut line).unwrap();
    let port = line
        .split_once("127.0.0.1:")
        .and_then(|(_, rest)| rest.split_once('/'))
        .expect("an address")
        .0
        .parse()
        .unwrap();
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| watch(port, "/ws")).collect();
    // One more after 128.
    let more: Vec<_> = (CLIENTS..128).map(|_| watch(port, "/ws")).collect();
    let refused = get_with(
        port,
        "/ws",
        &format!(
            "Origin: http://localhost:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        ),
    );
    assert_eq!(refused.status, 429, "{}", refused.text());
    drop(more);
    for client in &mut clients {
        assert_eq!([hear(client)["type"].clone(), hear(client)["type"].clone()], ["hello", "snapshot"]);
    }
    for round in 0..10 {
        for client in &mut clients {
            assert_eq!(hear(client)["type"], "delta", "round {round}");
        }
    }
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let most = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
    assert!(most.expect("the system tells") < 256 << 10, "{most:?} KiB");
}

/// The queue of a client holds 16 messages; what the system holds of its connection must be full first.
#[test]
fn a_client_that_does_not_keep_up_loses_the_oldest_and_holds_nobody_up() {
    // Much to say, five times a second.
    let sleepers: Vec<Sleeper> = (0..400).map(|_| Sleeper::new()).collect();
    let processes = sleepers.iter().map(|sleeper| sleeper.0.id().to_string()).collect();
    let follow = FollowOptions { processes, every: Duration::from_millis(200), ..FollowOptions::default() };
    let server = Server::start(ServeOptions { follow, port: 0, ..ServeOptions::default() }).expect("a free port");
    let port = server.port().0;
    let little = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    little.set_recv_buffer_size(4 << 10).expect("it can be small");
    little.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()).expect("the server listens");
    let mut slow = watch_over(little.into(), port, "/ws");
    let mut quick = watch(port, "/ws");
    let end = Instant::now() + Duration::from_secs(15);
    let mut last = None;
    while Instant::now() < end {
        let message = hear(&mut quick);
        assert_ne!(message["type"], "lagged", "{message}");
        last = message["number"].as_u64().max(last);
    }
    let lagged = loop {
        let message = hear(&mut slow);
        if message["type"] == "lagged" {
            break message;
        }
        assert!(message["number"].as_u64() <= last, "it hears all that the other one heard, too late");
    };
    assert!(lagged["count"].as_u64() > Some(0), "{lagged}");
    assert_eq!([hear(&mut slow)["type"].clone(), hear(&mut slow)["type"].clone()], ["snapshot", "delta"]);
}

#[test]
fn commands_need_a_process_that_listens() {
    let sleeper = Sleeper::new();
    let folder = tempfile::tempdir().unwrap();
    let mut builder = sleeper.capture();
    tick(&mut builder, 1, 100);
    let path = builder.stacks(1).events(&[alloc(START + 1, 64, 300, 1)]).save(folder.path(), "a.plim");
    let server = serve(vec![Target::named(&path)]);
    let port = server.port().0;
    until(port, "/api/captures", "the capture", |answer| answer.json()["captures"][0]["state"] == "running");
    let ask = |body: &str| {
        let head = format!(
            "POST /api/control HTTP/1.1\r\nHost: localhost:{port}\r\nAuthorization: Bearer {}\r\n",
            server.token()
        );
        let request = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        Connection::to(port).ask(request.as_bytes()).expect("an answer")
    };
    let bad = [
        (400, "nothing"),
        (400, r#"{"capture":"0000000000000007","command":"erase"}"#),
        (400, r#"{"capture":"0000000000000007","command":"mark"}"#),
        (400, r#"{"capture":"0000000000000007","command":"interval","value":"many"}"#),
        (404, r#"{"capture":"nothing","command":"flush"}"#),
        (409, r#"{"capture":"0000000000000007","command":"flush"}"#),
    ];
    for (status, body) in bad {
        let answer = ask(body);
        assert_eq!(answer.status, status, "{body}: {}", answer.text());
        assert!(!answer.json()["error"].as_str().unwrap().contains('\n'));
    }
}
