//! Follows captures that grow, are cut, rotated, replaced and killed, as the live views do.
#![forbid(unsafe_code)]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use plimsoll_format::{End, EndReason, Header, Loss, LossCause, Mode, Phase, ProcessMemory, Record, Tick, Totals};
use plimsoll_viewer::follow::{FollowOptions, Followed, Follower, Picture, State, Target};

#[path = "support/mod.rs"]
mod support;

use support::{CaptureBuilder, START, alloc, counters, header};

const PATIENCE: Duration = Duration::from_secs(30);
const SECOND: u64 = 1_000_000_000;

fn follow(target: Target) -> Follower {
    follow_with(FollowOptions { targets: vec![target], ..FollowOptions::default() })
}

fn follow_with(options: FollowOptions) -> Follower {
    Follower::start(FollowOptions { every: Duration::from_millis(200), ..options }).unwrap()
}

/// Waits for a picture that is as it should be.
fn until(follower: &Follower, what: &str, is_so: impl Fn(&Picture) -> bool) -> Arc<Picture> {
    let mut picture = follower.now();
    let end = std::time::Instant::now() + PATIENCE;
    while !is_so(&picture) {
        assert!(std::time::Instant::now() < end, "{what} does not come: {picture:#?}");
        picture = follower.wait(picture.number, PATIENCE).expect("pictures come");
    }
    picture
}

/// Waits until the first capture is as it should be.
fn first(follower: &Follower, what: &str, is_so: impl Fn(&Followed) -> bool) -> Arc<Followed> {
    let picture = until(follower, what, |picture| picture.captures.first().is_some_and(|first| is_so(first)));
    picture.captures[0].clone()
}

fn live(followed: &Followed) -> Option<u64> {
    followed.latest.live_bytes().map(|live| live.value)
}

fn allocated(bytes: u64) -> Totals {
    Totals { allocations: 1, bytes, ..Totals::default() }
}

/// A second of a process: memory and counters at `second`, with so many live bytes.
fn tick(builder: &mut CaptureBuilder, second: u64, bytes: u64) {
    let ticks = START + second * SECOND;
    let process = ProcessMemory { rss_bytes: 2 * bytes, peak_rss_bytes: 2 * bytes, ..ProcessMemory::default() };
    builder.record(Record::Tick(Tick { ticks, process, process_cpu_ns: second * SECOND / 4, ..Tick::default() }));
    builder.record(Record::Counters(counters(ticks, allocated(bytes), bytes)));
    builder.watermark(ticks);
}

/// The header of a capture that a process writes.
fn header_of(child: &Child, session: u64) -> Header {
    Header { session, pid: child.id(), program: "sleep".into(), ..header(Mode::Exact, 1) }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("1000").stdout(Stdio::null()).spawn().expect("sleep is there")
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn an_ended_capture_is_read_and_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(START + 1, 64, 300, 1)]);
    tick(&mut builder, 1, 100);
    tick(&mut builder, 3, 300);
    builder.record(Record::Marker { ticks: START + SECOND, name: "deploy".into() });
    let loss = Loss {
        from_ticks: START,
        to_ticks: START + SECOND,
        cause: LossCause::WriterBehind,
        allocations: 5,
        bytes: 50,
        frees: 2,
        freed_bytes: 20,
    };
    builder.record(Record::Loss(loss));
    let path = builder.end(START + 3 * SECOND).save(folder.path(), "a.plim");
    let follower = follow(Target::named(&path));
    let followed = first(&follower, "a look", |followed| followed.look.is_some());
    assert_eq!((followed.state, followed.program.as_str()), (State::Ended, "service"));
    assert_eq!((live(&followed), followed.latest.rss_bytes()), (Some(300), Some(600)));
    assert_eq!(followed.look.as_ref().unwrap().summary.totals.live_bytes.value, 300);
    // 200 bytes in two seconds, and half a second of CPU time.
    assert_eq!(followed.rates.allocated_bytes_per_s.unwrap().value, 100);
    assert_eq!(followed.rates.cpu_percent, Some(25.0));
    assert_eq!((followed.trend.live_bytes, followed.trend.over_ns), (Some(200), 2 * SECOND));
    // A third of the peak is 2.33 of 7 steps above the lowest bar.
    assert_eq!((followed.rss.bars.as_str(), followed.rss.peak_bytes), ("        ▃█", 600));
    assert_eq!(followed.markers, [(SECOND, "deploy".to_owned())]);
    assert_eq!((followed.lost.allocations, followed.lost.frees), (5, 2));
    assert!(follower.now().system.total_bytes > 0);
}

