//! The program that the faults happen to, and the parent's part: running it and judging what it did.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use plimsoll_format::control::{Request, StartOptions};
use plimsoll_format::{Item, Reader};

use crate::support;

/// What the program prints, with or without faults.
pub(crate) const OUTPUT: &str = "program: 30 words, longest 8, sum 4350\n";
/// No run takes longer than this.
const WATCHDOG: Duration = Duration::from_secs(30);

/// A small service: threads, growing collections, maps, marks and pauses; its output depends on nothing else.
pub(crate) fn run(session: Option<&plimsoll::Session>) {
    let words: Vec<String> = (0..30).map(|n| "word".repeat(n % 2 + 1)).collect();
    let threads: Vec<_> = (0..3u64)
        .map(|thread| {
            std::thread::spawn(move || {
                let mut map = BTreeMap::new();
                (0..30).for_each(|n| _ = map.insert(n, vec![thread; 50]));
                (0..50).for_each(|size| drop(black_box(vec![0u8; 4000 + size])));
                map.into_values().map(|values| values.len() as u64).sum::<u64>() - 50
            })
        })
        .collect();
    if let Some(session) = session {
        session.mark("half way");
        session.pause();
        session.resume();
    }
    if listens() {
        ask_for_everything();
    }
    // Three ticks, so that the writer and its companion have been at everything they do.
    std::thread::sleep(Duration::from_millis(35));
    let sum: u64 = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    let longest = words.iter().map(String::len).max().unwrap_or(0);
    let _ = writeln!(std::io::stdout(), "program: {} words, longest {longest}, sum {sum}", words.len());
}

/// Whether the child listens for control, and asks itself.
fn listens() -> bool {
    variable("CONTROL") == "1"
}

/// As a client would; whatever comes back, or nothing.
fn ask_for_everything() {
    let output = Some(format!("{}.2", variable("CAPTURE")));
    let name = || "asked".to_owned();
    let requests = [
        Request::Status,
        Request::Mark { name: name() },
        Request::Stop,
        Request::Start(StartOptions { output, ..StartOptions::default() }),
        Request::Interval { bytes: 1000 },
        Request::Snapshot { name: Some(name()) },
        Request::Purge,
        Request::Pause,
    ];
    requests.iter().for_each(|request| drop(ask(request)));
}

fn ask(request: &Request) -> std::io::Result<Vec<u8>> {
    let socket = format!("{}/plimsoll/{}.sock", variable("XDG_RUNTIME_DIR"), std::process::id());
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    stream.write_all(&request.to_frame())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

/// What the variable `NAME` says, in a child.
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// A session for the child, as the parent wants it; `None`, with a line on stderr, when it cannot start.
pub(crate) fn session() -> Option<plimsoll::Session> {
    let builder = plimsoll::Session::builder().output(variable("CAPTURE")).tick(Duration::from_millis(10));
    let builder = builder.control(listens());
    let builder = if variable("MODE") == "exact" { builder.exact() } else { builder.sampled(4096) };
    builder.start().inspect_err(|error| eprintln!("start: {error}")).ok()
}

/// What became of a child.
pub(crate) struct Run {
    pub(crate) errors: String,
    /// How many faults there were, as the child counted them.
    pub(crate) faults: u64,
}

/// Runs the ignored test `name` in a process of its own and insists on what no fault may change.
pub(crate) fn judge(name: &str, capture: &Path, variables: &[(&str, &str)]) -> Run {
    let path = capture.to_str().expect("UTF-8");
    let mut child = support::child(name, variables);
    // Sockets, and no arenas, which are to lie where they do otherwise.
    let folder = capture.parent().expect("it is in a folder");
    if variables.contains(&("CONTROL", "1")) {
        child.env("XDG_RUNTIME_DIR", folder);
    }
    child.env("CAPTURE", path).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = child.spawn().expect("the child runs");
    let (mut out, mut err) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
    let errors = std::thread::spawn(move || {
        let mut text = Vec::new();
        err.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let output = std::thread::spawn(move || {
        let mut text = Vec::new();
        out.read_to_end(&mut text).map(|_| String::from_utf8_lossy(&text).into_owned())
    });
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break Some(status);
        }
        if start.elapsed() > WATCHDOG {
            child.kill().expect("a child");
            break None;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let output = output.join().expect("no panic").expect("read");
    let errors = errors.join().expect("no panic").expect("read");
    let case = format!("{name} {variables:?}: {status:?}\n{output}\n{errors}");
    assert!(status.is_some_and(|status| status.success()), "{case}");
    assert!(output.contains(OUTPUT), "{case}");
    // Tests that run beside this one kill programs of the same name, which the next start says.
    let of_this_run = |line: &&str| line.starts_with("plimsoll: ") && !line.starts_with("plimsoll: the last run");
    let mut lines: Vec<&str> = errors.lines().filter(of_this_run).collect();
    let all = lines.len();
    lines.sort_unstable();
    lines.dedup();
    assert!(lines.len() == all && all <= 2, "more than one line a cause: {case}");
    let started = !errors.contains("start: ");
    readable(capture, started, &case);
    let faults = errors.lines().find_map(|line| line.strip_prefix("faults: ")?.parse().ok());
    Run { errors, faults: faults.unwrap_or_else(|| panic!("no count: {case}")) }
}

/// A session that started leaves a capture that opens: a header in front, no damage but at its end.
fn readable(capture: &Path, started: bool, case: &str) {
    let Ok(bytes) = std::fs::read(capture) else {
        assert!(!started, "no capture: {case}");
        return;
    };
    let mut reader = Reader::new();
    reader.feed(&bytes);
    reader.end();
    let blocks = std::iter::from_fn(|| reader.next_item()).filter(|item| matches!(item, Item::Block(_))).count();
    assert!(blocks > 0 || !started, "nothing in the capture: {case}");
}

/// Ends a child: past the test harness, whose own allocations and output are no part of the case.
pub(crate) fn end(faults: u64) -> ! {
    let _ = std::io::stdout().flush();
    eprintln!("\nfaults: {faults}");
    std::process::exit(0);
}
