//! The command line as people and scripts meet it: exit codes, one-line errors, pipes, hostile names.
#![forbid(unsafe_code)]

#[path = "cli_support/mod.rs"]
mod cli_support;
#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

use cli_support::{named, plimsoll, sample_capture, thread};
use support::{CaptureBuilder, START, alloc, header};

/// Commands that read a capture.
const READERS: [&str; 6] = ["report", "leaks", "histogram", "flamegraph", "dump", "pack"];

#[test]
fn bad_input_gets_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let mut newer = plimsoll_format::file_header().to_vec();
    newer[8] = 99;
    let crc = crc32(&newer[..12]);
    newer[12..16].copy_from_slice(&crc.to_le_bytes());
    let inputs = [
        folder.path().join("nowhere").to_str().unwrap().to_owned(),
        folder.path().to_str().unwrap().to_owned(),
        file("empty", b""),
        file("text", &b"hello\n".repeat(100)),
        file("newer", &newer),
        file("zeros", &vec![0; 8 << 20]),
        "a\x1b[31m\nb".to_owned(),
    ];
    for command in READERS {
        for input in &inputs {
            let output = plimsoll(&[command, input]);
            assert_eq!(output.code, 2, "{command} {input:?}");
            assert_eq!(output.stderr.lines().count(), 1, "{command} {input:?}: {}", output.stderr);
            assert!(!output.stderr.contains('\x1b'), "{command} {input:?}");
            assert_eq!(output.stdout, "", "{command} {input:?}");
        }
    }
}

/// CRC-32, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, byte| (0..8).fold(crc ^ u32::from(*byte), step))
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    let wrong: [&[&str]; 7] = [
        &[],
        &["report"],
        &["leaks", &capture, "--focus", "("],
        &["leaks", &capture, "--at", "yesterday-ish"],
        &["leaks", &capture, "--at", "5h"],
        &["flamegraph", &capture, "--of", "total", "--at", "peak"],
        &["run", "--", "/nowhere/at/all"],
    ];
    for arguments in wrong {
        assert_eq!(plimsoll(arguments).code, 2, "{arguments:?}");
    }
    let unknown = plimsoll(&["leaks", &capture, "--at", "yesterday-ish"]).stderr;
    assert!(unknown.contains("half-way"), "it names the markers: {unknown}");
}

#[test]
fn moments_that_cannot_be_get_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    let wrong: [(&[&str], &str); 7] = [
        (&["--from", "20us", "--to", "10us"], "--from 20us --to 10us: the range ends before it begins"),
        (&["--from", "half-way", "--to", "start"], "the range ends before it begins"),
        (&["--at", "5us", "--to", "10us"], "--at does not go with --from and --to"),
        (&["--at", "end", "--from", "10us"], "--at does not go with --from and --to"),
        (&["--from", "5h"], "--from 5h: that is after the capture"),
        (&["--to", "2026-01-01T00:00:00Z"], "that is before the capture"),
        (&["--to", "noon"], "or a marker of this capture (half-way)"),
    ];
    for command in ["report", "leaks", "histogram", "flamegraph"] {
        for (arguments, expected) in &wrong {
            let arguments: Vec<&str> = [command, &capture].iter().chain(*arguments).copied().collect();
            let output = plimsoll(&arguments);
            assert_eq!((output.code, output.stdout.as_str()), (2, ""), "{arguments:?}");
            assert_eq!(output.stderr.lines().count(), 1, "{arguments:?}: {}", output.stderr);
            assert!(output.stderr.contains(expected), "{arguments:?}: {}", output.stderr);
        }
    }
}

#[test]
fn a_closed_pipe_is_success() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    for command in ["report", "leaks", "dump"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_plimsoll"))
            .args([command, &capture])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert!(child.wait().unwrap().success(), "{command}: {stderr}");
        assert_eq!(stderr, "", "{command}");
    }
}

#[test]
fn no_escape_codes_reach_a_pipe() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    for command in ["report", "leaks", "histogram"] {
        let output = plimsoll(&[command, &capture]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        assert!(!output.stdout.contains('\x1b'), "{command}");
        assert!(output.stdout.contains("service"), "{command}");
    }
}