#[test]
fn a_capture_is_waited_for_and_followed_as_it_grows() {
    let folder = tempfile::tempdir().unwrap();
    let child = sleeper();
    let path = folder.path().join("a.plim");
    let follower = follow(Target::named(&path));
    let waiting = first(&follower, "waiting", |followed| followed.state == State::Waiting);
    assert!(waiting.warnings[0].contains("there is no such file"), "{:?}", waiting.warnings);
    let mut builder = CaptureBuilder::with_header(header_of(&child, 7));
    tick(&mut builder, 1, 100);
    let one = builder.bytes();
    // The file is there before there is anything in it.
    fs::write(&path, &one[..20]).unwrap();
    first(&follower, "a start that says nothing", |followed| {
        followed.warnings.iter().any(|said| said.contains("header"))
    });
    fs::write(&path, &one).unwrap();
    let running = first(&follower, "running", |followed| followed.state == State::Running);
    assert_eq!((running.id.as_str(), live(&running), running.pid), ("0000000000000007", Some(100), child.id()));
    tick(&mut builder, 2, 250);
    fs::write(&path, builder.bytes()).unwrap();
    let grown = first(&follower, "growth", |followed| live(followed) == Some(250));
    assert_eq!(grown.series.recent().len(), 2, "each tick once");
    assert_eq!(grown.series.newest().unwrap().values.allocated_bytes_per_s, Some(150));
    let ticks = START + 3 * SECOND;
    builder.record(Record::Phase { ticks, phase: Phase::Paused });
    fs::write(&path, builder.bytes()).unwrap();
    first(&follower, "a pause", |followed| followed.state == State::Paused);
    let reason = EndReason::Detached("the table was full".into());
    builder.record(Record::End(End { ticks, reason, lost_blocks: 0 }));
    fs::write(&path, builder.bytes()).unwrap();
    let detached = first(&follower, "the end", |followed| followed.state == State::Detached);
    assert_eq!(detached.reason.as_deref(), Some("the table was full"));
    kill(child);
}

#[test]
fn a_killed_process_is_told_from_a_file_that_was_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let child = sleeper();
    let mut builder = CaptureBuilder::with_header(header_of(&child, 7));
    tick(&mut builder, 1, 100);
    builder.save(folder.path(), "a.plim");
    let follower = follow(Target::Directory(folder.path().to_owned()));
    first(&follower, "running", |followed| followed.state == State::Running);
    kill(child);
    let killed = first(&follower, "the kill", |followed| !followed.state.is_live());
    assert_eq!((killed.state, live(&killed)), (State::Killed, Some(100)));
    // A capture of a process that was never seen, torn at its end: cut off.
    let mut bytes = builder.bytes();
    bytes.extend(&builder.bytes()[16..60]);
    let other = folder.path().join("b.plim");
    let nobody = Header { session: 8, ..header(Mode::Exact, 1) };
    let mut torn = CaptureBuilder::with_header(nobody).bytes();
    torn.extend_from_slice(&bytes[bytes.len() - 44..]);
    fs::write(&other, torn).unwrap();
    fs::File::options().write(true).open(&other).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    until(&follower, "a torn one", |picture| {
        picture.captures.iter().any(|followed| followed.state == State::Truncated && followed.path == other)
    });
}

