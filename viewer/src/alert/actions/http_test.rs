//! Web servers that are told, each a listener of this test's own.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::alert::engine_test::change;
use crate::alert::{Change, ChangeState, Rules};

use super::Runner;

const PATIENCE: Duration = Duration::from_secs(30);

/// Answers each request with the next of some status lines, and hands out request lines and bodies.
fn server(answers: &'static [&'static str]) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut head, mut length) = (String::new(), 0);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line == "\r\n" {
                    break;
                }
                head.push_str(&line.to_ascii_lowercase());
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let stream = reader.get_mut();
            write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
            assert!(head.contains("content-type: application/json"), "{head}");
            let begin = head.lines().next().unwrap().to_owned();
            sender.send((begin, serde_json::from_slice(&body).unwrap())).unwrap();
        }
    });
    (url, requests)
}

fn rules(action: &str) -> Rules {
    let rule = "[[rule]]\nname = \"much\"\nmeasure = \"killed\"\nlevel = \"red\"\n";
    Rules::read(&format!("{rule}[[action]]\n{action}\n")).unwrap()
}

fn cleared() -> Change {
    Change { state: ChangeState::Cleared, why: Some("it is over".to_owned()), ..change() }
}

#[test]
fn a_webhook_gets_what_was_raised_and_what_is_over_even_when_the_server_stumbles() {
    let (url, requests) = server(&["503 Busy", "204 Fine", "200 OK"]);
    let runner = Runner::start(&rules(&format!("do = \"webhook\"\nurl = \"{url}/hook?a=b\""))).unwrap();
    runner.tell(change());
    runner.tell(cleared());
    let [first, again, over] = std::array::from_fn(|_| requests.recv_timeout(PATIENCE).unwrap());
    assert_eq!(first, again);
    assert_eq!(first.0, "post /hook?a=b http/1.1");
    let body = first.1;
    assert_eq!((&body["state"], &body["alert"]["level"]), (&"raised".into(), &"red".into()));
    assert_eq!(body["alert"]["since_unix_ms"], 1_700_000_000_123_u64);
    assert_eq!((&over.1["state"], &over.1["why"]), (&"cleared".into(), &"it is over".into()));
}

#[test]
fn alertmanager_is_told_again_until_it_is_over() {
    let (url, requests) = server(&["200 OK"; 3]);
    let action = rules(&format!("do = \"alertmanager\"\nurl = \"{url}/\""));
    let runner = Runner::start_with(&action, Duration::from_millis(50)).unwrap();
    runner.tell(change());
    let [first, again] = std::array::from_fn(|_| requests.recv_timeout(PATIENCE).unwrap());
    runner.tell(cleared());
    let time = |alert: &Value, key: &str| alert[0][key].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!((&first.0[..], &again.0[..]), ("post /api/v2/alerts http/1.1", "post /api/v2/alerts http/1.1"));
    assert_eq!(first.1[0]["labels"], again.1[0]["labels"]);
    assert_eq!(first.1[0]["labels"]["alertname"], "much");
    assert_eq!(first.1[0]["labels"]["severity"], "critical");
    assert_eq!(first.1[0]["startsAt"], "2023-11-14T22:13:20.123Z");
    assert!(time(&again.1, "endsAt") > time(&first.1, "endsAt"), "each time it is over later");
    // It may have been told once more before it is over.
    let over = requests.recv_timeout(PATIENCE).unwrap().1;
    let is_over = over[0]["endsAt"] == "2023-11-14T22:13:20.123Z";
    assert!(is_over || time(&over, "endsAt") > time(&again.1, "endsAt"));
}

#[test]
fn only_those_are_told_who_asked() {
    let (url, requests) = server(&["200 OK"; 2]);
    let text = format!(
        "do = \"webhook\"\nurl = \"{url}/red\"\nlevel = \"red\"\n[[action]]\ndo = \"webhook\"\nurl = \"{url}/all\""
    );
    let runner = Runner::start(&rules(&text)).unwrap();
    let mut yellow = change();
    yellow.alert.level = crate::follow::Level::Yellow;
    runner.tell(yellow);
    drop(runner);
    assert_eq!(requests.recv_timeout(PATIENCE).unwrap().0, "post /all http/1.1", "what waits is told at the end");
    assert!(requests.try_recv().is_err());
}