/// Names that drive a terminal: colours, a title, a C1 control, a line break, reversed text.
const HOSTILE: &str = "evil\x1b[31m\x1b]0;title\x07\u{9b}2J\n\r\u{202e}name";

#[test]
fn hostile_names_never_reach_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let mut header = header(plimsoll_format::Mode::Exact, 1);
    header.program = HOSTILE.into();
    header.unwinder = HOSTILE.into();
    let mut builder = CaptureBuilder::with_header(header);
    named(&mut builder, &[HOSTILE]);
    thread(&mut builder, HOSTILE);
    builder.record(plimsoll_format::Record::Marker { ticks: START + 5, name: HOSTILE.into() });
    builder.events(&[alloc(START + 10, 0x10_0000, 64, 1)]).watermark(START + 20).end(START + 20);
    let capture = builder.save(folder.path(), "hostile.plim");
    let capture = capture.to_str().unwrap();
    let picture = folder.path().join("x.svg");
    let picture = picture.to_str().unwrap();
    let runs: [&[&str]; 12] = [
        &["check", capture, "--no-leak", "--max-peak", "1"],
        &["check", capture, "--no-leak", "--baseline", capture, "--max-regression", "1%", "--markdown"],
        &["report", capture],
        &["report", capture, "--by", "thread"],
        &["leaks", capture],
        &["leaks", capture, "--json"],
        &["leaks", capture, "--at", "no such moment"],
        &["histogram", capture],
        &["flamegraph", capture, "-o", picture],
        &["dump", capture, "--full"],
        &["dump", capture, "--json"],
        &["pack", capture],
    ];
    let hostile = ['\x1b', '\x07', '\u{9b}', '\r', '\u{202e}'];
    for arguments in runs {
        let output = plimsoll(arguments);
        assert!(!output.stdout.contains(hostile), "{arguments:?}: {:?}", output.stdout);
        assert!(!output.stderr.contains(hostile), "{arguments:?}: {:?}", output.stderr);
    }
    assert!(!fs::read_to_string(picture).unwrap().contains(hostile));
    assert!(plimsoll(&["leaks", capture]).stdout.contains(r"evil\u{1b}[31m"));
}

#[test]
fn pictures_name_functions_and_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    let picture = folder.path().join("x.svg");
    for (of, expected) in [
        ("leaks", "service::cache::insert (3,000 bytes"),
        ("live", "service::cache::insert (3,000 bytes"),
        ("peak", "service::churn (64 bytes"),
        ("total", "service::churn (640 bytes"),
        // Each is freed by the next event of its thread.
        ("temporary", "service::churn (10 allocations"),
    ] {
        let output = plimsoll(&["flamegraph", &capture, "--of", of, "-o", picture.to_str().unwrap()]);
        assert_eq!(output.code, 0, "{}", output.stderr);
        let drawn = fs::read_to_string(&picture).unwrap();
        assert!(drawn.contains("<svg") && drawn.contains(expected), "{of}");
    }
}

#[test]
fn a_filter_changes_the_sum_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    let all = plimsoll(&["leaks", &capture]).stdout;
    assert!(all.contains("3.42 KiB in 4 blocks from 2 sites"), "{all}");
    let rest = plimsoll(&["leaks", &capture, "--ignore", "cache"]).stdout;
    assert!(rest.contains("500 B in 1 block from 1 site") && rest.contains("left out by --focus"), "{rest}");
}

#[test]
fn a_cut_capture_is_a_profile_with_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CaptureBuilder::exact();
    named(&mut builder, &["service::cache::insert"]);
    builder.events(&[alloc(START + 10, 0x10_0000, 64, 1)]).watermark(START + 20).block();
    builder.events(&[alloc(START + 30, 0x20_0000, 64, 1)]).end(START + 40);
    let bytes = builder.bytes();
    let path = folder.path().join("cut.plim");
    fs::write(&path, &bytes[..bytes.len() - 5]).unwrap();
    let output = plimsoll(&["report", path.to_str().unwrap()]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("service::cache::insert"), "{}", output.stdout);
    assert!(output.stdout.contains("warning:"), "{}", output.stdout);
}

