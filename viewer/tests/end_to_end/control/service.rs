//! A service that obeys its input and listens for control, in folders of its own.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::programs::{self, Mode, Run};

/// See the module's description. Killed when dropped.
pub(crate) struct Service {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    folder: PathBuf,
    own_folder: Option<TempDir>,
}

impl Service {
    /// Starts a program that obeys, idle unless the variables say otherwise.
    pub(crate) fn start(program: &str, variables: &[(&str, &str)]) -> Service {
        let folder = tempfile::tempdir().expect("a folder");
        for name in ["run", "captures"] {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("a folder");
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).expect("its rights");
        }
        // Recording from the start is asked for by any other variable than those of memory.
        let records = variables.iter().any(|(name, _)| ["PLIMSOLL_MODE", "PLIMSOLL_SEED"].contains(name));
        let idle = if records { &[][..] } else { &[("PLIMSOLL_MODE", "off")] };
        let mut service = Service::spawn(program, folder.path(), &[idle, variables].concat());
        service.own_folder = Some(folder);
        service
    }

    /// Another, in the folders of `other`.
    pub(crate) fn start_beside(other: &Service, program: &str) -> Service {
        Service::spawn(program, &other.folder, &[("PLIMSOLL_MODE", "off")])
    }

    fn spawn(program: &str, folder: &Path, variables: &[(&str, &str)]) -> Service {
        let run = Run { mode: Mode::Sampled { interval_bytes: 512 << 10, seed: 1 }, ..Run::default() };
        let mut command = programs::command(program, &run, &folder.join("captures"));
        command
            .env_remove("PLIMSOLL_EXAMPLE_ORACLE")
            .env("PLIMSOLL_CONTROL", "1")
            .env("XDG_RUNTIME_DIR", folder.join("run"));
        command.envs(variables.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let (input, output) = (child.stdin.take(), child.stdout.take().expect("piped"));
        let (output, folder) = (BufReader::new(output), folder.to_owned());
        let mut service = Service { child, input, output, folder, own_folder: None };
        assert_eq!(service.hear(), "ready");
        service
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it can be heard");
        line.trim_end().to_owned()
    }

    /// Has it do something, and waits until it is done.
    pub(crate) fn say(&mut self, line: &str) {
        self.try_say(line);
        assert_eq!(self.hear(), format!("done {line}"));
    }

    /// As [`Service::say`] for what it may not survive.
    pub(crate) fn try_say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it has not been ended");
        writeln!(input, "{line}").expect("it listens to its input");
        if line == "end" {
            assert_eq!(self.hear(), "done end");
        }
    }

    /// Lets it return from `main`.
    pub(crate) fn end(&mut self) {
        drop(self.input.take());
        assert!(self.child.wait().expect("it ends").success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn captures(&self) -> PathBuf {
        self.folder.join("captures")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.join(format!("run/plimsoll/{}.sock", self.pid()))
    }

    /// Threads that it has; one that ends is seen for a moment longer.
    pub(crate) fn threads(&self) -> usize {
        std::thread::sleep(Duration::from_millis(50));
        std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("it runs").count()
    }

    pub(crate) fn wait_for(&self, is_so: impl Fn(&Service) -> bool) {
        let start = Instant::now();
        while !is_so(self) {
            assert!(start.elapsed() < Duration::from_secs(20), "it did not come so far");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn run(&self, pid: Option<u32>, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.arg("ctl").args(pid.map(|pid| pid.to_string())).args(words);
        command.env("XDG_RUNTIME_DIR", self.folder.join("run")).output().expect("plimsoll runs")
    }

    /// `plimsoll ctl PID … --json`, which must succeed.
    pub(crate) fn ctl(&self, words: &[&str]) -> Value {
        answer(&self.run(Some(self.pid()), &[words, &["--json"]].concat()))
    }

    /// The same without a PID.
    pub(crate) fn ctl_anywhere(&self, words: &[&str]) -> Value {
        answer(&self.run(None, &[words, &["--json"]].concat()))
    }

    /// Processes that `plimsoll ctl status` lists.
    pub(super) fn listed(&self) -> Vec<u32> {
        let json = self.ctl_anywhere(&["status"]);
        let programs = json["programs"].as_array().into_iter().flatten();
        programs.filter_map(|program| u32::try_from(program["pid"].as_u64()?).ok()).collect()
    }

    /// What `plimsoll ctl PID …` says when it must not succeed.
    pub(crate) fn refused(&self, words: &[&str]) -> String {
        refusal(&self.run(Some(self.pid()), words))
    }

    /// The same without a PID.
    pub(crate) fn refused_anywhere(&self, words: &[&str]) -> String {
        refusal(&self.run(None, words))
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Only now, since it may be writing there.
        drop(self.own_folder.take());
    }
}

/// The JSON, which fits its schema.
fn answer(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json = serde_json::from_slice(&output.stdout).expect("--json prints JSON");
    let schema = include_str!("../../../docs/json/ctl.schema.json");
    let schema: Value = serde_json::from_str(schema).expect("a schema is JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema is valid");
    let errors: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:#?}\n{json}");
    json
}

fn refusal(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    said
}
