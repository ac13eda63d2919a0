//! Starts the program, kills it, and adds up what was found.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::STEPS;
use crate::verify::{Verified, verify};

/// A run whose program is not killed ends after this time.
const LONGEST: Duration = Duration::from_secs(20);

/// Where a series of runs keeps its captures and its arenas.
struct Place {
    captures: TempDir,
    /// In memory, and found by agents as the user's runtime directory.
    runtime: TempDir,
}

impl Place {
    fn new() -> Result<Place, String> {
        let said = |error: std::io::Error| format!("cannot make a directory: {error}");
        let runtime = tempfile::Builder::new().prefix("kills").tempdir_in("/dev/shm").map_err(said)?;
        Ok(Place { captures: tempfile::tempdir().map_err(said)?, runtime })
    }

    fn capture(&self, run: u32) -> PathBuf {
        self.captures.path().join(format!("{run}.plim"))
    }

    fn witness(&self, run: u32) -> PathBuf {
        self.captures.path().join(format!("{run}.witness"))
    }

    fn start(&self, run: u32, time: Duration, more: &[String], kill_at: Option<&str>) -> Result<Child, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(program);
        command.arg("subject").arg(self.capture(run)).arg(self.witness(run));
        command.arg("--milliseconds").arg(time.as_millis().to_string());
        command.args(more);
        command.env("XDG_RUNTIME_DIR", self.runtime.path()).env_remove("PLIMSOLL_ARENA");
        if let Some(step) = kill_at {
            command.env("PLIMSOLL_KILL_AT", step);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        command.spawn().map_err(|error| format!("cannot start the program: {error}"))
    }

    /// Removes what a run has left; its arena goes with the next start.
    fn clear(&self, run: u32) {
        let entries = fs::read_dir(self.captures.path()).into_iter().flatten().flatten();
        let ours =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{run}.")));
        entries.map(|entry| entry.path()).filter(|path| ours(path)).for_each(|path| drop(fs::remove_file(path)));
    }

    /// Arenas that nobody has removed.
    fn left(&self) -> usize {
        fs::read_dir(self.runtime.path().join("plimsoll")).map_or(0, |entries| entries.flatten().count())
    }
}

/// Waits for the program's end; `None` when it hangs.
fn wait(child: &mut Child) -> Option<std::process::ExitStatus> {
    let start = Instant::now();
    while start.elapsed() < LONGEST {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        thread::sleep(Duration::from_millis(2));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Kills at random times, and says what came of it.
pub(crate) fn random(runs: u32, seed: u64) -> Result<bool, String> {
    let place = Place::new()?;
    let mut random = seed;
    let (mut sum, mut failed) = (Verified::default(), 0);
    for run in 0..runs {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let after = Duration::from_micros(1_000 + (random >> 33) % 400_000);
        // Now and then with more threads than there are chunks for.
        let more = if run % 8 == 7 { crowd() } else { Vec::new() };
        let mut child = place.start(run, LONGEST, &more, None)?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("the program has no output")?;
        BufReader::new(output).read_line(&mut line).map_err(|error| error.to_string())?;
        thread::sleep(after);
        child.kill().and_then(|()| child.wait()).map_err(|error| error.to_string())?;
        match verify(&place.capture(run), &place.witness(run)) {
            Ok(found) => add(&mut sum, found),
            Err(error) => {
                failed += 1;
                println!("run {run}, killed after {after:?}: {error}");
            }
        }
        place.clear(run);
    }
    let left = finish(&place, runs)?;
    println!(
        "{runs} kills at random times, {failed} failed; {} events in the captures, {} of them recovered from arenas, {} \
         without a stack, {} counted as lost; {left} arenas left behind",
        sum.events, sum.recovered, sum.without_stack, sum.lost
    );
    Ok(failed == 0 && left == 0)
}

/// More threads than may hold chunks.
fn crowd() -> Vec<String> {
    vec!["--crowd".to_owned(), "140".to_owned()]
}

fn add(sum: &mut Verified, found: Verified) {
    sum.events += found.events;
    sum.recovered += found.recovered;
    sum.without_stack += found.without_stack;
    sum.lost += found.lost;
}

/// One more run, which ends in an orderly way: it is to save or remove what the others left. How many arenas there are
/// then.
fn finish(place: &Place, run: u32) -> Result<usize, String> {
    let mut child = place.start(run, Duration::from_millis(50), &[], None)?;
    let status = wait(&mut child).ok_or("the last run hangs")?;
    let found = verify(&place.capture(run), &place.witness(run))?;
    if !status.success() || !found.is_clean {
        return Err(format!("the last run did not end well: {status}"));
    }
    Ok(place.left())
}

/// Kills at each step, the first few and some later times that it is come to.
pub(crate) fn steps() -> Result<bool, String> {
    let place = Place::new()?;
    let (mut run, mut failed) = (0, 0);
    for step in STEPS {
        let (mut reached, mut sum) = (0, Verified::default());
        for number in [1, 2, 3, 10, 100, 1000] {
            let more = match step {
                // Only a capture that is bounded comes to the steps of a rotation.
                "about to rotate" | "segment created" => vec!["--max-bytes".to_owned(), (4 << 20).to_string()],
                _ if step.starts_with("ring") => crowd(),
                _ => Vec::new(),
            };
            let mut child = place.start(run, Duration::from_millis(400), &more, Some(&format!("{step}:{number}")))?;
            let Some(status) = wait(&mut child) else {
                println!("{step}, time {number}: the program hangs");
                failed += 1;
                continue;
            };
            reached += u32::from(status.signal() == Some(9));
            match verify(&place.capture(run), &place.witness(run)) {
                Ok(found) => add(&mut sum, found),
                Err(error) => {
                    failed += 1;
                    println!("{step}, time {number}: {error}");
                }
            }
            place.clear(run);
            run += 1;
        }
        println!(
            "{step}: killed {reached} times, {} events, {} recovered, {} lost",
            sum.events, sum.recovered, sum.lost
        );
        if reached == 0 {
            println!("{step}: never reached");
            failed += 1;
        }
    }
    let left = finish(&place, run)?;
    println!("{} steps, {failed} failed; {left} arenas left behind", STEPS.len());
    Ok(failed == 0 && left == 0)
}
