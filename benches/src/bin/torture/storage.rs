//! Storage that refuses, fills up or hangs, and a wall clock that jumps: the service's slowest requests must be as fast as
//! before after the first 100 ms, and what was lost must be in the capture.

use std::fs::{self, File};
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;
use plimsoll_format::LossCause;

use crate::job::{Figures, Job, RECORDED, finish};
use crate::judge::Expected;
use crate::os;
use crate::page::Page;

/// What noise of the machine may add to it.
const NOISE_MS: f64 = 1.0;
/// The exit code of a child that was not given what it needs.
const NOT_POSSIBLE: i32 = 77;

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// How long the storage is out of order
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Only these faults; all unless given
    #[arg(long = "form", value_parser = PossibleValuesParser::new(FORMS))]
    forms: Vec<String>,
    /// How many times slower the slowest hundredth of requests may be than before, 100 ms into the fault
    #[arg(long, default_value_t = 3.0)]
    slower: f64,
}

impl Default for Arguments {
    fn default() -> Arguments {
        Arguments { seconds: 5.0, forms: Vec::new(), slower: 3.0 }
    }
}

impl Arguments {
    pub(crate) fn quick() -> Arguments {
        Arguments { seconds: 1.0, ..Arguments::default() }
    }
}

const FORMS: [&str; 3] = ["file size limit", "full", "hangs"];

pub(crate) fn judge(arguments: &Arguments, page: &mut Page) {
    for mode in RECORDED {
        let is_asked = |form: &&str| arguments.forms.is_empty() || arguments.forms.iter().any(|asked| asked == form);
        for form in FORMS.into_iter().filter(is_asked) {
            let job = Job { interval_bytes: 2048, ..Job::new("storage", mode).form(form).seconds(arguments.seconds) };
            judge_form(page, &job, arguments.slower);
        }
        let job = Job::new("wall-clock", mode).count(40);
        if let Some(ended) = page.run(&job, &Expected::default()) {
            let profile = ended.capture.as_ref().map(|capture| &capture.profile);
            let seconds = profile.map_or(f64::NAN, |profile| profile.duration_ns as f64 / 1e9);
            page.line(&ended, &format!("a capture of {seconds:.2} s, while the clock jumped by days both ways"));
            page.at_most("seconds that the capture is longer than the run", seconds - ended.took.as_secs_f64(), 0.1);
        }
    }
}

fn judge_form(page: &mut Page, job: &Job, slower: f64) {
    let expected = Expected { may_lose: true, may_miss_blocks: true, may_speak: true, ..Expected::default() };
    let ended = match crate::judge::run(job, &expected) {
        Err(error) if error.contains(&format!("exit status: {NOT_POSSIBLE}")) => {
            return page.skip(&format!("storage {} {}", job.form, job.mode), error.rsplit(": ").next().unwrap_or(""));
        }
        Err(error) => return page.fail(error),
        Ok(ended) => ended,
    };
    let [before, first, during, after] =
        ["before", "first 100 ms", "during", "after"].map(|when| ended.figure(&format!("p99 ms {when}")));
    let lost = ended.lost(|cause| cause != LossCause::StackTableFull);
    let gaps: std::collections::BTreeSet<String> = ended
        .capture
        .iter()
        .flat_map(|capture| &capture.profile.losses)
        .map(|loss| format!("{:?}", loss.cause))
        .collect();
    page.line(
        &ended,
        &format!(
            "p99 {before:.3} ms before, {first:.3} in the first 100 ms, {during:.3} then, {after:.3} after; slowest \
             {:.1} ms; {} events lost {gaps:?}",
            ended.figure("slowest ms"),
            lost.allocations + lost.frees
        ),
    );
    page.at_most(&format!("p99 {} {}", job.form, job.mode), during, slower * before + NOISE_MS);
    if lost.allocations + lost.frees == 0 && ended.figure("refused") > 0.0 {
        page.fail(format!("storage {} {}: the capture does not say what it lost", job.form, job.mode));
    }
}

/// One request of the service: 200 blocks.
fn request(kept: &mut Vec<Vec<u8>>) {
    for size in 0..200usize {
        kept.push(black_box(vec![1u8; 16 + size * 3]));
        if kept.len() > 1000 {
            kept.swap_remove(size % kept.len());
        }
    }
}

