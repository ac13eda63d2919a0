//! Runs a child under a watchdog and holds its capture, opened as the viewer opens it, against what the witness counted.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use plimsoll_format::LossCause;
use plimsoll_viewer::capture::{Capture, LoadOptions, open};
use plimsoll_viewer::model::EndKind;
use plimsoll_viewer::replay::{Heap, ReplayOptions};

use crate::job::{Job, Mode, TELLS, Told, VARIABLE};
use crate::witness::Counts;

/// A child that takes this much longer than its job asks for hangs.
const WATCHDOG: Duration = Duration::from_secs(60);

/// What a child is expected to do beside its work.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    /// How it ends.
    pub(crate) end: End,
    /// How much longer than its job's time it may take.
    pub(crate) longest: Duration,
    /// Whether it may say something as the agent; what is wrong with a disk is said once.
    pub(crate) may_speak: bool,
    /// Whether events may be lost, as long as they are counted.
    pub(crate) may_lose: bool,
    /// Whether its events are replayed and added up.
    pub(crate) replays: bool,
    /// Whether blocks may be missing, as they could not be written.
    pub(crate) may_miss_blocks: bool,
    /// Its handlers jump out of hooks: each may take one event with it that one side has counted and another has not.
    pub(crate) jumps: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It exits with this code, and leaves a whole capture.
    Exit(i32),
    /// It exits with this code in a way that gives the agent no chance.
    Gone(i32),
    /// A signal ends it.
    Signal(i32),
}

impl Default for Expected {
    fn default() -> Expected {
        Expected {
            end: End::Exit(0),
            longest: WATCHDOG,
            may_speak: false,
            may_lose: false,
            replays: true,
            may_miss_blocks: false,
            jumps: false,
        }
    }
}

/// A child that has ended, and what it left.
pub(crate) struct Ended {
    pub(crate) job: Job,
    pub(crate) status: ExitStatus,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
    pub(crate) told: Option<Told>,
    pub(crate) capture: Option<Capture>,
    pub(crate) heap: Option<Heap>,
    _folder: tempfile::TempDir,
}

/// The job's child, not started; its capture goes into `folder`.
fn command(job: &Job, folder: &Path) -> Result<(Command, PathBuf), String> {
    let capture = folder.join("run.plim");
    let job = Job { capture: capture.to_string_lossy().into_owned(), ..job.clone() };
    let text = serde_json::to_string(&job).map_err(|error| error.to_string())?;
    let own = std::env::current_exe().map_err(|error| format!("cannot find this program: {error}"))?;
    let mut command = Command::new(own);
    command.env(VARIABLE, text).env("TORTURE_FOLDER", folder).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    Ok((command, capture))
}

fn reader(mut pipe: impl Read + Send + 'static) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is.
        let _ = pipe.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// What the threads of a process that hangs are at.
fn threads_of(pid: u32) -> String {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten().take(12);
    tasks.map(|task| format!(" [{} {}]", read(task.path().join("comm")), read(task.path().join("syscall")))).collect()
}

/// Runs the job in a child and judges it.
pub(crate) fn run(job: &Job, expected: &Expected) -> Result<Ended, String> {
    let name = format!("{} {} {}", job.work, job.form, job.mode);
    run_child(job, expected).map_err(|error| format!("{name}: {error}"))
}

fn run_child(job: &Job, expected: &Expected) -> Result<Ended, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("cannot make a folder for captures: {error}"))?;
    let (mut command, path) = command(job, folder.path())?;
    let start = Instant::now();
    let mut child = command.spawn().map_err(|error| format!("cannot start: {error}"))?;
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err("the child has no pipes".to_owned());
    };
    let (stdout, stderr) = (reader(stdout), reader(stderr));
    let longest = job.time() + expected.longest;
    let status = loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            break status;
        }
        if start.elapsed() > longest {
            let threads = threads_of(child.id());
            let _ = child.kill();
            let _ = child.wait();
            let said = stderr.join().unwrap_or_default();
            return Err(format!("HANGS: not done after {longest:?};{threads} {}", said.trim()));
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let took = start.elapsed();
    let (stdout, stderr) = (stdout.join().unwrap_or_default(), stderr.join().unwrap_or_default());
    let told = stdout.lines().rev().find_map(|line| line.strip_prefix(TELLS));
    let told = told.map(serde_json::from_str).transpose().map_err(|error| format!("tells no JSON: {error}"))?;
    let mut ended = Ended { job: job.clone(), status, stderr, took, told, capture: None, heap: None, _folder: folder };
    ended.judge_end(expected)?;
    if job.mode != Mode::Bare {
        ended.open(&path, expected)?;
        ended.judge_capture(expected)?;
    }
    Ok(ended)
}

impl Ended {
    pub(crate) fn figure(&self, name: &str) -> f64 {
        self.told.as_ref().and_then(|told| told.figures.get(name)).copied().unwrap_or(f64::NAN)
    }

    /// Most bytes that the agent said it held, at any tick.
    pub(crate) fn agent_bytes(&self) -> u64 {
        let ticks = self.capture.iter().flat_map(|capture| &capture.profile.ticks);
        ticks.map(|tick| tick.agent.mapped_bytes + tick.agent.heap_bytes).max().unwrap_or(0)
    }

