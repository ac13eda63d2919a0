//! `plimsoll top` in a real terminal, which tmux is, on a capture that grows.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::control::service::Service;
use crate::programs::{self, Mode, Run};
use crate::reports::{self, Report};
use crate::tools;

/// A terminal with one program in it.
pub(crate) struct Terminal {
    /// Name of a tmux server of its own.
    server: String,
}

impl Terminal {
    /// Runs a command line of a shell in a terminal of 80 columns and 24 lines.
    pub(crate) fn new(name: &str, line: &str) -> Terminal {
        let terminal = Terminal { server: format!("plimsoll-{name}-{}", std::process::id()) };
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", line]);
        terminal
    }

    pub(crate) fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux").args(["-u", "-L", &self.server]).args(arguments).output().expect("tmux runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn keys(&self, keys: &[&str]) {
        keys.iter().for_each(|key| drop(self.tmux(&["send-keys", key])));
    }

    /// Waits until the screen is as it should be.
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&str) -> bool) -> String {
        let begin = Instant::now();
        loop {
            let text = self.tmux(&["capture-pane", "-p"]);
            if is_so(&text) {
                return text;
            }
            assert!(begin.elapsed() < Duration::from_secs(60), "{what} is not shown:\n{text}");
            sleep(Duration::from_millis(50));
        }
    }

    /// The program's screen has gone, and the cursor is there again.
    fn check_restored(&self) {
        let modes = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        assert_eq!(modes.trim(), "0 1");
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

/// A service that would run for hours.
pub(crate) fn service(folder: &Path) -> Child {
    let mode = Mode::Sampled { interval_bytes: 4_096, seed: 1 };
    let run = Run { mode, arguments: &["1000000000000"], ..Run::default() };
    let mut command = programs::command("handover", &run, folder);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts")
}

/// Whether all of these are on the screen.
fn is_shown(text: &str, words: &[&str]) -> bool {
    words.iter().all(|word| text.contains(word))
}

/// Allocations of 64 to 127 bytes on the pane of sizes.
fn allocations(text: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.contains("64 B … 127 B"))?;
    line.split_whitespace().find(|word| word.contains(','))?.replace(',', "").parse().ok()
}

#[test]
fn a_growing_capture_is_shown_and_its_end_too() {
    if !tools::has_tool("tmux") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder for captures");
    let plimsoll = env!("CARGO_BIN_EXE_plimsoll");
    let line = format!("{plimsoll} top {}; echo ended with $?; sleep 600", folder.path().display());
    let terminal = Terminal::new("top", &line);
    terminal.until("that nothing records", |text| text.contains("waiting for a capture"));
    let mut first = service(folder.path());
    let pid = first.id().to_string();
    terminal.until("the service", |text| is_shown(text, &["handover", &pid, "running"]));
    terminal.until("its site", |text| text.contains("next_block"));
    terminal.keys(&["3"]);
    let before = terminal.until("sizes", |text| allocations(text).is_some());
    terminal.until("growth", |text| allocations(text) > allocations(&before));
    terminal.keys(&["5"]);
    terminal.until("the chart", |text| is_shown(text, &["the whole run", "│"]));
    terminal.keys(&["?"]);
    terminal.until("the keys", |text| text.contains("keys: any key closes this"));
    terminal.keys(&["x", "/", "n", "o", "w", "h", "e", "r", "e", "Enter", "1"]);
    terminal.until("that nothing is found", |text| is_shown(text, &["searching for nowhere", "0 sites"]));
    terminal.keys(&["Escape"]);
    terminal.until("the site again", |text| text.contains("next_block"));
    terminal.keys(&["p"]);
    terminal.until("the pause", |text| text.contains("PAUSED"));
    terminal.keys(&["p"]);
    // Another size is drawn anew: the line of keys moves to the new last line.
    terminal.tmux(&["resize-window", "-x", "100", "-y", "30"]);
    terminal.until("the new size", |text| text.lines().nth(29).is_some_and(|line| line.starts_with("? help")));
    // Back, since this tmux brings lines of the other screen into the first one when it has grown meanwhile.
    terminal.tmux(&["resize-window", "-x", "80", "-y", "24"]);
    terminal.until("the old size", |text| text.lines().nth(23).is_some_and(|line| line.starts_with("? help")));
    first.kill().and_then(|()| first.wait()).expect("it is killed");
    terminal.until("the kill", |text| is_shown(text, &[&pid, "killed"]));
    // It comes back as a new capture, beside the killed one.
    let mut second = service(folder.path());
    let again = second.id().to_string();
    terminal.keys(&["9"]);
    terminal.until("both", |text| is_shown(text, &[&pid, &again, "killed", "running"]));
    second.kill().and_then(|()| second.wait()).expect("it is killed");
    terminal.keys(&["q"]);
    let end = terminal.until("the end", |text| text.contains("ended with 0"));
    assert!(!end.contains("handover"), "the screen is as it was before: {end}");
    terminal.check_restored();
    let captures = fs::read_dir(folder.path()).expect("it is there").flatten().map(|entry| entry.path());
    assert_eq!(captures.filter(|path| path.extension().is_some_and(|extension| extension == "plim")).count(), 2);
}