/// Serves for some time; gives how long each request took, in milliseconds, in order.
fn serve(time: Duration, kept: &mut Vec<Vec<u8>>) -> Vec<f64> {
    // Room is made before, so that nothing else is allocated.
    let mut took = Vec::with_capacity(4_000_000);
    let start = Instant::now();
    while start.elapsed() < time && took.len() < took.capacity() {
        let begun = Instant::now();
        request(kept);
        took.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    took
}

fn p99(mut took: Vec<f64>) -> f64 {
    took.sort_by(f64::total_cmp);
    took.get(took.len() * 99 / 100).copied().unwrap_or(f64::NAN)
}

fn give_up(why: &str) -> ! {
    eprintln!("not possible here: {why}");
    std::process::exit(NOT_POSSIBLE)
}

fn command(name: &str, arguments: &[&str]) {
    let output = Command::new(name).args(arguments).output();
    match output {
        Ok(output) if output.status.success() => {}
        Ok(output) => give_up(&format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) => give_up(&format!("{name}: {error}")),
    }
}

/// Makes a folder whose storage can be put out of order, and gives it.
fn prepare(form: &str, folder: &str) -> String {
    let mounted = format!("{folder}/mounted");
    fs::create_dir(&mounted).unwrap_or_else(|error| give_up(&format!("{mounted}: {error}")));
    match form {
        "full" => {
            os::private_mounts().unwrap_or_else(|error| give_up(&error));
            command("mount", &["-t", "tmpfs", "-o", "size=1g", "tmpfs", &mounted]);
        }
        "hangs" => {
            os::private_mounts().unwrap_or_else(|error| give_up(&error));
            let disk = format!("{folder}/disk");
            let made = File::create(&disk).and_then(|file| file.set_len(4 << 30));
            made.unwrap_or_else(|error| give_up(&format!("{disk}: {error}")));
            command("mkfs.ext4", &["-q", "-F", &disk]);
            command("mount", &["-o", "loop", &disk, &mounted]);
        }
        _ => {}
    }
    mounted
}

/// Puts the storage out of order, or in order again.
fn break_storage(form: &str, folder: &str, breaks: bool) {
    let filler = format!("{folder}/filler");
    match (form, breaks) {
        ("file size limit", true) => os::limit_file_size(Some(200 << 10)),
        ("file size limit", false) => os::limit_file_size(None),
        ("full", true) => {
            // Whatever fits; that not all does is the point.
            let _ = fs::write(&filler, vec![1u8; 1025 << 20]);
        }
        ("full", false) => fs::remove_file(&filler).unwrap_or_else(|error| give_up(&format!("{filler}: {error}"))),
        _ => {
            let folder = File::open(folder).unwrap_or_else(|error| give_up(&format!("{folder}: {error}")));
            os::freeze(&folder, breaks).unwrap_or_else(|error| give_up(&format!("freezing: {error}")));
        }
    }
}

pub(crate) fn child(job: &Job) {
    let folder = std::env::var("TORTURE_FOLDER").expect("set by the judge");
    let mounted = prepare(&job.form, &folder);
    let written = format!("{mounted}/run.plim");
    let session = Job { capture: written.clone(), ..job.clone() }.start();
    let (mut kept, mut figures) = (Vec::with_capacity(2000), Figures::new());
    let mut note = |when: &str, took: Vec<f64>| {
        let slowest = took.iter().copied().fold(0.0, f64::max);
        figures.entry("slowest ms".to_owned()).and_modify(|known| *known = slowest.max(*known)).or_insert(slowest);
        figures.insert(format!("p99 ms {when}"), p99(took));
    };
    serve(Duration::from_millis(200), &mut kept);
    note("before", serve(job.time().min(Duration::from_secs(2)), &mut kept));
    break_storage(&job.form, &mounted, true);
    note("first 100 ms", serve(Duration::from_millis(100), &mut kept));
    // Once a hook has waited, the next one is not to wait again.
    note("during", serve(job.time(), &mut kept));
    break_storage(&job.form, &mounted, false);
    serve(Duration::from_millis(500), &mut kept);
    note("after", serve(job.time().min(Duration::from_secs(2)), &mut kept));
    drop(kept);
    figures.insert("refused".to_owned(), 1.0);
    finish(session, figures);
    // What lies in a mount of this process's own goes where the judge can read it.
    if Path::new(&job.capture).parent() != Path::new(&written).parent() {
        fs::copy(&written, &job.capture).unwrap_or_else(|error| panic!("{written}: {error}"));
    }
}

/// The wall clock jumps at every tick, by days and both ways.
pub(crate) fn wall_clock(job: &Job) {
    let session = job.start();
    let mut kept = Vec::with_capacity(2000);
    for step in 0..job.count as i64 {
        os::shift_wall_clock((step % 5 - 2) * 86_400 * step);
        request(&mut kept);
        std::thread::sleep(Duration::from_millis(job.tick_ms / 2));
    }
    drop(kept);
    finish(session, Figures::new());
}
