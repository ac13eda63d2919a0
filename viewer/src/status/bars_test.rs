//! Lines and menus with names that would like to be more than names.

use plimsoll_format::control::Status as Answered;
use serde_json::Value;

use crate::follow::{Level, Limit, LimitOf, Strip};

use super::{Bar, Menu, MenuBar, Status, Usage, display_menu, i3_header, menu_text, short};

fn usage(name: &str) -> Usage {
    Usage {
        name: short(name),
        pid: Some(4711),
        capture: Some("a".to_owned()),
        state: Some("running"),
        strip: Strip::new([1 << 20, 2 << 20, 3 << 20], 4 << 20, Some(Level::Yellow)),
        limit: Some(Limit { bytes: 4 << 20, used_bytes: 3 << 20, of: LimitOf::Cgroup }),
        error: None,
        trend: Some("RSS +1.00 MiB in 1 min 00 s".to_owned()),
    }
}

fn status(name: &str) -> Status {
    Status { timestamp_unix_ms: 1, shown: Some(usage(name)), programs: vec![usage(name)], warnings: Vec::new() }
}

fn nothing() -> Status {
    Status { timestamp_unix_ms: 1, shown: None, programs: Vec::new(), warnings: Vec::new() }
}

const BARS: [Bar; 5] = [Bar::Plain, Bar::Tmux, Bar::Waybar, Bar::I3bar, Bar::Polybar];
const MENU_BARS: [MenuBar; 3] = [MenuBar::Argos, MenuBar::Xbar, MenuBar::SwiftBar];

/// What each bar would take for more than text, and things that no line may hold.
const HOSTILE: [&str; 9] = [
    "#[fg=red]#(id)##[x]",
    "%{A1:id:}x%{A}",
    "<b>&\"'</b>",
    "x | bash=id terminal=false",
    "---",
    "\n---\nx | bash=id",
    "\u{1b}]0;x\u{7}\u{202e}",
    "\"},{\"full_text\":\"",
    "$(id)`id`';id;'",
];

#[test]
fn lines_are_as_each_bar_reads_them() {
    let status = status("service");
    let lines = BARS.map(|bar| bar.line(&status));
    assert_eq!(lines[0], "service 3.00 MiB        ▃▅▆ peak 4.00 MiB, 75.0 % of 4.00 MiB, yellow\n");
    assert_eq!(lines[1], "service 3.00 MiB #[fg=#d4a017]       ▃▅▆#[default]\n");
    assert_eq!(lines[4], "service 3.00 MiB %{F#d4a017}       ▃▅▆%{F-}\n");
    let waybar: Value = serde_json::from_str(&lines[2]).unwrap();
    assert_eq!((&waybar["class"], &waybar["percentage"]), (&"yellow".into(), &75.into()));
    for bar in BARS {
        assert_eq!(bar.line(&nothing()).lines().count(), 1);
    }
}

#[test]
fn what_i3bar_reads_is_an_endless_list_of_lists_of_blocks() {
    let text = format!("{}{}{}", i3_header(true), Bar::I3bar.line(&status("a")), Bar::I3bar.line(&nothing()));
    let (header, list) = text.split_once('\n').unwrap();
    let header: Value = serde_json::from_str(header).unwrap();
    assert_eq!((&header["version"], &header["click_events"]), (&1.into(), &true.into()));
    // It goes on for ever: ended here, it is a list.
    let list: Vec<Vec<Value>> = serde_json::from_str(&format!("{}]", list.trim_end().trim_end_matches(','))).unwrap();
    assert_eq!(list.len(), 2);
    let known = ["name", "instance", "full_text", "short_text", "color", "urgent", "markup", "separator"];
    for block in list.iter().flatten() {
        let block = block.as_object().unwrap();
        assert!(block.keys().all(|key| known.contains(&key.as_str())), "{block:?}");
        assert!(block["full_text"].is_string() && block["color"].as_str().is_some_and(|color| color.len() == 7));
    }
}

