//! All ways in which a process ends, goes on as another program, or becomes a daemon.

use std::fs::File;
use std::hint::black_box;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::AsRawFd;
use std::time::Duration;

use clap::builder::PossibleValuesParser;

use crate::job::{Job, Mode, RECORDED, finish, tell_now};
use crate::judge::{End, Expected};
use crate::os::{self, Thread};
use crate::page::Page;

#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Arguments {
    /// Only these ways; all unless given
    #[arg(long = "form", value_parser = PossibleValuesParser::new(FORMS.map(|(form, _)| form)))]
    forms: Vec<String>,
}

const FORMS: [(&str, End); 10] = [
    ("return", End::Exit(0)),
    ("process::exit", End::Exit(7)),
    ("_exit", End::Gone(8)),
    ("abort", End::Signal(libc::SIGABRT)),
    ("panic", End::Exit(101)),
    ("vfork and exec", End::Exit(0)),
    ("exec", End::Gone(0)),
    ("exec in a thread", End::Gone(0)),
    ("daemon", End::Exit(0)),
    // The agent's file is not its own any more: what comes after is missing.
    ("close all", End::Gone(0)),
];

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    let is_asked = |form: &str| arguments.forms.is_empty() || arguments.forms.iter().any(|asked| asked == form);
    for mode in RECORDED {
        for (form, end) in FORMS.into_iter().filter(|(form, _)| is_asked(form)) {
            judge_form(page, mode, form, end);
        }
    }
}

fn judge_form(page: &mut Page, mode: Mode, form: &str, end: End) {
    // Without its file there is nothing to judge but that the program's own files are as it wrote them.
    let expected =
        Expected { end, may_speak: form == "close all", may_lose: form == "close all", ..Expected::default() };
    let Some(ended) = page.run(&Job::new("ends", mode).form(form), &expected) else { return };
    let recorded = ended.told.as_ref().map_or_else(String::new, |told| format!(" of {}", told.recorded.allocations));
    let counted = ended.capture.as_ref().and_then(|capture| capture.profile.counters.last());
    let counted = counted.map_or(0, |counters| counters.program.allocations);
    page.line(&ended, &format!("{counted}{recorded} allocations in the capture's counters"));
    let damaged = ended.figure("damaged");
    if damaged > 0.0 {
        page.fail(format!("ends {form} {mode}: the agent wrote into {damaged} files of the program's"));
    }
}

fn work() {
    let mut kept: Vec<Vec<u8>> = Vec::new();
    (0..2000usize).for_each(|number| kept.push(black_box(vec![number as u8; 16 + number % 300])));
    kept.retain(|block| block.len() % 2 == 0);
}

pub(crate) fn child(job: &Job) {
    let session = job.start();
    work();
    match job.form.as_str() {
        "return" => std::mem::forget(session),
        "process::exit" => std::process::exit(7),
        "panic" => panic_with(session),
        "daemon" => daemon(session),
        "close all" => close_all(job, session),
        "vfork and exec" => {
            for _ in 0..50 {
                work();
                assert_eq!(os::wait_for(os::vfork_and_exec(c"/bin/true")), 0);
            }
            finish(session, Default::default());
        }
        abrupt => {
            // What comes after the last tick may be missing.
            std::thread::sleep(Duration::from_millis(3 * job.tick_ms));
            tell_now(Default::default());
            match abrupt {
                "_exit" => os::exit_at_once(8),
                "abort" => std::process::abort(),
                "exec" => os::exec(c"/bin/true"),
                "exec in a thread" => Thread::spawn(256 << 10, || os::exec(c"/bin/true")).join(),
                other => panic!("no form {other}"),
            }
        }
    }
}

fn panic_with(session: Option<plimsoll::Session>) {
    // Unwinding drops the session; what is printed of the panic is no matter.
    let _session = session;
    panic!("as asked");
}

/// The process forks twice and ends; its grandchild closes every descriptor and goes on working.
fn daemon(session: Option<plimsoll::Session>) {
    let child = os::fork(|| {
        os::set_session();
        let grandchild = os::fork(|| {
            os::close_descriptors();
            (0..20).for_each(|_| work());
            std::process::exit(0)
        });
        os::exit_at_once(i32::from(os::wait_for(grandchild) != 0))
    });
    assert_eq!(os::wait_for(child), 0, "the daemon ends well");
    work();
    finish(session, Default::default());
}

/// The process closes all descriptors, as daemons do, and opens files of its own, which get the agent's numbers.
fn close_all(job: &Job, session: Option<plimsoll::Session>) {
    const TEXT: &[u8] = b"the program's own database";
    let folder = std::env::var("TORTURE_FOLDER").expect("set by the judge");
    std::thread::sleep(Duration::from_millis(3 * job.tick_ms));
    os::close_descriptors();
    let mut files: Vec<File> = (0..16)
        .map(|number| {
            let options = File::options().read(true).write(true).create_new(true).open(format!("{folder}/{number}.db"));
            let mut file = options.expect("a file of the program's");
            file.write_all(TEXT).expect("written");
            file
        })
        .collect();
    let first = files.first().map_or(0, AsRawFd::as_raw_fd);
    assert!(first < 16, "descriptors are used again: {first}");
    for _ in 0..10 {
        work();
        std::thread::sleep(Duration::from_millis(job.tick_ms));
    }
    let finished = session.map(plimsoll::Session::finish);
    let mut damaged = 0;
    for file in &mut files {
        let mut text = Vec::new();
        let read = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut text));
        damaged += u32::from(read.is_err() || text != TEXT);
    }
    drop(finished);
    finish(None, [("damaged".to_owned(), f64::from(damaged))].into());
}