#[test]
fn a_program_without_the_agent_is_told_how_to_link_it() {
    let output = plimsoll(&["run", "--", "true"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("#[global_allocator]") && output.stderr.contains("from_env_or_idle"));
    // The program's own failure goes first.
    assert_eq!(plimsoll(&["run", "--", "sh", "-c", "exit 7"]).code, 7);
    // 128 + 9, as shells have it.
    assert_eq!(plimsoll(&["run", "--", "sh", "-c", "kill -9 $$"]).code, 137);
}

#[test]
fn an_existing_file_is_never_recorded_over() {
    let folder = tempfile::tempdir().unwrap();
    let capture = sample_capture(folder.path(), "a.plim");
    let before = fs::read(&capture).unwrap();
    let output = plimsoll(&["run", "--keep", &capture, "--", "true"]);
    assert_eq!(output.code, 2);
    assert!(output.stderr.contains("exists"), "{}", output.stderr);
    assert_eq!(fs::read(&capture).unwrap(), before);
}

#[test]
fn completions_and_man_pages_name_every_command() {
    let script = plimsoll(&["completions", "bash"]).stdout;
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(plimsoll(&["man", folder.path().to_str().unwrap()]).code, 0);
    for command in READERS {
        assert!(script.contains(command), "{command}");
        assert!(folder.path().join(format!("plimsoll-{command}.1")).exists(), "{command}");
    }
    assert!(plimsoll(&["man"]).stdout.contains(".TH plimsoll"));
}

/// A program of this test's, killed when dropped.
struct Running(std::process::Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_menus_page_is_found_where_the_server_found_a_free_port() {
    let folder = tempfile::tempdir().unwrap();
    // Whoever has the port: nothing answers there, if it is us.
    let taken = std::net::TcpListener::bind("127.0.0.1:8002");
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let mut server = Running(command.arg("serve").arg(folder.path()).stdout(Stdio::piped()).spawn().unwrap());
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.0.stdout.take().unwrap()));
    let address =
        lines.find_map(|line| line.unwrap().strip_prefix("Dashboard:   http://127.0.0.1:").map(str::to_owned));
    let served: u16 = address.unwrap().split('/').next().unwrap().parse().unwrap();
    let browser = folder.path().join("xdg-open");
    fs::write(&browser, "#!/bin/sh\nexec echo \"$1\" > \"$0.url\"\n").unwrap();
    fs::set_permissions(&browser, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").unwrap());
    let mut menu = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let status = menu
        .args(["menu", "--page", "visualizer"])
        .arg(folder.path())
        .env("PATH", path)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let url = fs::read_to_string(folder.path().join("xdg-open.url")).unwrap();
    let port = url.strip_prefix("http://127.0.0.1:").and_then(|rest| rest.strip_suffix("/visualizer\n"));
    let port: u16 = port.unwrap_or_else(|| panic!("{url}")).parse().unwrap();
    // Another server of ours may run on this machine, at a port that was taken for that reason.
    assert!((8002 + u16::from(taken.is_ok())..=served).contains(&port), "{url}, served at {served}");
}

#[test]
fn the_entries_of_a_menu_follow_what_its_own_command_line_said() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().to_str().unwrap();
    let given = ["--process", "4194301", "--every", "0.5", "--limit", "1GiB", "--levels", "50,80"];
    let output = plimsoll(&[&["status", "--format", "xbar", place, "/b.plim"], &given[..]].concat());
    let words = ["--process=4194301", "--every=0.5", "--limit=1073741824", "--levels=50,80", "--", place, "/b.plim"];
    for (name, begin) in [
        ("Visualizer", &["menu", "--page", "visualizer"][..]),
        ("Dashboard", &["menu", "--page", "dashboard"]),
        ("Statistics", &["top"]),
    ] {
        let line = output.stdout.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
        let arguments = begin.iter().chain(&words).enumerate();
        let expected: Vec<String> = arguments.map(|(at, word)| format!("param{}=\"{word}\"", at + 1)).collect();
        assert!(line.contains(&expected.join(" ")), "{line}");
    }
}