#[test]
fn no_name_is_more_than_a_name() {
    for name in HOSTILE {
        let status = status(name);
        for bar in BARS {
            let line = bar.line(&status);
            assert_eq!(line.matches('\n').count(), 1, "{bar:?}: {line}");
            assert!(!line.trim_end().chars().any(|character| character.is_control() || character == '\u{202e}'));
        }
        let tmux = Bar::Tmux.line(&status).replace("##", "");
        assert_eq!(tmux.matches('#').count(), 3, "two styles and a colour: {tmux}");
        assert_eq!(Bar::Polybar.line(&status).matches("%{").count(), 2);
        let waybar: Value = serde_json::from_str(&Bar::Waybar.line(&status)).unwrap();
        let markup = waybar["text"].as_str().unwrap();
        assert_eq!((markup.matches('<').count(), markup.matches('>').count()), (2, 2), "{markup}");
        assert!(!waybar["tooltip"].as_str().unwrap().contains('<'));
        let block: Vec<Value> =
            serde_json::from_str(Bar::I3bar.line(&status).trim_end().trim_end_matches(',')).unwrap();
        assert_eq!((block.len(), &block[0]["markup"]), (1, &"none".into()));
    }
}

fn answered(recording: bool) -> Answered {
    use plimsoll_format::control::Recording;
    use plimsoll_format::{Mode, Phase};
    let what = Recording { path: "$(id)|x".to_owned(), mode: Mode::Exact, phase: Phase::Recording, interval_bytes: 1 };
    Answered {
        pid: 4711,
        program: HOSTILE[5].to_owned(),
        agent_version: String::new(),
        recording: recording.then_some(what),
        sessions: 1,
        live_bytes: 1,
        rss_bytes: 1,
    }
}

#[test]
fn a_menu_has_use_trend_tracking_pages_statistics_and_clean_up() {
    let menu = Menu::new(&status("service"), &[(4711, answered(true))], &["my captures/".to_owned()]);
    let text = menu_text(MenuBar::Argos, &status("service"), &menu, "/opt/my tools/plimsoll");
    let begins = [
        "3.00 MiB        ▃▅▆ | ",
        "---",
        "service (4711) 3.00 MiB        ▃▅▆ peak 4.00 MiB, 75.0 % of 4.00 MiB, yellow | ",
        "Trend: RSS +1.00 MiB in 1 min 00 s | ",
        "Stop tracking 4711 | ",
        "Force clean-up of 4711 | ",
        "---",
        "Visualizer | ",
        "Dashboard | ",
        "Statistics | ",
    ];
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), begins.len(), "{text}");
    lines.iter().zip(begins).for_each(|(line, begin)| assert!(line.starts_with(begin), "{line}"));
    let quoted = r"bash=''\''/opt/my tools/plimsoll'\'' ctl 4711 stop' terminal=false refresh=true";
    assert!(lines[4].ends_with(quoted), "{}", lines[4]);
    let xbar = menu_text(MenuBar::Xbar, &status("service"), &menu, "/opt/plimsoll");
    let top = r#"shell="/opt/plimsoll" param1="top" param2="my captures/" terminal=true refresh=true"#;
    assert!(xbar.trim_end().ends_with(top), "{xbar}");
    let idle = Menu::new(&nothing(), &[(4711, answered(false))], &[]);
    let idle = menu_text(MenuBar::SwiftBar, &nothing(), &idle, "plimsoll");
    assert!(idle.contains("Start tracking 4711 | ") && idle.contains("param3=\"start\""), "{idle}");
}

#[test]
fn no_name_runs_anything_from_a_menu() {
    for name in HOSTILE {
        let (status, idle) = (status(name), answered(false));
        for listening in [vec![(4711, answered(true))], vec![(4712, idle)]] {
            let menu = Menu::new(&status, &listening, &[]);
            let plain = Menu::new(&self::status("x"), &listening, &[]);
            for bar in MENU_BARS {
                let text = menu_text(bar, &status, &menu, "plimsoll");
                let expected = menu_text(bar, &self::status("x"), &plain, "plimsoll");
                let parameters = |text: &str| -> Vec<String> {
                    text.lines().map(|line| line.split_once(" | ").map_or(line, |line| line.1).to_owned()).collect()
                };
                // The same lines with the same parameters as for any other name.
                assert_eq!(parameters(&text), parameters(&expected), "{bar:?} {name}");
            }
            let tmux = display_menu(&menu, "plimsoll");
            let expected = display_menu(&plain, "plimsoll");
            // A long name makes one line more, which has neither key nor command.
            let of_names = |arguments: &[String]| -> Vec<String> {
                let acts = |argument: &&String| !argument.starts_with('-') && !argument.is_empty();
                arguments.iter().filter(acts).cloned().collect()
            };
            assert_eq!(of_names(&tmux), of_names(&expected), "{name}");
            let is_text = |argument: &String| argument.replace("##", "").matches('#').count() == 0;
            assert!(tmux.iter().all(is_text), "{tmux:?}");
        }
    }
}