#[test]
fn a_restarted_service_is_a_new_capture_beside_the_killed_one() {
    let folder = tempfile::tempdir().unwrap();
    let start = |session: u64, name: &str| {
        let child = sleeper();
        let mut header = header_of(&child, session);
        header.start.wall_ns += session as i64;
        let mut builder = CaptureBuilder::with_header(header);
        tick(&mut builder, 1, 100 * session);
        builder.save(folder.path(), name);
        child
    };
    let follower = follow(Target::named(folder.path()));
    until(&follower, "nothing", |picture| picture.number > 0 && picture.captures.is_empty());
    let one = start(1, "service-1.plim");
    let running = first(&follower, "the first run", |followed| followed.state == State::Running);
    assert!(follower.now().processes.iter().any(|process| process.capture.as_ref() == Some(&running.id)));
    kill(one);
    first(&follower, "the kill", |followed| followed.state == State::Killed);
    let two = start(2, "service-2.plim");
    let picture = until(&follower, "the second run", |picture| picture.captures.len() == 2);
    let states: Vec<State> = picture.captures.iter().map(|followed| followed.state).collect();
    assert_eq!(states, [State::Running, State::Killed], "what runs comes first");
    assert_eq!(picture.capture("0000000000000002").and_then(|second| live(second)), Some(200));
    // A file that is deleted is gone once its process is, and not before.
    fs::remove_file(folder.path().join("service-1.plim")).unwrap();
    fs::remove_file(folder.path().join("service-2.plim")).unwrap();
    until(&follower, "the first one's going", |picture| picture.captures.len() == 1);
    first(&follower, "the second one's staying", |followed| followed.state == State::Running);
    kill(two);
    until(&follower, "the second one's going", |picture| picture.captures.is_empty());
}

/// Writes a segment: its header, and a tick.
fn segment(path: &Path, child: &Child, number: u32, sequence: u64) -> CaptureBuilder {
    let dropped_segments = number.saturating_sub(2);
    let header = Header { segment: number, dropped_segments, ..header_of(child, 9) };
    let mut builder = CaptureBuilder::continued(header, sequence);
    tick(&mut builder, u64::from(number) + 1, 100 * (u64::from(number) + 1));
    fs::write(path, builder.bytes()).unwrap();
    builder
}

#[test]
fn a_rotated_capture_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let child = sleeper();
    let base = folder.path().join("a.plim");
    let path = |number: u32| if number == 0 { base.clone() } else { folder.path().join(format!("a.plim.{number}")) };
    let mut last = segment(&path(0), &child, 0, 0);
    let follower = follow(Target::named(folder.path()));
    first(&follower, "the first segment", |followed| live(followed) == Some(100));
    for number in 1..8 {
        last = segment(&path(number), &child, number, last.next_sequence());
        if number >= 2 {
            fs::remove_file(path(number - 2)).unwrap();
        }
        let expected = 100 * (u64::from(number) + 1);
        first(&follower, "the next segment", |followed| live(followed) == Some(expected));
    }
    let followed = follower.now().captures[0].clone();
    assert_eq!((followed.path.as_path(), followed.series.recent().len()), (base.as_path(), 8));
    assert_eq!((followed.lost.missing_blocks, followed.lost.dropped_segments, followed.state), (0, 5, State::Running));
    // One that comes late finds what is left: two segments, without a warning of lost blocks.
    let late = follow(Target::named(&path(7)));
    let late_first = first(&late, "what is left", |followed| live(followed) == Some(800));
    assert_eq!((late_first.path.as_path(), late_first.series.recent().len()), (base.as_path(), 2));
    assert_eq!((late_first.lost.missing_blocks, late.now().captures.len()), (0, 1));
    kill(child);
}