/// Moments and ends are asked for by keys, and the capture has them; a program that does not listen says so.
#[test]
fn a_program_is_controlled_by_keys() {
    if !tools::has_tool("tmux") {
        return;
    }
    let mut service = Service::start("obedient", &[("PLIMSOLL_MODE", "exact")]);
    let status = |service: &Service| service.ctl(&["status"])["programs"][0]["status"].clone();
    let capture = status(&service)["capture"].as_str().expect("it records").to_owned();
    let plimsoll = env!("CARGO_BIN_EXE_plimsoll");
    let line = format!("{plimsoll} top {}; echo ended with $?; sleep 600", service.captures().display());
    let terminal = Terminal::new("control", &line);
    let title = format!("obedient {}", service.pid());
    terminal.until("the service", |text| is_shown(text, &[&title, "running"]));
    service.say("hold 100 1000");
    terminal.keys(&["c"]);
    terminal.until("what it can be asked", |text| is_shown(text, &["another key closes this", "snapshot", "purge"]));
    terminal.keys(&["m", "b", "y", "Space", "k", "e", "y", "Enter"]);
    terminal.until("the mark", |text| is_shown(text, &["mark of obedient", "\"by key\" is in"]));
    terminal.keys(&["c", "p"]);
    terminal.until("the pause", |text| is_shown(text, &["pause of obedient", "paused, everything, into"]));
    assert_eq!(status(&service)["state"], "paused");
    terminal.keys(&["c", "x"]);
    terminal.until("the end", |text| is_shown(text, &["stop of obedient", "stopped;"]));
    let json = reports::plimsoll(&["report", &capture, "--json", "--top", "0", "--at", "by key"]);
    let report = Report(serde_json::from_str(&json).expect("JSON"));
    assert_eq!(report.sum("keep", "live_bytes").value(), 1e5);
    // The process is the same one still: it is asked for its name before it is told anything.
    terminal.until("that it has ended", |text| text.lines().next().is_some_and(|line| line.contains("ended")));
    terminal.keys(&["c", "s"]);
    terminal.until("the start", |text| is_shown(text, &["start of obedient", "recording, everything, into"]));
    assert_eq!(status(&service)["state"], "recording");
    service.try_say("end");
    terminal.until("its end", |text| text.lines().next().is_some_and(|line| line.contains("ended")));
    terminal.keys(&["c", "f"]);
    terminal.until("why not", |text| is_shown(text, &["flush of obedient", "failed: ", "does not listen for control"]));
    terminal.keys(&["q"]);
    terminal.until("the end", |text| text.contains("ended with 0"));
    terminal.check_restored();
}

#[test]
fn a_panic_leaves_the_terminal_in_order() {
    if !tools::has_tool("tmux") {
        return;
    }
    let test = std::env::current_exe().expect("this test's binary");
    // What a backtrace would push off the screen is what is looked for.
    let run = format!("RUST_BACKTRACE=0 {} --ignored --exact --nocapture top::panics", test.display());
    let line = format!("{run}; echo ended with $?; sleep 600");
    let terminal = Terminal::new("panic", &line);
    let text = terminal.until("the end", |text| text.contains("ended with 101"));
    assert!(text.contains("a mistake of ours"), "the panic can be read: {text}");
    terminal.check_restored();
}

#[test]
#[ignore = "it is run by the test above, in a terminal"]
fn panics() {
    let shown = plimsoll_viewer::top::on_terminal(|terminal| {
        terminal.draw(|frame| frame.render_widget("drawn", frame.area()))?;
        panic!("a mistake of ours");
    });
    shown.expect("it does not come here");
}