    /// Events lost, by cause; stacks that were only cut are none.
    pub(crate) fn lost(&self, cause: impl Fn(LossCause) -> bool) -> Counts {
        let losses = self.capture.iter().flat_map(|capture| &capture.profile.losses);
        losses.filter(|loss| cause(loss.cause)).fold(Counts::default(), |sum, loss| Counts {
            allocations: sum.allocations + loss.allocations,
            bytes: sum.bytes + loss.bytes,
            frees: sum.frees + loss.frees,
            freed_bytes: sum.freed_bytes + loss.freed_bytes,
        })
    }

    fn judge_end(&self, expected: &Expected) -> Result<(), String> {
        let as_expected = match expected.end {
            End::Exit(code) | End::Gone(code) => self.status.code() == Some(code),
            End::Signal(signal) => self.status.signal() == Some(signal),
        };
        if !as_expected {
            return Err(format!("ended with {}, expected {:?}: {}", self.status, expected.end, self.stderr.trim()));
        }
        // Cases beside this one kill programs of that name, which the next start says.
        let of_this_run = |line: &str| line.contains("plimsoll:") && !line.contains("plimsoll: the last run");
        if !expected.may_speak && self.stderr.lines().any(of_this_run) {
            return Err(format!("the agent speaks: {}", self.stderr.trim()));
        }
        if self.job.mode != Mode::Bare
            && !expected.jumps
            && let Some(told) = &self.told
        {
            let (witness, program) = (told.witness, told.program);
            same("allocations", witness.allocations, program.allocations + told.agent_allocations)?;
            same("bytes", witness.bytes, program.bytes + told.agent_bytes)?;
            same("freed bytes", witness.freed_bytes, program.freed_bytes + told.agent_freed_bytes)?;
        }
        Ok(())
    }

    fn open(&mut self, path: &Path, expected: &Expected) -> Result<(), String> {
        let capture = open(path, &LoadOptions::default()).map_err(|error| format!("its capture: {error}"))?;
        if expected.replays {
            let heap = capture.replay(&ReplayOptions::default()).map_err(|error| format!("its capture: {error}"))?;
            self.heap = Some(heap);
        }
        self.capture = Some(capture);
        Ok(())
    }

    fn judge_capture(&self, expected: &Expected) -> Result<(), String> {
        let Some(capture) = &self.capture else { return Ok(()) };
        let profile = &capture.profile;
        let unread = &profile.unread;
        if unread.records + unread.codec_blocks + unread.foreign_blocks + unread.damaged_regions > 0
            || !unread.gaps.is_empty() && !expected.may_miss_blocks
        {
            return Err(format!("its capture cannot be read whole: {unread:?}"));
        }
        if !matches!(expected.end, End::Exit(_)) {
            return Ok(());
        }
        if profile.end.kind != EndKind::Clean {
            return Err(format!("its capture has no clean end: {:?}", profile.end));
        }
        let lost = self.lost(|cause| cause != LossCause::StackTableFull);
        if !expected.may_lose && lost != Counts::default() {
            return Err(format!("lost {lost:?}"));
        }
        let Some(told) = &self.told else { return Ok(()) };
        let counters = profile.counters.last().ok_or("its capture has no counters")?;
        if !told.is_last {
            return at_least("recorded allocations", told.recorded.allocations, counters.program.allocations);
        }
        same("recorded allocations", told.recorded.allocations, counters.program.allocations)?;
        same("recorded bytes", told.recorded.bytes, counters.program.bytes)?;
        same("recorded frees", told.recorded.frees, counters.program.frees)?;
        same("recorded freed bytes", told.recorded.freed_bytes, counters.program.freed_bytes)?;
        match &self.heap {
            Some(heap) if self.job.mode == Mode::Exact && !expected.jumps && !heap.totals_are_partial => {
                self.judge_events(heap, lost)
            }
            _ => Ok(()),
        }
    }

    /// In exact mode, what the sites hold is what was counted since the session began, lost events apart.
    fn judge_events(&self, heap: &Heap, lost: Counts) -> Result<(), String> {
        let (Some(capture), Some(told)) = (&self.capture, &self.told) else { return Ok(()) };
        let before = capture.profile.header.before;
        let (total, freed) = (heap.sum(|site| site.total), heap.sum(|site| site.freed));
        same("allocations by events", told.recorded.allocations - before.allocations, total.blocks + lost.allocations)?;
        same("bytes by events", told.recorded.bytes - before.bytes, total.bytes + lost.bytes)?;
        if lost == Counts::default() {
            // Frees of what is older than the session are known by their number.
            let frees = freed.blocks + heap.repairs.unknown_frees;
            same("frees by events", told.recorded.frees - before.frees, frees)?;
        }
        Ok(())
    }
}

fn same(what: &str, expected: u64, found: u64) -> Result<(), String> {
    if expected == found { Ok(()) } else { Err(format!("{what}: {found} instead of {expected}")) }
}

fn at_least(what: &str, expected: u64, found: u64) -> Result<(), String> {
    if found >= expected { Ok(()) } else { Err(format!("{what}: {found}, less than {expected}")) }
}