#[test]
fn a_cut_file_goes_on_and_a_replaced_one_is_another() {
    let folder = tempfile::tempdir().unwrap();
    let child = sleeper();
    let mut builder = CaptureBuilder::with_header(header_of(&child, 7));
    tick(&mut builder, 1, 100);
    let start = builder.bytes();
    tick(&mut builder, 2, 200);
    let path = builder.save(folder.path(), "a.plim");
    let follower = follow(Target::named(&path));
    first(&follower, "both ticks", |followed| live(followed) == Some(200));
    fs::write(&path, &start).unwrap();
    let cut = first(&follower, "the cut", |followed| followed.warnings.iter().any(|said| said.contains("was cut")));
    assert_eq!((live(&cut), cut.series.recent().len()), (Some(200), 2), "what was read stays, each once");
    tick(&mut builder, 3, 300);
    fs::write(&path, builder.bytes()).unwrap();
    let grown = first(&follower, "what came after", |followed| live(followed) == Some(300));
    assert_eq!(grown.series.recent().len(), 3);
    // Another capture takes the name: as a new file, and then over the same one.
    let mut other = CaptureBuilder::with_header(header_of(&child, 8));
    tick(&mut other, 1, 70);
    fs::remove_file(&path).unwrap();
    other.save(folder.path(), "a.plim");
    first(&follower, "the new file", |followed| followed.id.ends_with('8') && live(followed) == Some(70));
    let mut third = CaptureBuilder::with_header(header_of(&child, 9));
    (1..9).for_each(|second| tick(third.block(), second, 90));
    third.save(folder.path(), "a.plim");
    first(&follower, "the new content", |followed| followed.id.ends_with('9') && live(followed) == Some(90));
    kill(child);
}

#[test]
fn many_captures_are_bounded_and_what_is_no_capture_is_said() {
    let folder = tempfile::tempdir().unwrap();
    for session in 1..=80 {
        let mut builder = CaptureBuilder::with_header(Header { session, ..header(Mode::Exact, 1) });
        builder.end(START + 1).save(folder.path(), &format!("{session}.plim"));
    }
    fs::write(folder.path().join("notes.txt"), "no capture").unwrap();
    let follower = follow(Target::named(folder.path()));
    let picture = until(&follower, "captures", |picture| picture.captures.len() == 64);
    assert_eq!(picture.warnings, ["16 captures are not followed: only the newest 64 are"]);
    let looks = |picture: &Picture| picture.captures.iter().filter(|followed| followed.look.is_some()).count();
    // One a second at most, so that only what was asked for is waited for here.
    let last = picture.captures[63].id.clone();
    follower.want(&last);
    let picture = until(&follower, "the look", |picture| picture.captures[63].look.is_some());
    assert!(looks(&picture) <= 9);
    let odd = folder.path().join("odd.plim");
    fs::write(&odd, "no capture at all").unwrap();
    let follower = follow(Target::Capture(odd));
    let odd = first(&follower, "the odd one", |followed| !followed.warnings.is_empty());
    assert!(odd.state == State::Waiting && odd.warnings[0].contains("not a Plimsoll capture"), "{:?}", odd.warnings);
}

