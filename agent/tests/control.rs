//! Listening for control: what a session does with it, and what becomes of the socket when the process forks or closes
//! descriptors that are not its own. Each scenario is a process of its own, with its own directory for sockets.

mod support;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use plimsoll_format::control::{Answer, Request, StartOptions, Status};
use support::run_child;

#[global_allocator]
static ALLOC: plimsoll::Allocator = plimsoll::Allocator::system();

fn scenario(name: &str) {
    let directory = tempfile::tempdir().expect("a directory");
    let variables = [("SCENARIO", name), ("XDG_RUNTIME_DIR", directory.path().to_str().expect("UTF-8"))];
    let output = run_child("scenarios", &variables);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
}

fn socket() -> PathBuf {
    let directory = std::env::var_os("XDG_RUNTIME_DIR").expect("set by the parent");
    PathBuf::from(directory).join(format!("plimsoll/{}.sock", std::process::id()))
}

fn ask(request: &Request) -> Answer {
    try_to_ask(request).expect("it answers")
}

fn try_to_ask(request: &Request) -> std::io::Result<Answer> {
    let mut stream = UnixStream::connect(socket())?;
    stream.set_read_timeout(Some(Duration::from_secs(15)))?;
    stream.write_all(&request.to_frame())?;
    let mut got = Vec::new();
    stream.read_to_end(&mut got)?;
    let answer = Answer::from_frame(&got).expect("an answer");
    answer.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
}

fn status() -> Status {
    match ask(&Request::Status) {
        Answer::Status(status) => status,
        other => panic!("{other:?}"),
    }
}

fn listening() -> plimsoll::Session {
    plimsoll::Session::builder().control(true).start().expect("it listens")
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("Linux").count()
}

/// Runs in a process of its own.
#[test]
#[ignore = "run by the other tests"]
fn scenarios() {
    match std::env::var("SCENARIO").as_deref() {
        Ok("sessions") => sessions(),
        Ok("environment") => environment(),
        Ok("fork") => fork(),
        Ok("descriptors") => descriptors(),
        other => panic!("unknown scenario {other:?}"),
    }
}

#[test]
fn a_listening_session_is_idle_until_it_is_asked_and_owns_what_is_started() {
    scenario("sessions");
}

fn sessions() {
    let before = threads();
    let session = listening();
    assert!(!session.is_recording() && threads() == before + 1);
    let error = plimsoll::Session::builder().control(true).start().expect_err("one is enough");
    assert!(error.to_string().contains("listens for control already"), "{error}");
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.plim");
    let output = Some(path.to_str().expect("UTF-8").to_owned());
    let started = ask(&Request::Start(StartOptions { output, ..StartOptions::default() }));
    assert!(matches!(&started, Answer::Status(status) if status.recording.is_some()), "{started:?}");
    assert!(session.is_recording());
    let error = plimsoll::Session::builder().output(directory.path().join("b.plim")).start().expect_err("refused");
    assert!(error.to_string().contains("already recording"), "{error}");
    session.mark("from the program");
    let summary = session.finish().expect("written");
    assert_eq!(summary.path.as_deref(), Some(path.as_path()));
    assert!(format!("{:?}", support::read(&path).others).contains("from the program"));
    assert!(!socket().exists() && threads() == before);
    // One that does not listen is nobody's business; one that does not own what runs leaves it alone.
    let listens = listening();
    let own = plimsoll::Session::builder().output(directory.path().join("c.plim")).start().expect("a session");
    assert!(own.is_recording() && !listens.is_recording());
    drop(listens);
    assert!(own.is_recording() && !socket().exists());
    let again = listening();
    assert!(matches!(ask(&Request::Stop), Answer::Stopped(stopped) if stopped.path.ends_with("c.plim")));
    assert!(!own.is_recording());
    assert_eq!(own.finish().expect("nothing is left to do").path, None);
    drop(again);
}

#[test]
fn the_environment_asks_for_it_and_one_may_go_on_without_the_other() {
    scenario("environment");
}

