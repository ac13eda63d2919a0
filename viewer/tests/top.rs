//! What `plimsoll top` draws: every pane at three sizes, and how keys change it.
//!
//! The pictures are in `tests/top`; `PLIMSOLL_DRAW_ANEW=1` writes them again.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use plimsoll_format::control::Request;
use plimsoll_format::*;
use plimsoll_viewer::follow::{
    FollowOptions, Follower, Level, Look, LookOptions, Picture, Process, Strip, Sum, System, Target,
};
use plimsoll_viewer::top::{App, Flow, Whom};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

#[path = "support/mod.rs"]
mod support;

#[path = "cli_support/mod.rs"]
mod cli_support;

use support::{CaptureBuilder, START, alloc, counters, free, header};

const SECOND: u64 = 1_000_000_000;
const SECONDS: u64 = 100;

/// 100 seconds of a service: one site leaks 40 KiB a second in four blocks, one filled a cache in the first tenth, one comes and goes.
fn capture(folder: &Path, name: &str) -> PathBuf {
    let session = name.len() as u64;
    let mut header = Header { session, program: name.into(), pid: 4_711, ..header(Mode::Exact, 1) };
    header.start.wall_ns += session as i64;
    let mut builder = CaptureBuilder::with_header(header);
    cli_support::named(
        &mut builder,
        &["service::sessions::remember", "service::cache::Cache::insert", "service::page::render"],
    );
    cli_support::thread(&mut builder, "worker");
    let mut totals = Totals::default();
    let mut classes = vec![SizeClass::default(); 15];
    let mut peak = 0;
    let mut events = Vec::new();
    let (mut address, mut live) = (1 << 20, 0u64);
    for second in 0..SECONDS {
        let at = |part: u64| START + second * SECOND + part * SECOND / 10;
        let mut new = |events: &mut Vec<Event>, part: u64, size: u64, stack: u32| {
            address += 1 << 20;
            events.push(alloc(at(part), address, size, stack));
            totals.allocations += 1;
            totals.bytes += size;
            classes[size.ilog2() as usize].allocations += 1;
            address
        };
        for part in 0..4 {
            new(&mut events, part, 10 << 10, 1);
            live += 10 << 10;
        }
        if second < 10 {
            new(&mut events, 5, 16 << 10, 2);
            live += 16 << 10;
        }
        let page = new(&mut events, 6, 2_000, 3);
        events.push(free(at(7), page));
        totals.frees += 1;
        totals.freed_bytes += 2_000;
        classes[10].frees += 1;
        peak = peak.max(live + 2_000);
        builder.events(&events);
        events.clear();
        let ticks = START + (second + 1) * SECOND;
        builder.record(Record::Tick(tick(ticks, 4 * live + (8 << 20))));
        builder.record(Record::Counters(Counters { classes: classes.clone(), ..counters(ticks, totals, peak) }));
        builder.watermark(ticks);
    }
    builder.record(Record::Marker { ticks: START + 50 * SECOND, name: "deploy\x1b[31m 2".into() });
    let loss = Loss {
        from_ticks: START,
        to_ticks: START + SECOND,
        cause: LossCause::Reentered,
        allocations: 3,
        bytes: 300,
        frees: 0,
        freed_bytes: 0,
    };
    builder.record(Record::Loss(loss));
    builder.end(START + SECONDS * SECOND).save(folder, &format!("{name}.plim"))
}

fn tick(ticks: u64, rss_bytes: u64) -> Tick {
    let cgroup = Cgroup { version: 2, limit_bytes: Some(32 << 20), usage_bytes: rss_bytes, inactive_file_bytes: 0 };
    Tick {
        ticks,
        process: ProcessMemory { rss_bytes, peak_rss_bytes: rss_bytes, ..ProcessMemory::default() },
        cgroup: Some(cgroup),
        system: SystemMemory { total_bytes: 8 << 30, available_bytes: 4 << 30, ..SystemMemory::default() },
        process_cpu_ns: (ticks - START) / 8,
        agent: AgentCost { cpu_ns: (ticks - START) / 1_000, ..AgentCost::default() },
    }
}

