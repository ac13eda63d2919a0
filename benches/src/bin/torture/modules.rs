//! Libraries that come and go while threads allocate and panic, and the agent's threads get no turn.

use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use plimsoll_format::LossCause;

use crate::job::{Job, RECORDED, finish};
use crate::judge::Expected;
use crate::os::{self, Library, Thread};
use crate::page::Page;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Times that the libraries are loaded and unloaded, in each mode
    #[arg(long, default_value_t = 10_000)]
    count: u64,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { count: 10_000 }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { count: 300 }
    }
}

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    // What the writer had no turn for must be counted.
    let expected =
        Expected { may_lose: true, longest: Duration::from_secs(60 + arguments.count / 20), ..Expected::default() };
    for mode in RECORDED {
        for form in ["", "starved"] {
            let job = Job::new("modules", mode).form(form).count(arguments.count);
            let Some(ended) = page.run(&job, &expected) else { continue };
            let lost = ended.lost(|cause| cause != LossCause::StackTableFull).allocations;
            let modules = ended.capture.as_ref().map_or(0, |capture| capture.profile.modules.iter().count());
            let (panics, slowest) = (ended.figure("panics"), ended.figure("slowest ms"));
            page.line(
                &ended,
                &format!(
                    "{} cycles, {panics} panics, slowest cycle {slowest:.0} ms, {modules} modules, {lost} allocations lost",
                    job.count
                ),
            );
            if form == "starved" && ended.figure("starved threads") < 2.0 {
                page.fail("the agent's threads could not be starved".to_owned());
            }
        }
    }
}

/// Its constructor allocates by C, and so holds the loader's and the C library's locks at once.
const SOURCE: &str = "#include <stdlib.h>
static void *block;
__attribute__((constructor)) static void begin(void) { block = malloc(1000); }
__attribute__((destructor)) static void end(void) { free(block); }
void call(void (*back)(void)) { volatile char room[64]; room[0] = 1; back(); room[1] = room[0]; }
";

/// A library of our own where there is a C compiler, else one that most systems have.
fn library(folder: &str) -> String {
    let (source, built) = (format!("{folder}/tortured.c"), format!("{folder}/tortured.so"));
    let written = std::fs::write(&source, SOURCE).is_ok();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o", &built, &source]);
    let is_built = written && compiler.status().is_ok_and(|status| status.success()) && Path::new(&built).exists();
    if is_built { built } else { "libz.so.1".to_owned() }
}

extern "C" fn called_back() {
    let mut block: Vec<u8> = black_box(Vec::with_capacity(64));
    block.reserve_exact(500);
    drop(black_box(block));
}

fn allocate() {
    (0..50usize).for_each(|size| drop(black_box(vec![1u8; 16 + size * 7])));
}

#[inline(never)]
fn panic_and_catch(depth: u32) {
    if depth > 0 {
        panic_and_catch(black_box(depth - 1));
    } else {
        // Unwinds as a panic does, without what the hook of panics prints.
        std::panic::resume_unwind(Box::new(black_box(5)));
    }
}

pub(crate) fn child(job: &Job) {
    let folder = std::env::var("TORTURE_FOLDER").expect("set by the judge");
    let library = library(&folder);
    let session = job.start();
    // By now its threads have their names.
    std::thread::sleep(Duration::from_millis(50));
    let starved = if job.form == "starved" { os::starve_threads("plimsoll") } else { 0 };
    let (stop, panics) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let spawn = |work: fn(&AtomicU64)| {
        let (stop, panics) = (stop.clone(), panics.clone());
        Thread::spawn(256 << 10, move || {
            while !stop.load(Relaxed) {
                work(&panics);
            }
        })
    };
    let mut threads: Vec<Thread> = (0..4).map(|_| spawn(|_| allocate())).collect();
    threads.push(spawn(|panics| {
        let caught = std::panic::catch_unwind(|| panic_and_catch(10));
        panics.fetch_add(u64::from(caught.is_err()), Relaxed);
        // Walks the loader's list under its lock, and allocates meanwhile.
        if panics.load(Relaxed) % 64 == 0 {
            drop(black_box(std::backtrace::Backtrace::force_capture()));
        }
    }));
    let mut slowest = Duration::ZERO;
    for _ in 0..job.count {
        let start = Instant::now();
        let loaded = Library::open(&library).unwrap_or_else(|| panic!("cannot load {library}"));
        loaded.call_back(called_back);
        drop(loaded);
        slowest = slowest.max(start.elapsed());
    }
    stop.store(true, Relaxed);
    threads.into_iter().for_each(Thread::join);
    let figures = [
        ("panics", panics.load(Relaxed) as f64),
        ("slowest ms", slowest.as_secs_f64() * 1e3),
        ("starved threads", f64::from(starved)),
    ];
    finish(session, figures.map(|(name, value)| (name.to_owned(), value)).into());
}
