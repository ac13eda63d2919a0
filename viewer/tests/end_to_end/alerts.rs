//! `plimsoll watch` on services that run: a real Alertmanager hears of an alert and that it is over.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::control::service::Service;
use crate::tools::{self, Running, free_port};
use crate::top::service;

const PATIENCE: Duration = Duration::from_secs(60);

/// The bodies of all requests that come.
fn receiver() -> (String, Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    let (sender, bodies) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let Some(body) = body(stream) else { continue };
            if sender.send(body).is_err() {
                return;
            }
        }
    });
    (url, bodies)
}

fn body(stream: TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.trim_end().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    reader.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").ok()?;
    serde_json::from_slice(&body).ok()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "{what} does not come");
        sleep(Duration::from_millis(50));
    }
}

/// Debian's Alertmanager, which tells `receiver` of everything at once.
fn alertmanager(folder: &Path, receiver: &str) -> (Running, u16) {
    let config = folder.join("alertmanager.yml");
    let text = format!(
        "route:\n  receiver: test\n  group_by: ['...']\n  group_wait: 0s\n  group_interval: 1s\n  repeat_interval: 1h\n\
         receivers:\n- name: test\n  webhook_configs:\n  - url: '{receiver}'\n    send_resolved: true\n"
    );
    fs::write(&config, text).expect("it can be written");
    let port = free_port();
    let child = Command::new("prometheus-alertmanager")
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.path={}", folder.join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .arg("--cluster.listen-address=")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    wait_until("Alertmanager", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    (Running(child), port)
}

/// `plimsoll watch`, and the file that holds what it says.
fn watch(target: &Path, rules: &Path, log: &Path) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("watch").arg(target).arg("--rules").arg(rules).args(["--every", "0.2", "--json"]);
    let log = fs::File::create(log).expect("a file");
    command.stdout(log).stderr(Stdio::inherit());
    Running(command.spawn().expect("it starts"))
}

#[test]
fn a_real_alertmanager_receives_an_alert_and_that_it_is_over() {
    if !tools::has_tool("prometheus-alertmanager") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let captures = folder.path().join("captures");
    fs::create_dir(&captures).expect("a folder");
    let (url, told) = receiver();
    let (_manager, port) = alertmanager(folder.path(), &url);
    let rules = folder.path().join("rules.toml");
    let text = format!(
        "[[rule]]\nname = \"alive\"\nmeasure = \"limit-share\"\nlevel = \"red\"\nabove = \"0%\"\nhold = \"1s\"\n\
         [[action]]\ndo = \"alertmanager\"\nurl = \"http://127.0.0.1:{port}\"\n"
    );
    fs::write(&rules, text).expect("it can be written");
    let log = folder.path().join("log");
    let mut service = service(&captures);
    let _watch = watch(&captures, &rules, &log);
    let firing = told.recv_timeout(PATIENCE).expect("the alert comes");
    let alert = &firing["alerts"][0];
    let labels = &alert["labels"];
    assert_eq!((&firing["status"], &alert["status"]), (&"firing".into(), &"firing".into()));
    assert_eq!((&labels["alertname"], &labels["severity"]), (&"alive".into(), &"critical".into()));
    assert_eq!((&labels["program"], &labels["pid"]), (&"handover".into(), &service.id().to_string().into()));
    assert!(alert["annotations"]["summary"].as_str().is_some_and(|text| text.contains("of its limit")), "{alert}");
    service.kill().and_then(|()| service.wait()).expect("it is killed");
    let over = told.recv_timeout(PATIENCE).expect("its end comes");
    assert_eq!((&over["status"], &over["alerts"][0]["labels"]), (&"resolved".into(), labels));
    let lines = fs::read_to_string(&log).expect("it is there");
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let states: Vec<&str> = lines.iter().filter_map(|line| line["state"].as_str()).collect();
    assert_eq!((states, &lines[1]["why"]), (vec!["raised", "cleared"], &"the process was killed".into()));
}