fn environment() {
    let with = |variables: &[(&str, &str)], check: &dyn Fn(&plimsoll::Session)| {
        // SAFETY: this process has no other thread of its own.
        variables.iter().for_each(|(name, value)| unsafe { std::env::set_var(name, value) });
        let session = plimsoll::Session::from_env_or_idle();
        check(&session);
        drop(session);
        // SAFETY: as above.
        variables.iter().for_each(|(name, _)| unsafe { std::env::remove_var(name) });
    };
    with(&[], &|session| assert!(!session.is_recording() && !socket().exists()));
    with(&[("PLIMSOLL_CONTROL", "1")], &|session| {
        assert!(!session.is_recording());
        assert_eq!((status().recording, status().sessions), (None, 0));
    });
    // There is no such directory to record into, but there is still control.
    with(&[("PLIMSOLL_CONTROL", "1"), ("PLIMSOLL_OUTPUT", "/proc/no/such/file")], &|session| {
        assert!(!session.is_recording() && status().recording.is_none());
    });
    // And the other way round: no place for a socket.
    let directory = tempfile::tempdir().expect("a directory");
    let output = directory.path().join("run.plim");
    let output = output.to_str().expect("UTF-8");
    let listens = listening();
    with(&[("PLIMSOLL_CONTROL", "1"), ("PLIMSOLL_OUTPUT", output)], &|session| assert!(session.is_recording()));
    assert_eq!(status().sessions, 1, "one that could not be started is none");
    drop(listens);
}

#[test]
fn a_forked_child_has_no_copy_of_the_socket_and_may_have_its_own() {
    scenario("fork");
}

/// Number of the listening socket in the system's list.
fn listening_inode() -> String {
    let list = std::fs::read_to_string("/proc/net/unix").expect("Linux");
    let path = socket();
    let line = list.lines().find(|line| line.ends_with(path.to_str().expect("UTF-8"))).expect("it is in the list");
    line.split_whitespace().nth(6).expect("an inode").to_owned()
}

fn holds_socket(pid: i32, inode: &str) -> bool {
    let entries = std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").flatten();
    let name = PathBuf::from(format!("socket:[{inode}]"));
    entries.filter_map(|entry| std::fs::read_link(entry.path()).ok()).any(|link| link == name)
}

fn fork() {
    let session = listening();
    let inode = listening_inode();
    assert!(holds_socket(std::process::id() as i32, &inode));
    // SAFETY: the child only uses the agent and exits.
    match unsafe { libc::fork() } {
        0 => {
            // The parent's session is not this process's, whose own is.
            drop(session);
            let own = listening();
            assert_eq!(status().pid, std::process::id());
            std::thread::sleep(Duration::from_secs(1));
            drop(own);
            std::process::exit(if socket().exists() { 3 } else { 0 });
        }
        child => {
            std::thread::sleep(Duration::from_millis(500));
            assert!(!holds_socket(child, &inode), "the child keeps what it does not answer");
            assert_eq!(status().pid, std::process::id(), "the parent goes on");
            let mut how = 0;
            // SAFETY: the status outlives the call.
            unsafe { libc::waitpid(child, &raw mut how, 0) };
            assert_eq!(how, 0, "the child exits");
            assert_eq!(status().pid, std::process::id(), "the child took nothing of its parent's away");
            drop(session);
            assert!(!socket().exists());
        }
    }
}

#[test]
fn a_listener_that_was_closed_by_accident_or_swept_away_is_made_anew() {
    scenario("descriptors");
}

fn wait_for_an_answer() {
    let start = Instant::now();
    while !matches!(try_to_ask(&Request::Status), Ok(Answer::Status(_))) {
        assert!(start.elapsed() < Duration::from_secs(40), "nobody listens any more");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn descriptors() {
    let session = listening();
    // SAFETY: what a daemon does at its start; nothing of this process is in use there.
    (3..2000).for_each(|number| _ = unsafe { libc::close(number) });
    wait_for_an_answer();
    // What sweeps temporary directories.
    std::fs::remove_file(socket()).expect("it is there");
    wait_for_an_answer();
    drop(session);
    assert!(!socket().exists());
}