fn process(pid: u32, memory: Result<u64, String>) -> Arc<Process> {
    let strip = Strip::new(memory.iter().copied(), 3 << 20, Some(Level::Green));
    Arc::new(Process {
        pid,
        name: "postgres".into(),
        command: "postgres: writer\x1b[2J".into(),
        memory,
        cpu_percent: Some(12.5),
        has_gone: false,
        limit: None,
        level: Some(Level::Green),
        strip,
        series: Arc::default(),
        asked_for: true,
        capture: None,
    })
}

/// A picture of two captures and two processes in which nothing depends on this machine or on the time.
fn picture(folder: &Path) -> Picture {
    let targets = ["service", "other"].map(|name| Target::Capture(capture(folder, name))).to_vec();
    let follower = Follower::start(FollowOptions { targets, look: None, ..FollowOptions::default() }).unwrap();
    let mut picture = Picture::clone(&follower.wait(0, Duration::from_secs(30)).expect("a picture comes"));
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_200);
    picture.at = Some(now);
    for followed in &mut picture.captures {
        let mut look = Look::at(&followed.path, &LookOptions::default()).unwrap();
        (look.at, look.took) = (now - Duration::from_secs(3), Duration::from_millis(250));
        Arc::make_mut(followed).look = Some(Arc::new(look));
    }
    picture.system = System { total_bytes: 8 << 30, available_bytes: 6 << 30, ..System::default() };
    picture.processes = vec![process(99, Ok(2 << 20)), process(100, Err("permission denied".into()))];
    let strip = Strip::new([1 << 20, 2 << 20], 3 << 20, Some(Level::Green));
    picture.sum = Sum { processes: 1, unreadable: 1, rss_bytes: 2 << 20, cpu_percent: 12.5, strip, ..Sum::default() };
    picture
}

struct Screen {
    app: App,
    terminal: Terminal<TestBackend>,
}

impl Screen {
    fn new(picture: &Picture, width: u16, height: u16) -> Screen {
        let mut app = App::new(true);
        app.update(Arc::new(picture.clone()));
        Screen { app, terminal: Terminal::new(TestBackend::new(width, height)).unwrap() }
    }

    fn code(&mut self, code: KeyCode) -> Flow {
        self.app.key(KeyEvent::new(code, KeyModifiers::NONE))
    }

    fn keys(&mut self, keys: &str) -> &mut Screen {
        keys.chars().for_each(|key| drop(self.code(KeyCode::Char(key))));
        self
    }

    fn enter(&mut self) -> &mut Screen {
        self.code(KeyCode::Enter);
        self
    }

    /// What is on the screen, without spaces at line ends.
    fn text(&mut self) -> String {
        let Screen { app, terminal } = self;
        terminal.draw(|frame| app.draw(frame)).unwrap();
        let buffer = terminal.backend().buffer();
        let width = usize::from(buffer.area.width);
        let row = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
        let rows: Vec<String> = buffer.content.chunks(width).map(|cells| row(cells).trim_end().to_owned()).collect();
        rows.join("\n") + "\n"
    }
}

/// Every pane, and what keys open in it.
const SCENES: [(&str, &str); 16] = [
    ("sites", "1"),
    ("sites by crate", "1ggs"),
    ("a site's stack", "1\n"),
    ("the call tree", "2"),
    ("sizes", "3"),
    ("lifetimes", "4"),
    ("the whole run", "5"),
    ("leaks", "6"),
    ("the evidence for a leak", "6\n"),
    ("threads and tags", "7"),
    ("losses", "8"),
    ("processes", "9"),
    ("help", "?"),
    ("what a program can be asked", "c"),
    ("a name is typed", "cmdeploy 3"),
    ("a program is asked", "cf"),
];