#[test]
fn a_leak_is_told_of_by_its_verdict_and_a_snapshot_is_taken_of_a_program_that_listens() {
    let service = Service::start("obedient", &[]);
    let rules = service.folder().join("rules.toml");
    let text = "[[rule]]\nname = \"holds\"\nmeasure = \"site-bytes\"\nsite = \"keep\"\nlevel = \"yellow\"\nabove = \"1MiB\"\n\
                snapshot = true\n[[action]]\ndo = \"log\"\nfile = \"FILE\"\n";
    let file = service.folder().join("alerts.log");
    fs::write(&rules, text.replace("FILE", file.to_str().expect("UTF-8"))).expect("it can be written");
    let started = service.ctl(&["start", "--mode", "exact"]);
    let capture = started["programs"][0]["status"]["capture"].as_str().expect("a path").to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    command.arg("watch").arg(&capture).arg("--rules").arg(&rules).args(["--every", "0.2"]);
    command.env("XDG_RUNTIME_DIR", service.folder().join("run")).stderr(Stdio::null());
    let _watch = Running(command.spawn().expect("it starts"));
    let mut service = service;
    service.say("hold 2000 1000");
    service.ctl(&["flush"]);
    let log = || fs::read_to_string(&file).unwrap_or_default();
    wait_until("the alert", || log().contains("yellow raised holds: obedient ("));
    assert!(log().contains(" that match \"keep\" hold 1.9"), "{}", log());
    let has_snapshot = || {
        let dump = Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(["dump", &capture]).output().expect("it runs");
        String::from_utf8_lossy(&dump.stdout).contains("alert-holds")
    };
    wait_until("the snapshot", has_snapshot);
}

#[test]
fn one_look_ends_with_the_worst_level_as_exit_code() {
    let folder = tempfile::tempdir().expect("a folder");
    let captures = folder.path().join("captures");
    fs::create_dir(&captures).expect("a folder");
    let rules = folder.path().join("rules.toml");
    let mut service = service(&captures);
    let begin = Instant::now();
    // Its name is in what it records, so it is followed from then on.
    while fs::read_dir(&captures).expect("it is there").next().is_none() && begin.elapsed() < PATIENCE {
        sleep(Duration::from_millis(50));
    }
    let once = |of: &[(&str, &str)]| {
        let rule = |(at, (level, what)): (usize, &(&str, &str))| {
            format!("[[rule]]\nname = \"r{at}\"\nlevel = \"{level}\"\nhold = \"1h\"\n{what}\n")
        };
        fs::write(&rules, of.iter().enumerate().map(rule).collect::<String>()).expect("it can be written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        let output = command.arg("watch").arg(&captures).args(["--once", "--rules"]).arg(&rules).output();
        let output = output.expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let always = "measure = \"limit-share\"\nabove = \"0%\"";
    let never = "measure = \"live-bytes\"\nabove = \"1TiB\"";
    // This one waits for a look at the sites.
    let site = "measure = \"site-bytes\"\nsite = \"next_block\"\nabove = \"0\"";
    assert_eq!(once(&[("red", never)]), (Some(0), String::new()));
    let (code, said) = once(&[("yellow", site), ("red", never)]);
    assert!(code == Some(1) && said.contains("yellow raised r0: handover (") && said.lines().count() == 1, "{said}");
    let (code, said) = once(&[("yellow", always), ("red", always)]);
    assert!(code == Some(3) && said.contains("red raised r1") && said.lines().count() == 2, "{said}");
    service.kill().and_then(|()| service.wait()).expect("it is killed");
}

#[test]
fn wrong_rules_are_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let rules = folder.path().join("rules.toml");
    let refused = || {
        let output = Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(["watch", "--rules"]).arg(&rules).output();
        let output = output.expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        said
    };
    assert!(refused().contains("cannot read the rules in"));
    fs::write(&rules, "[[rule]]\nname = \"a\"\nmeasure = \"speed\"\nlevel = \"red\"\n").expect("it can be written");
    let said = refused();
    assert!(said.contains("line 3: unknown variant `speed`") && said.contains("--print-rules"), "{said}");
}
