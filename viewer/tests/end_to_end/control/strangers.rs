//! Clients that are not to be trusted: other users, garbage, slow ones, and more of them than anybody needs.

use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use plimsoll_format::control::{Answer, MAX_REQUEST_BYTES, Request};

use super::service::Service;

/// A user that is neither root nor the one that the tests run as.
const STRANGER: u32 = 65_534;

/// What comes back, until the other end is done with us.
fn hear(socket: &mut UnixStream) -> Vec<u8> {
    socket.set_read_timeout(Some(Duration::from_secs(20))).expect("a time-out");
    let mut got = Vec::new();
    if let Err(error) = socket.read_to_end(&mut got) {
        // It went without reading all that was sent.
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    }
    got
}

fn say(path: &Path, bytes: &[u8]) -> Vec<u8> {
    let mut socket = UnixStream::connect(path).expect("it listens");
    let _ = socket.write_all(bytes);
    hear(&mut socket)
}

fn refused(bytes: &[u8]) -> String {
    match Answer::from_frame(bytes) {
        Ok(Some(Answer::Refused(why))) => why,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn garbage_is_turned_away_and_the_next_is_served() {
    let mut service = Service::start("obedient", &[]);
    let path = service.socket();
    let frame = Request::Status.to_frame();
    assert!(matches!(Answer::from_frame(&say(&path, &frame)), Ok(Some(Answer::Status(_)))));
    // Trailing bytes are nobody's.
    assert!(matches!(Answer::from_frame(&say(&path, &[&frame[..], b"more"].concat())), Ok(Some(Answer::Status(_)))));
    assert!(refused(&say(&path, b"GET / HTTP/1.1\r\n\r\n")).contains("not a message of plimsoll's control protocol"));
    let version = [&frame[..4], &[9, 0], &frame[6..]].concat();
    assert!(refused(&say(&path, &version)).contains("version 9 of the control protocol, where 1 is spoken"));
    let long = [&frame[..8], &(MAX_REQUEST_BYTES as u32 + 1).to_le_bytes()[..]].concat();
    assert!(refused(&say(&path, &long)).contains("bytes, more than are allowed"));
    let unknown = [&frame[..8], &[1, 0, 0, 0, 200][..]].concat();
    assert!(refused(&say(&path, &unknown)).contains("cannot be read"));
    let name = "x".repeat(2000);
    assert!(refused(&say(&path, &Request::Mark { name }.to_frame())).contains("more than 1024"));
    // A megabyte of noise, most of which is never read.
    let noise: Vec<u8> = (0..1u32 << 18).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    say(&path, &noise);
    assert!(matches!(Answer::from_frame(&say(&path, &frame)), Ok(Some(Answer::Status(_)))));
    service.say("churn 10 10");
    assert_eq!(service.threads(), 2);
}

#[test]
fn slow_clients_are_let_go_and_nobody_waits_for_them() {
    let mut service = Service::start("obedient", &[]);
    let path = service.socket();
    let frame = Request::Status.to_frame();
    let mut slow: Vec<UnixStream> = (0..20).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
    for socket in &mut slow {
        socket.write_all(&frame[..7]).expect("sent");
    }
    let start = Instant::now();
    service.ctl(&["status"]);
    service.say("churn 10 10");
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    for socket in &mut slow {
        assert_eq!(hear(socket), b"", "two seconds are enough for a request");
    }
    assert!(start.elapsed() < Duration::from_secs(15));
    // One that asks and does not read.
    for _ in 0..100 {
        let mut socket = UnixStream::connect(&path).expect("it listens");
        socket.write_all(&frame).expect("sent");
        drop(socket);
    }
    service.ctl(&["status"]);
}

#[test]
fn more_clients_than_anybody_needs_turn_the_oldest_away() {
    let service = Service::start("obedient", &[]);
    let path = service.socket();
    let descriptors = || std::fs::read_dir(format!("/proc/{}/fd", service.pid())).expect("it runs").count();
    // At its start the thread reads its directory.
    service.ctl(&["status"]);
    let before = descriptors();
    let crowd: Vec<UnixStream> = (0..300).map(|_| UnixStream::connect(&path).expect("it listens")).collect();
    service.ctl(&["status"]);
    assert!(descriptors() <= before + 33, "{} descriptors, {before} before", descriptors());
    drop(crowd);
    service.ctl(&["status"]);
    service.wait_for(|_| descriptors() <= before);
}

/// Run by the next test as another user.
#[test]
#[ignore = "run by another test"]
fn as_a_stranger() {
    let Some(path) = std::env::var_os("STRANGERS_SOCKET") else { return };
    let answer = say(Path::new(&path), &Request::Status.to_frame());
    println!("answered: {}", refused(&answer));
}

#[test]
fn another_user_is_refused_even_where_the_directory_lets_it_in() {
    if Command::new("true").uid(STRANGER).status().is_err() {
        eprintln!("SKIPPED: only root can try to be another user");
        return;
    }
    let service = Service::start("obedient", &[]);
    let test = service.folder().join("test");
    std::fs::copy(std::env::current_exe().expect("this program"), &test).expect("a copy that anybody can run");
    let open = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its rights");
    };
    let plimsoll = service.folder().join("plimsoll");
    std::fs::copy(env!("CARGO_BIN_EXE_plimsoll"), &plimsoll).expect("a copy that anybody can run");
    open(service.folder(), 0o755);
    let asked = Command::new(&plimsoll).args(["ctl", &service.pid().to_string(), "status"]).uid(STRANGER).output();
    let said = String::from_utf8_lossy(&asked.expect("it runs").stderr).into_owned();
    assert!(said.contains("only that user and root can control it"), "{said}");
    let as_stranger = || {
        let mut command = Command::new(&test);
        command.args(["--ignored", "--exact", "--nocapture", "control::strangers::as_a_stranger"]);
        let output = command.env("STRANGERS_SOCKET", service.socket()).uid(STRANGER).gid(STRANGER).output();
        let output = output.expect("it runs");
        (output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let (reached, said) = as_stranger();
    assert!(!reached, "the directory keeps others out: {said}");
    let run = service.folder().join("run");
    open(&run, 0o755);
    open(&run.join("plimsoll"), 0o755);
    open(&service.socket(), 0o666);
    let (reached, said) = as_stranger();
    assert!(reached && said.contains("answered: this program takes requests of user"), "{said}");
    // A directory that others can look into is not to be trusted from this side either.
    assert!(service.refused(&["status"]).contains("so anybody may be at the other end"));
}