fn drawn(picture: &Picture, width: u16, height: u16) -> String {
    let mut text = String::new();
    for (name, keys) in SCENES {
        let mut screen = Screen::new(picture, width, height);
        for key in keys.chars() {
            screen.code(if key == '\n' { KeyCode::Enter } else { KeyCode::Char(key) });
        }
        text.push_str(&format!("=== {name}\n{}", screen.text()));
    }
    text
}

#[test]
fn every_pane_is_drawn_at_three_sizes() {
    let folder = tempfile::tempdir().unwrap();
    let picture = picture(folder.path());
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/top");
    for (width, height) in [(80, 24), (120, 40), (60, 16)] {
        let drawn = drawn(&picture, width, height).replace(&*folder.path().to_string_lossy(), "FOLDER");
        let path = snapshots.join(format!("{width}x{height}.txt"));
        if std::env::var_os("PLIMSOLL_DRAW_ANEW").is_some() {
            std::fs::create_dir_all(&snapshots).unwrap();
            std::fs::write(&path, &drawn).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = drawn.lines().zip(expected.lines()).position(|(drawn, expected)| drawn != expected);
        assert!(drawn == expected, "{} differs from line {differs:?} on; drawn is:\n{drawn}", path.display());
    }
}

#[test]
fn no_size_is_too_small_and_nothing_hostile_gets_out() {
    let folder = tempfile::tempdir().unwrap();
    let picture = picture(folder.path());
    for (width, height) in [(1, 1), (2, 30), (30, 2), (10, 7), (40, 12), (79, 23), (300, 100)] {
        for shown in [&picture, &Picture::default()] {
            let drawn = drawn(shown, width, height);
            assert!(!drawn.contains('\x1b'), "{drawn}");
        }
    }
}

#[test]
fn lists_are_sorted_searched_and_grouped() {
    let folder = tempfile::tempdir().unwrap();
    let mut screen = Screen::new(&picture(folder.path()), 120, 40);
    let order = |screen: &mut Screen| {
        let text = screen.text();
        let at = |name: &str| text.find(name);
        (at("sessions::remember"), at("Cache::insert"), at("page::render"))
    };
    let (remember, insert, render) = order(&mut screen);
    assert!(remember < insert && insert < render && remember.is_some(), "by live bytes");
    let (remember, insert, _) = order(screen.keys("ssss"));
    assert!(insert < remember, "by name: cache, page, sessions");
    screen.keys("/CACHE").enter();
    let found = screen.text();
    assert!(found.contains("searching for CACHE") && found.contains("Cache::insert") && !found.contains("remember"));
    screen.code(KeyCode::Esc);
    assert!(screen.text().contains("sessions::remember"));
    assert!(screen.keys("gg").text().contains("1 crate by name"));
    // The tree opens what leads to one call alone, and closes it again.
    let tree = screen.keys("2").text();
    assert!(tree.contains("  service::sessions::remember"), "{tree}");
}

#[test]
fn the_view_is_paused_marked_and_moved_to_another_capture() {
    let folder = tempfile::tempdir().unwrap();
    let first = picture(folder.path());
    let mut screen = Screen::new(&first, 120, 40);
    assert!(screen.text().starts_with("service 4711") || screen.text().starts_with("other 4711"));
    let shown = screen.text().split(' ').next().unwrap().to_owned();
    screen.keys("m");
    assert!(screen.text().contains("since the mark, 0 ns ago: live 0 B  RSS 0 B"), "{}", screen.text());
    // A second later there is 1 MiB more.
    let mut second = first.clone();
    for followed in &mut second.captures {
        let followed = Arc::make_mut(followed);
        followed.latest.at_ns += SECOND;
        let counters = Arc::make_mut(followed.latest.counters.as_mut().unwrap());
        for totals in [&mut counters.program, &mut counters.program_upper] {
            totals.bytes += 1 << 20;
        }
    }
    screen.keys("p");
    screen.app.update(Arc::new(second.clone()));
    let paused = screen.text();
    assert!(paused.contains("PAUSED") && paused.contains("0 ns ago"), "{paused}");
    let on = screen.keys("p").text();
    assert!(on.contains("since the mark, 1.00 s ago: live +1.00 MiB  RSS 0 B  allocated 1.00 MiB"), "{on}");
    let Flow::Want(id) = screen.code(KeyCode::Char(']')) else { panic!("the next capture is asked for") };
    let next = second.capture(&id).unwrap();
    assert!(next.program != shown && screen.text().starts_with(&format!("{} 4711", next.program)));
    screen.code(KeyCode::Char('['));
    assert!(screen.text().starts_with(&format!("{shown} 4711")));
    assert_eq!(screen.code(KeyCode::Char('q')), Flow::Quit);
    assert_eq!(screen.app.key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), Flow::Quit);
    screen.keys("/");
    assert_eq!(screen.code(KeyCode::Char('q')), Flow::Go, "a search may have a q in it");
}