#[test]
fn processes_are_found_by_name_and_number() {
    let mut one = Command::new("sleep").arg("1000.125").spawn().unwrap();
    let two = Command::new("sleep").arg("1000.125").spawn().unwrap();
    let missing = u32::MAX.to_string();
    let processes = vec!["1000.125".to_owned(), missing.clone(), one.id().to_string()];
    let follower = follow_with(FollowOptions { processes, look: None, ..FollowOptions::default() });
    let is_read = |picture: &Picture, pid: u32| {
        picture.processes.iter().any(|process| process.pid == pid && process.memory.is_ok() && process.asked_for)
    };
    let picture = until(&follower, "both", |picture| is_read(picture, one.id()) && is_read(picture, two.id()));
    let read = || picture.processes.iter().filter(|process| process.memory.is_ok());
    assert_eq!((picture.sum.processes, picture.sum.unreadable), (2, 1));
    assert_eq!(picture.sum.rss_bytes, read().map(|process| *process.memory.as_ref().unwrap()).sum::<u64>());
    assert!(read().all(|process| process.name == "sleep" && process.command == "sleep 1000.125"));
    assert!(read().all(|process| process.memory_text().starts_with("Memory: ") && process.strip.bars.ends_with('█')));
    assert!(read().all(|process| process.level.is_some() && process.limit.is_some()));
    let gone = picture.processes.iter().find(|process| process.name == missing).expect("what was asked for is shown");
    assert_eq!(gone.memory_text(), "Memory: error (there is no such process)");
    // A process that has ended and was not asked how has no memory; the rest goes on.
    one.kill().unwrap();
    let is_zombie = |picture: &Picture| {
        let process = picture.processes.iter().find(|process| process.pid == one.id());
        process.is_some_and(|process| process.memory_text().starts_with("Memory: error (it has ended"))
    };
    let picture = until(&follower, "the first one's end", is_zombie);
    assert!(is_read(&picture, two.id()));
    one.wait().unwrap();
    let has_gone =
        |picture: &Picture| picture.processes.iter().any(|process| process.pid == one.id() && process.has_gone);
    until(&follower, "its going", has_gone);
    kill(two);
}

#[test]
fn who_asks_for_a_process_is_not_taken_for_it() {
    let mut searched = Command::new("sleep").arg("1000.0625").spawn().unwrap();
    // Another one that asks, and the shell that runs this one, have the pattern on their command lines.
    let plimsoll = env!("CARGO_BIN_EXE_plimsoll");
    let folder = tempfile::tempdir().expect("a folder");
    let mut watch = Command::new(plimsoll);
    watch.args(["watch", "--process", "1000.0625"]).arg(folder.path()).stderr(Stdio::null());
    let mut watch = watch.spawn().expect("it starts");
    let line = format!("{plimsoll} status {} --process 1000.0625 --format json; true", folder.path().display());
    let output = Command::new("sh").args(["-c", &line]).output();
    for child in [&mut watch, &mut searched] {
        let _ = child.kill();
        child.wait().expect("it ends");
    }
    let json: serde_json::Value = serde_json::from_slice(&output.expect("it runs").stdout).expect("JSON");
    let names: Vec<_> = json["programs"].as_array().expect("a list").iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["sleep"], "{json}");
}

#[test]
fn a_process_is_found_by_what_it_has_open() {
    let folder = tempfile::tempdir().unwrap();
    let path = CaptureBuilder::exact().save(folder.path(), "a.plim");
    let child = Command::new("sleep").arg("1000").stdin(fs::File::open(&path).unwrap()).spawn().unwrap();
    let follower = follow(Target::named(Path::new(&child.id().to_string())));
    first(&follower, "its capture", |followed| followed.path == path && followed.program == "service");
    kill(child);
    let nobody = follow(Target::Pid(u32::MAX));
    let picture = until(&nobody, "a reason", |picture| picture.number > 0);
    assert!(
        picture.warnings[0].starts_with("cannot find the capture of process 4294967295: "),
        "{:?}",
        picture.warnings
    );
}

#[test]
fn a_long_capture_stays_small() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CaptureBuilder::exact();
    // Two days of ticks; the peak is at one of them alone.
    for second in 0..172_800 {
        tick(&mut builder, second, if second == 77_777 { 1 << 30 } else { 1 << 20 });
        if second % 60 == 0 {
            builder.block();
        }
    }
    let path = builder.end(START + 172_800 * SECOND).save(folder.path(), "a.plim");
    let follower =
        follow_with(FollowOptions { targets: vec![Target::named(&path)], look: None, ..FollowOptions::default() });
    let followed = first(&follower, "the end", |followed| followed.state == State::Ended);
    assert_eq!((followed.series.recent().len(), followed.behind_bytes), (1_000, 0));
    assert!((500..=1_000).contains(&followed.series.whole().len()));
    assert_eq!(followed.series.most(|values| values.live_bytes), 1 << 30);
    assert_eq!(followed.rss.peak_bytes, 2 << 30);
}
