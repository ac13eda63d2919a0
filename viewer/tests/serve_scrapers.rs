//! `plimsoll serve` and who reads it from elsewhere: a real Prometheus scrapes it, its checker finds no fault with the
//! metrics, and Go's pprof reads both profiles.
#![forbid(unsafe_code)]

#[path = "support/mod.rs"]
mod support;

#[path = "cli_support/mod.rs"]
mod cli_support;

#[path = "serve_support/mod.rs"]
mod serve_support;

#[path = "tools/mod.rs"]
mod tools;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use cli_support::{plimsoll, with_a_past};
use plimsoll_viewer::follow::Target;
use plimsoll_viewer::serve::Server;
use serde_json::Value;
use serve_support::{PATIENCE, get, looked_at, serve};
use tools::{Running, free_port, go_total, has_tool};

/// A server that has looked at a capture, and what the report says of that.
fn served(folder: &Path) -> (Server, Value) {
    let capture = with_a_past(folder);
    let server = serve(vec![Target::named(Path::new(&capture))]);
    looked_at(server.port().0);
    let report = plimsoll(&["report", &capture, "--json"]).stdout;
    (server, serde_json::from_str(&report).expect("JSON"))
}

#[test]
fn go_reads_both_profiles_with_the_totals_of_the_report() {
    if !has_tool("go") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, report) = served(folder.path());
    let at = |profile| format!("http://localhost:{}/debug/pprof/{profile}", server.port().0);
    let total = |name: &str| report["totals"][name]["value"].to_string();
    for (profile, kind, name) in [
        ("heap", "-inuse_space", "live_bytes"),
        ("heap", "-inuse_objects", "live_allocations"),
        ("allocs", "-alloc_space", "bytes"),
        ("allocs", "-alloc_objects", "allocations"),
    ] {
        assert_eq!(go_total(&at(profile), kind), total(name), "{profile} {kind}");
    }
}

#[test]
fn the_checker_of_prometheus_finds_no_fault_with_the_metrics() {
    if !has_tool("promtool") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, _) = served(folder.path());
    let metrics = get(server.port().0, "/metrics").body;
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut checker = command.spawn().expect("it starts");
    checker.stdin.take().expect("a pipe").write_all(&metrics).expect("it reads");
    let output = checker.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    assert!(metrics.len() > 1_000, "there is something to check");
}

/// Debian's Prometheus, which scrapes this port twice a second; where it listens.
fn prometheus(folder: &Path, scraped: u16) -> (Running, u16) {
    let config = folder.join("prometheus.yml");
    let text = format!(
        "global:\n  scrape_interval: 500ms\n  scrape_timeout: 500ms\nscrape_configs:\n- job_name: plimsoll\n  static_configs:\n\
         \x20 - targets: ['localhost:{scraped}']\n"
    );
    std::fs::write(&config, text).expect("it can be written");
    let port = free_port();
    let child = Command::new("prometheus")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    (Running(child), port)
}

/// The series that a query finds, as soon as there are any.
fn found(port: u16, query: &str) -> Vec<Value> {
    let url = format!("http://127.0.0.1:{port}/api/v1/query?query={query}");
    let begin = Instant::now();
    loop {
        let answer = ureq::get(&url).call().ok().and_then(|mut answer| answer.body_mut().read_to_string().ok());
        let answer: Value = answer.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
        match answer["data"]["result"].as_array() {
            Some(series) if !series.is_empty() => return series.clone(),
            _ => assert!(begin.elapsed() < PATIENCE, "Prometheus does not find {query}: {answer}"),
        }
        sleep(Duration::from_millis(100));
    }
}

#[test]
fn a_real_prometheus_scrapes_the_metrics() {
    if !has_tool("prometheus") {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (server, report) = served(folder.path());
    let (_prometheus, port) = prometheus(folder.path(), server.port().0);
    for (name, total) in [("plimsoll_live_bytes", "live_bytes"), ("plimsoll_allocated_bytes_total", "bytes")] {
        let series = found(port, name);
        assert_eq!(series.len(), 1, "{series:?}");
        assert_eq!(series[0]["value"][1], report["totals"][total]["value"].to_string().as_str(), "{name}");
        assert!(series[0]["metric"]["capture"].is_string(), "{series:?}");
    }
    let up = found(port, "up");
    assert_eq!((up.len(), &up[0]["value"][1]), (1, &"1".into()));
}