#[test]
fn without_a_capture_it_says_what_to_do() {
    let mut screen = Screen::new(&Picture::default(), 80, 24);
    let text = screen.text();
    assert!(text.contains("waiting for a capture") && text.contains("PLIMSOLL_OUTPUT"), "{text}");
    let nowhere = Picture { warnings: vec!["cannot list /nowhere".into()], ..Picture::default() };
    screen.app.update(Arc::new(nowhere));
    assert!(screen.text().contains("cannot list /nowhere"));
}

#[test]
fn every_action_is_asked_for_by_its_key_and_what_came_of_it_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let mut screen = Screen::new(&picture(folder.path()), 80, 24);
    let mut asked = |keys: &str, end: KeyCode| {
        screen.keys(keys);
        let Flow::Ask(Whom::Capture { pid: 4_711, program, .. }, request) = screen.code(end) else {
            panic!("{keys}: nothing is asked");
        };
        assert!(screen.text().contains(&format!(": {program} 4711 is asked")), "{}", screen.text());
        // One at a time.
        assert_eq!(screen.keys("c").code(KeyCode::Char('x')), Flow::Go);
        screen.app.answered(Ok("it is done".into()));
        let text = screen.text();
        assert!(text.contains(&format!(" of {program} 4711: it is done")), "{text}");
        screen.code(KeyCode::Esc);
        assert!(screen.text().contains("? help"), "the next key takes it away");
        request
    };
    for (key, request) in [
        ('?', Request::Status),
        ('s', Request::Start(Default::default())),
        ('x', Request::Stop),
        ('p', Request::Pause),
        ('r', Request::Resume),
        ('n', Request::Snapshot { name: None }),
        ('f', Request::Flush),
        ('g', Request::Purge),
    ] {
        assert_eq!(asked("c", KeyCode::Char(key)), request);
    }
    assert_eq!(asked("cmquit q", KeyCode::Enter), Request::Mark { name: "quit q".into() });
    assert_eq!(asked("ci64KiB", KeyCode::Enter), Request::Interval { bytes: 64 << 10 });
    for (keys, why) in [("cm ", "mark: expected a name"), ("cilots", "interval: \"lots\" is no size")] {
        screen.keys(keys);
        assert_eq!(screen.code(KeyCode::Enter), Flow::Go);
        assert!(screen.text().contains(why), "{}", screen.text());
    }
    // Neither a key that is none of them, nor Esc, asks anything.
    assert_eq!(screen.keys("c").code(KeyCode::Char('q')), Flow::Go);
    assert_eq!(screen.keys("cmx").code(KeyCode::Esc), Flow::Go);
    assert!(screen.text().contains("? help"), "{}", screen.text());
    screen.keys("cg");
    screen.app.answered(Err(format!("no \x1b[31m{}", "way ".repeat(100))));
    let text = screen.text();
    assert!(text.contains(" 4711 failed: no \\u{1b}[31mway") && text.ends_with("…\n") && text.lines().count() == 24);
}

#[test]
fn without_a_capture_the_one_that_listens_is_asked() {
    let mut screen = Screen::new(&Picture::default(), 80, 24);
    assert_eq!(screen.keys("c").code(KeyCode::Char('s')), Flow::Ask(Whom::TheOne, Request::Start(Default::default())));
}
