//! Status lines and the menu in a real tmux, which is shown by another one.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::control::service::Service;
use crate::tools;
use crate::top::{Terminal, service};

/// A tmux with a configuration of its own, in the terminal that the test looks at.
struct Inner {
    outer: Terminal,
    server: String,
}

impl Inner {
    /// `runtime` is where programs' sockets are.
    fn new(name: &str, folder: &Path, config: &str, runtime: &Path) -> Inner {
        let server = format!("plimsoll-inner-{name}-{}", std::process::id());
        let path = folder.join("tmux.conf");
        let begin = "set -g status-interval 1\nset -g status-right-length 70\nset -g status-left ''\n";
        fs::write(&path, format!("{begin}{config}\n")).expect("it can be written");
        let line = format!(
            "env -u TMUX XDG_RUNTIME_DIR={} tmux -u -L {server} -f {} new-session 'sleep 600'",
            runtime.display(),
            path.display()
        );
        Inner { outer: Terminal::new(name, &line), server }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut command = Command::new("tmux");
        let _ = command.args(["-L", &self.server, "kill-server"]).stderr(Stdio::null()).status();
    }
}

const PLIMSOLL: &str = env!("CARGO_BIN_EXE_plimsoll");

#[test]
fn a_status_line_of_tmux_shows_the_use_and_no_name_is_more_than_a_name() {
    if !tools::has_tool("tmux") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let captures = folder.path().join("captures");
    fs::create_dir(&captures).expect("a folder");
    let config = format!("set -g status-right '[#({PLIMSOLL} status {} --format tmux)]'", captures.display());
    let tmux = Inner::new("line", folder.path(), &config, folder.path());
    tmux.outer.until("that nothing records", |text| text.contains("[plimsoll: nothing records]"));
    let mut child = service(&captures);
    let shown = tmux.outer.until("the service", |text| text.contains("[handover ") && text.contains('█'));
    // Styles are applied, not shown.
    assert!(shown.contains("iB ") && !shown.contains("#[") && !shown.contains("fg="), "{shown}");
    child.kill().and_then(|()| child.wait()).expect("it is killed");
    // A program with a name that tmux would carry out: it is the same sleep.
    let name = "#(id)#[fg=red]#H";
    let program = folder.path().join(name);
    fs::copy("/bin/sleep", &program).expect("it can be copied");
    let mut child = Command::new(&program).arg("600").spawn().expect("it starts");
    let line = format!("{PLIMSOLL} status --process {} --format tmux", child.id());
    let other = Inner::new("names", folder.path(), &format!("set -g status-right '[#({line})]'"), folder.path());
    // The system keeps fifteen bytes of a name.
    let shown = other.outer.until("the name", |text| text.contains(name.get(..15).expect("so long")));
    assert!(!shown.contains("uid="), "{shown}");
    child.kill().and_then(|()| child.wait()).expect("it is killed");
}

#[test]
fn a_menu_of_tmux_stops_and_starts_tracking() {
    if !tools::has_tool("tmux") {
        return;
    }
    let service = Service::start("obedient", &[("PLIMSOLL_MODE", "exact")]);
    let pid = service.pid();
    let state = || service.ctl(&["status"])["programs"][0]["status"]["state"].as_str().map(str::to_owned);
    service.wait_for(|_| state().as_deref() == Some("recording"));
    let captures = service.captures();
    let config = format!("bind-key -n F5 run-shell '{PLIMSOLL} menu {}'", captures.display());
    let tmux = Inner::new("menu", service.folder(), &config, &service.folder().join("run"));
    // Its window is named after whatever it came to run by now.
    tmux.outer.until("tmux", |text| text.contains("0:"));
    tmux.outer.keys(&["F5"]);
    let stop = format!("Stop tracking {pid}");
    let shown = tmux.outer.until("the menu", |text| text.contains(&stop));
    for line in [format!("obedient ({pid}) "), format!("Force clean-up of {pid}"), "Visualizer".to_owned()] {
        assert!(shown.contains(&line), "{line}: {shown}");
    }
    tmux.outer.keys(&["1"]);
    service.wait_for(|_| state().as_deref() == Some("idle"));
    // What it said is shown until it is closed.
    tmux.outer.until("the answer", |text| text.contains("stopped;"));
    tmux.outer.keys(&["q", "F5"]);
    let start = format!("Start tracking {pid}");
    tmux.outer.until("the menu again", |text| text.contains(&start));
    tmux.outer.keys(&["1"]);
    service.wait_for(|_| state().as_deref() == Some("recording"));
}

#[test]
fn a_list_does_the_same_without_tmux() {
    let service = Service::start("obedient", &[("PLIMSOLL_MODE", "exact")]);
    let pid = service.pid();
    let mut command = Command::new(PLIMSOLL);
    command.arg("menu").arg(service.captures()).env_remove("TMUX");
    command.env("XDG_RUNTIME_DIR", service.folder().join("run")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    std::io::Write::write_all(&mut child.stdin.take().expect("piped"), b"1\n99\nq\n").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains(&format!(" 1  Stop tracking {pid}\n")), "{said}");
    assert!(said.contains("stopped;") && said.contains("There is no such line."), "{said}");
    assert_eq!(service.ctl(&["status"])["programs"][0]["status"]["state"], "idle");
}

#[test]
fn json_fits_its_schema() {
    let service = Service::start("obedient", &[("PLIMSOLL_MODE", "exact")]);
    let pid = std::process::id().to_string();
    let mut command = Command::new(PLIMSOLL);
    let captures = service.captures();
    command.arg("status").arg(captures).args(["--process", &pid, "--process", "4194305", "--format", "json"]);
    let output = command.output().expect("it runs");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let schema: Value = serde_json::from_str(include_str!("../../docs/json/status.schema.json")).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema is valid");
    let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{json}");
    let programs = json["programs"].as_array().expect("a list");
    assert_eq!((programs.len(), &json["shown"]["name"]), (3, &"3 programs".into()), "{json}");
    assert_eq!(programs[0]["state"], "running");
    assert!(programs.iter().any(|one| one["error"].is_string()), "the one that is not there: {json}");
}
