//! The menu as arguments of tmux's `display-menu`.

use super::bars::tmux_text;
use super::menu_text::quote;
use super::{Do, Entry, Menu};

/// Keys for the lines that do something.
const KEYS: &str = "123456789abcdefghilmnoprstuvwxyz";

/// Columns of a line: what is wider loses both its ends in a terminal of 80 columns.
const WIDE: usize = 70;

/// A text as lines that are narrow enough.
fn narrow(text: &str) -> Vec<String> {
    let cut = |line: &str| match line.char_indices().nth(WIDE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    };
    match text.split_once(" peak ") {
        Some((now, peak)) if text.chars().count() > WIDE => vec![cut(now), cut(&format!("  peak {peak}"))],
        _ => vec![cut(text)],
    }
}

/// The arguments of tmux, from `display-menu` on. `program` is the path of this one.
pub fn display_menu(menu: &Menu, program: &str) -> Vec<String> {
    let mut arguments: Vec<String> =
        ["display-menu", "-T", " plimsoll ", "-x", "R", "-y", "S", "--"].map(str::to_owned).into();
    let mut keys = KEYS.chars();
    for entry in &menu.entries {
        match entry {
            // A name that begins with a dash cannot be chosen; the dash is not shown.
            Entry::Says { text, .. } => {
                let lines = narrow(text).into_iter();
                arguments
                    .extend(lines.flat_map(|line| [format!("-{}", tmux_text(&line)), String::new(), String::new()]));
            }
            Entry::Does { text, what } => {
                let key = keys.next().map(String::from).unwrap_or_default();
                arguments.extend([tmux_text(text), key, command(what, program)]);
            }
            Entry::Line => arguments.push(String::new()),
        }
    }
    arguments
}

/// The command of tmux that runs something; what it says is shown in the pane.
fn command(what: &Do, program: &str) -> String {
    let words = std::iter::once(program).chain(what.arguments.iter().map(String::as_str));
    let line: Vec<String> = words.map(quote).collect();
    let line = line.join(" ");
    if what.terminal {
        // Expanded once, when the menu is made.
        return format!("new-window {}", tmux_quote(&tmux_text(&line)));
    }
    // Expanded when the menu is made, and again when it is run.
    format!("run-shell -b {}", tmux_quote(&tmux_text(&tmux_text(&format!("{line} 2>&1")))))
}

/// One word for tmux's own parser.
fn tmux_quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '$' | '~') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_too_wide_for_a_menu_are_two() {
        let short = "service (4711) 3.00 MiB        ▃▅▆ peak 4.00 MiB, green";
        assert_eq!(narrow(short), [short]);
        let long = "obedient (15133) 15.9 MiB          █ peak 15.9 MiB, < 0.1 % of 23.5 GiB, green";
        let lines = narrow(long);
        assert_eq!(lines, ["obedient (15133) 15.9 MiB          █", "  peak 15.9 MiB, < 0.1 % of 23.5 GiB, green"]);
        assert_eq!(narrow(&"é".repeat(100))[0].chars().count(), WIDE + 1);
    }
}
