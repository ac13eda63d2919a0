//! Runs a program for an alert: no shell, no words of a capture among its arguments.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::alert::{Change, since_1970_ms};
use crate::present::json::to_line;

/// A program that takes longer is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it, and waits for its end.
pub(super) fn run(command: &[String], change: &Change) -> Result<(), String> {
    run_for(command, change, PATIENCE)
}

fn run_for(command: &[String], change: &Change, patience: Duration) -> Result<(), String> {
    let Some((name, arguments)) = command.split_first() else { return Ok(()) };
    let json = to_line(change).map_err(|error| format!("cannot write an alert as JSON: {error}"))?;
    let mut child = Command::new(name)
        .args(arguments)
        .envs(environment(change))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| format!("cannot run {name:?} for an alert: {error}"))?;
    // It fits into a pipe, so that this does not wait; who does not read it needs not.
    let _ = child.stdin.take().map(|mut input| input.write_all(json.as_bytes()));
    match wait(&mut child, patience).map_err(|error| format!("cannot wait for {name:?}: {error}"))? {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{name:?}, which was run for an alert, failed: {status}")),
        None => Err(format!("{name:?}, which was run for an alert, was killed after {} s", patience.as_secs())),
    }
}

fn environment(change: &Change) -> [(&'static str, String); 10] {
    let alert = &change.alert;
    [
        ("PLIMSOLL_ALERT_STATE", change.state.name().to_owned()),
        ("PLIMSOLL_ALERT_RULE", alert.rule.clone()),
        ("PLIMSOLL_ALERT_LEVEL", alert.level.name().to_owned()),
        ("PLIMSOLL_ALERT_SUBJECT", alert.subject.clone()),
        ("PLIMSOLL_ALERT_PROGRAM", alert.program.clone()),
        ("PLIMSOLL_ALERT_PID", alert.pid.to_string()),
        ("PLIMSOLL_ALERT_TITLE", alert.title.clone()),
        ("PLIMSOLL_ALERT_TEXT", change.why.clone().unwrap_or_else(|| alert.text.clone())),
        ("PLIMSOLL_ALERT_VALUE", alert.value.to_string()),
        ("PLIMSOLL_ALERT_SINCE_UNIX_MS", since_1970_ms(alert.since).to_string()),
    ]
}

/// Its end; `None` when it had to be killed.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + patience;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::alert::engine_test::change;

    use super::*;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_program_gets_the_alert_by_environment_and_json_and_no_shell_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("told");
        let mut change = change();
        change.alert.title = "$(touch pwned); `touch pwned`".to_owned();
        let script = "printf '%s|%s|' \"$PLIMSOLL_ALERT_TITLE\" \"$PLIMSOLL_ALERT_STATE\" > \"$0\"; cat >> \"$0\"";
        run(&words(&["sh", "-c", script, file.to_str().unwrap()]), &change).unwrap();
        let told = fs::read_to_string(&file).unwrap();
        let json = told.strip_prefix("$(touch pwned); `touch pwned`|raised|").expect(&told);
        let json: serde_json::Value = serde_json::from_str(json).unwrap();
        assert_eq!((&json["state"], &json["alert"]["rule"]), (&"raised".into(), &"much".into()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_fails_or_hangs_or_is_not_there_is_said() {
        assert!(run(&words(&["/nowhere/at-all"]), &change()).unwrap_err().contains("cannot run"));
        assert!(run(&words(&["false"]), &change()).unwrap_err().contains("failed"));
        let begin = Instant::now();
        let hung = run_for(&words(&["sleep", "600"]), &change(), Duration::from_millis(100));
        assert!(hung.unwrap_err().contains("was killed"));
        assert!(begin.elapsed() < Duration::from_secs(60));
    }
}
