//! Rules as people write them, right and wrong.

use super::rules::{ActionKind, Rules, SHIPPED, What};

/// What is wrong with some rules.
fn wrong(text: &str) -> String {
    Rules::read(text).expect_err(text)
}

fn rule(lines: &str) -> String {
    format!("[[rule]]\nname = \"a\"\nlevel = \"red\"\n{lines}\n")
}

#[test]
fn the_shipped_rules_are_rules_and_so_are_their_examples() {
    let shipped = Rules::read(SHIPPED).unwrap();
    assert_eq!((shipped.rules.len(), shipped.actions.len()), (7, 1));
    assert!(shipped.need_looks() && shipped.processes().is_empty());
    assert_eq!(Rules::shipped().rules.len(), 7);
    // All that is commented out, once the comment signs are taken away where TOML stands behind them.
    let is_key = |line: &str| line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '));
    let is_code = |line: &&str| line.strip_prefix("# ").is_some_and(|line| line.starts_with("[[") || is_key(line));
    let examples: String =
        SHIPPED.lines().filter(is_code).map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
    let examples = Rules::read(&format!("shipped_rules = true\n{examples}")).unwrap();
    assert_eq!((examples.rules.len(), examples.actions.len()), (11, 4));
    assert_eq!(examples.processes(), ["postgres"]);
}

#[test]
fn a_rule_of_the_name_of_a_shipped_one_takes_its_place() {
    let text = format!("shipped_rules = true\n{}", rule("measure = \"killed\"").replace("\"a\"", "\"leak\""));
    let rules = Rules::read(&text).unwrap();
    let whats: Vec<What> = rules.rules.iter().filter(|rule| rule.name == "leak").map(|rule| rule.what).collect();
    assert_eq!((rules.rules.len(), whats), (7, vec![What::Killed]));
    assert_eq!(rules.actions.len(), 1, "without an action they are logged");
    assert_eq!(rules.actions[0].kind, ActionKind::Log { file: None });
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let ok = "measure = \"live-bytes\"\nabove = \"1GiB\"";
    assert!(Rules::read(&rule(ok)).is_ok());
    let cases = [
        (String::new(), "no [[rule]]"),
        ("[[rule]\n".to_owned(), "line 1"),
        (rule(&format!("{ok}\nabvoe = 1")), "abvoe"),
        (rule("measure = \"size\"\nabove = 1"), "line 4: unknown variant `size`"),
        (rule("measure = \"live-bytes\""), "no threshold `above`"),
        (rule("measure = \"live-bytes\"\nbelow = 1"), "not the other one"),
        (rule("measure = \"time-to-limit\"\nabove = \"1h\""), "`below`"),
        (rule("measure = \"live-bytes\"\nabove = \"90%\""), "rule \"a\": above: \"90%\""),
        (rule(&format!("{ok}\nclear = \"2GiB\"")), "bad side"),
        (rule("measure = \"time-to-limit\"\nbelow = \"1h\"\nclear = \"30min\""), "bad side"),
        (rule(&format!("{ok}\nhold = \"soon\"")), "soon"),
        (rule(&format!("{ok}\nsite = \"x\"")), "`site` means nothing"),
        (rule("measure = \"site-bytes\"\nabove = 1"), "needs `site`"),
        (rule("measure = \"site-bytes\"\nabove = 1\nsite = \"(\""), "no regular expression"),
        (rule("measure = \"process-bytes\"\nabove = 1"), "needs `process`"),
        (rule(&format!("{ok}\nmin_rss = \"much\"")), "no size"),
        (rule(ok).replace("\"a\"", "\"a b\""), "letters, digits"),
        (rule(ok).replace("red", "blue"), "unknown variant `blue`"),
        (rule(ok).repeat(2), "two of that name"),
    ];
    for (text, expected) in cases {
        let what = wrong(&text);
        assert!(what.contains(expected) && !what.contains('\n'), "{text}: {what}");
    }
}

#[test]
fn wrong_actions_are_refused() {
    let action = |lines: &str| format!("{}[[action]]\n{lines}\n", rule("measure = \"killed\""));
    for good in ["do = \"bell\"", "do = \"log\"\nlevel = \"red\"\nrules = [\"a\"]", "do = \"exec\"\ncommand = [\"x\"]"]
    {
        assert!(Rules::read(&action(good)).is_ok(), "{good}: {:?}", Rules::read(&action(good)).err());
    }
    let cases = [
        ("do = \"shout\"", "shout"),
        ("do = \"bell\"\nloud = true", "loud"),
        ("do = \"webhook\"", "url"),
        ("do = \"webhook\"\nurl = \"http://x/\"\nfile = \"x\"", "file"),
        ("do = \"webhook\"\nurl = \"ftp://x/\"", "no URL of the form"),
        ("do = \"webhook\"\nurl = \"https://x/\"", "TLS"),
        ("do = \"alertmanager\"\nurl = \"localhost:9093\"", "no URL"),
        ("do = \"exec\"\ncommand = []", "empty"),
        ("do = \"log\"\nrules = [\"b\"]", "no rule \"b\""),
    ];
    for (lines, expected) in cases {
        let what = wrong(&action(lines));
        assert!(what.contains(expected) && !what.contains('\n'), "{lines}: {what}");
    }
}
