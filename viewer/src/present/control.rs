//! What a program answered to a request, in words.

use plimsoll_format::control::{Answer, Purged, Recording, Status, Stopped, Written};
use plimsoll_format::{Mode, Phase};

use super::{safe, units};

/// What came of a request, in one line without the program's name.
pub fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Status(status) => status_text(status),
        Answer::Stopped(stopped) => stopped_text(stopped),
        Answer::Written(Written { path, name }) if name.is_empty() => {
            format!("everything recorded so far is in {}", safe(path))
        }
        Answer::Written(Written { path, name }) => format!("\"{}\" is in {}", safe(name), safe(path)),
        Answer::Purged(purged) => purged_text(purged),
        Answer::Refused(why) => safe(why).into_owned(),
    }
}

fn status_text(status: &Status) -> String {
    let does = status.recording.as_ref().map_or_else(|| "idle".to_owned(), recording_text);
    let (live, rss) = (units::bytes(status.live_bytes), units::bytes(status.rss_bytes));
    format!("{does}; live {live}, RSS {rss}")
}

fn recording_text(recording: &Recording) -> String {
    let how = match recording.mode {
        Mode::Exact => "everything".to_owned(),
        Mode::Sampled => format!("one sample per {}", units::bytes(recording.interval_bytes)),
    };
    let phase = if recording.phase == Phase::Paused { "paused" } else { "recording" };
    format!("{phase}, {how}, into {}", safe(&recording.path))
}

fn stopped_text(stopped: &Stopped) -> String {
    let (bytes, events) = (units::bytes(stopped.written_bytes), things(stopped.events, "event"));
    let lost = match (stopped.lost_allocations, stopped.lost_frees) {
        (0, 0) => String::new(),
        (allocations, frees) => {
            format!("; lost: {} and {}", things(allocations, "allocation"), things(frees, "free"))
        }
    };
    format!("stopped; {bytes} with {events} are in {}{lost}", safe(&stopped.path))
}

fn things(number: u64, name: &str) -> String {
    units::things(usize::try_from(number).unwrap_or(usize::MAX), name)
}

fn purged_text(purged: &Purged) -> String {
    let names: Vec<_> = purged.allocators.iter().map(|name| safe(name)).collect();
    let (before, after) = (units::bytes(purged.rss_before_bytes), units::bytes(purged.rss_after_bytes));
    let gave = match purged.given_back_bytes() {
        0 => "gave nothing back".to_owned(),
        bytes => format!("gave {} back", units::bytes(bytes)),
    };
    format!(
        "{} {gave}: RSS {before} before, {after} after, in {}",
        names.join(" and "),
        units::duration(purged.took_ns)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_one_safe_line_each() {
        let recording = Recording {
            path: "/c/a\u{1b}[31m.plim".to_owned(),
            mode: Mode::Sampled,
            phase: Phase::Paused,
            interval_bytes: 512 << 10,
        };
        let status = Status {
            pid: 7,
            program: "service".to_owned(),
            agent_version: "0.1.0".to_owned(),
            recording: Some(recording),
            sessions: 1,
            live_bytes: 3 << 20,
            rss_bytes: 5 << 20,
        };
        let purged = |after| Purged {
            allocators: vec!["jemalloc".to_owned(), "glibc".to_owned()],
            rss_before_bytes: 10 << 20,
            rss_after_bytes: after,
            took_ns: 2_000_000,
        };
        let stopped = Stopped {
            path: "/c/a.plim".to_owned(),
            written_bytes: 2048,
            events: 1,
            lost_allocations: 2,
            lost_frees: 0,
        };
        let written = |name: &str| Written { path: "/c/a.plim".to_owned(), name: name.to_owned() };
        let cases = [
            (
                Answer::Status(status.clone()),
                "paused, one sample per 512 KiB, into /c/a\\u{1b}[31m.plim; live 3.00 MiB",
            ),
            (Answer::Status(Status { recording: None, ..status }), "idle; live 3.00 MiB, RSS 5.00 MiB"),
            (
                Answer::Stopped(stopped),
                "stopped; 2.00 KiB with 1 event are in /c/a.plim; lost: 2 allocations and 0 frees",
            ),
            (Answer::Written(written("")), "everything recorded so far is in /c/a.plim"),
            (Answer::Written(written("a\nb")), "\"a\\nb\" is in /c/a.plim"),
            (
                Answer::Purged(purged(4 << 20)),
                "jemalloc and glibc gave 6.00 MiB back: RSS 10.0 MiB before, 4.00 MiB after",
            ),
            (Answer::Purged(purged(11 << 20)), "jemalloc and glibc gave nothing back: RSS 10.0 MiB before"),
            (Answer::Refused("no\nway".to_owned()), "no\\nway"),
        ];
        for (answer, expected) in cases {
            let text = answer_text(&answer);
            assert!(text.starts_with(expected) && !text.contains(['\n', '\u{1b}']), "{text} for {answer:?}");
        }
    }
}
