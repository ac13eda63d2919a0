//! Rules for what is known and accepted: sites that match one are counted, listed, and looked at no further.
//! `docs/suppressions.md` has the grammar.

use jiff::civil::Date;
use regex::Regex;

use crate::model::Tally;
use crate::replay::Site;
use crate::symbolize::Frame;

use super::group::crate_name;

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Any function of the shown stack.
    Function,
    /// The crate that the stack is counted for, as `--by crate` does.
    Crate,
    /// The executable or library of the innermost shown call.
    Module,
}

/// One line of a file.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Line of the file, from 1 on.
    pub line: usize,
    /// Kind and pattern, as written.
    pub text: String,
    /// Why, as written.
    pub reason: Option<String>,
    /// The last day that it holds, UTC.
    pub until: Option<Date>,
    kind: Kind,
    pattern: Regex,
    is_expired: bool,
}

/// All rules of a file.
#[derive(Debug, Clone, Default)]
pub struct Suppressions {
    /// As the user named it.
    file: String,
    rules: Vec<Rule>,
}

/// A rule with what it matched.
#[derive(Debug, Clone)]
pub struct Suppressed {
    /// The file, as the user named it.
    pub file: String,
    /// The rule.
    pub rule: Rule,
    /// Stacks that it matched.
    pub sites: usize,
    /// Of these, stacks with live blocks.
    pub live_sites: usize,
    /// What these hold.
    pub live: Tally,
}

/// A line that is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}; expected function, crate or module, a pattern, and perhaps: until YYYY-MM-DD # reason")]
pub struct RuleError {
    /// From 1 on.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl Suppressions {
    /// Reads rules; those that ended before `today` are kept to be told of, and match nothing.
    ///
    /// # Errors
    ///
    /// When a line is neither empty, nor a comment, nor a rule.
    pub fn parse(file: &str, text: &str, today: Date) -> Result<Suppressions, RuleError> {
        let mut rules = Vec::new();
        for (line, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if !text.is_empty() && !text.starts_with('#') {
                rules.push(rule(line, text, today).map_err(|why| RuleError { line, why })?);
            }
        }
        Ok(Suppressions { file: file.to_owned(), rules })
    }

    /// The first rule that matches a stack, as it is shown.
    fn matching(&self, frames: &[Frame]) -> Option<usize> {
        self.rules.iter().position(|rule| !rule.is_expired && rule.matches(frames))
    }

    /// Every rule, with nothing matched yet.
    pub(super) fn unused(&self, interval_bytes: u64) -> Vec<Suppressed> {
        let live = Tally::new(interval_bytes);
        let unused =
            |rule: &Rule| Suppressed { file: self.file.clone(), rule: rule.clone(), sites: 0, live_sites: 0, live };
        self.rules.iter().map(unused).collect()
    }

    /// Whether a rule takes this site, which is then counted for it.
    pub(super) fn take(&self, site: &Site, frames: &[Frame], taken: &mut [Suppressed]) -> bool {
        let Some(taken) = self.matching(frames).and_then(|rule| taken.get_mut(rule)) else { return false };
        taken.sites += 1;
        taken.live_sites += usize::from(!site.live.is_empty());
        taken.live += site.live;
        true
    }
}

impl Suppressed {
    /// What the owner of the file should know of the rule.
    pub(super) fn warning(&self) -> Option<String> {
        let Rule { line, text, .. } = &self.rule;
        match self.rule.until {
            Some(until) if self.rule.is_expired => {
                Some(format!("{}, line {line}: {text} is suppressed no more: the rule held until {until}", self.file))
            }
            _ if self.sites == 0 => Some(format!("{}, line {line}: {text} matches nothing in this capture", self.file)),
            _ => None,
        }
    }
}

impl Rule {
    fn matches(&self, frames: &[Frame]) -> bool {
        match self.kind {
            Kind::Function => frames.iter().any(|frame| self.pattern.is_match(&frame.name())),
            Kind::Crate => self.pattern.is_match(crate_name(frames)),
            Kind::Module => {
                frames.first().and_then(|frame| frame.module.as_deref()).is_some_and(|name| self.pattern.is_match(name))
            }
        }
    }
}

/// `KIND PATTERN [until YYYY-MM-DD] [# reason]`.
fn rule(line: usize, written: &str, today: Date) -> Result<Rule, String> {
    let (text, reason) = match written.split_once(" # ") {
        Some((text, reason)) => (text.trim_end(), Some(reason.trim().to_owned())),
        None => (written, None),
    };
    let (text, until) = match text.rsplit_once(" until ") {
        Some((text, date)) => {
            let date: Date = date.trim().parse().map_err(|_| format!("{:?} is no date", date.trim()))?;
            (text.trim_end(), Some(date))
        }
        None => (text, None),
    };
    let (kind, pattern) = text.split_once(char::is_whitespace).ok_or_else(|| format!("{text:?} has no pattern"))?;
    let kind = match kind {
        "function" => Kind::Function,
        "crate" => Kind::Crate,
        "module" => Kind::Module,
        other => return Err(format!("{other:?} is nothing that can be suppressed")),
    };
    let is_expired = until.is_some_and(|until| until < today);
    let pattern = glob(pattern.trim()).map_err(|error| format!("the pattern is too large ({error})"))?;
    Ok(Rule { line, text: text.to_owned(), reason, until, kind, pattern, is_expired })
}

/// `*` stands for any text, `?` for one character. Brackets and braces are themselves: names such as
/// `<[T] as Clone>::clone` and `run::{{closure}}` are full of them, which is why this is no file glob.
fn glob(pattern: &str) -> Result<Regex, regex::Error> {
    let literal = regex::escape(pattern).replace(r"\*", ".*").replace(r"\?", ".");
    Regex::new(&format!("(?s)^{literal}$"))
}

/// A rule for the function or crate with this name.
pub fn rule_for(kind: &str, name: &str) -> String {
    // What would end the pattern is matched by a question mark.
    let name = name.replace(" until ", "?until?").replace(" # ", "?#?");
    format!("{kind} {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Suppressions, RuleError> {
        Suppressions::parse("known.txt", text, "2026-11-24".parse().unwrap())
    }

    fn check(rule: &str, stack: &[&str], expected: bool) {
        let frames: Vec<Frame> = stack
            .iter()
            .map(|name| Frame { address: 1, module: Some("libx.so.1".into()), ..Frame::marker(name) })
            .collect();
        assert_eq!(parse(rule).unwrap().matching(&frames).is_some(), expected, "{rule} {stack:?}");
    }

    #[test]
    fn patterns_look_at_what_they_name() {
        let stack = ["cache::<[u8] as T>::fill::{{closure}}", "service::main"];
        check("function cache::*", &stack, true);
        check("function service::main", &stack, true);
        check("function main", &stack, false);
        check("function cache::<[u8] as T>::fill::{{closure}}", &stack, true);
        check("function cache::<[?8] as T>::*", &stack, true);
        check("crate cache", &stack, true);
        check("crate service", &stack, false);
        check("module libx.so*", &stack, true);
        check("module liby*", &stack, false);
        // The day of expiry itself is in.
        check("function * until 2026-11-24", &stack, true);
        check("function * until 2026-11-23", &stack, false);
    }

    #[test]
    fn rules_are_read_with_reason_and_date() {
        let rules = parse("# known\n\n crate tokio until 2027-01-31 # upstream #12 \nfunction a b").unwrap().rules;
        let seen: Vec<_> = rules.iter().map(|rule| (rule.line, rule.text.as_str(), rule.reason.as_deref())).collect();
        assert_eq!(seen, [(3, "crate tokio", Some("upstream #12")), (4, "function a b", None)]);
        assert_eq!(rules[0].until, Some("2027-01-31".parse().unwrap()));
    }

    #[test]
    fn what_is_no_rule_is_explained() {
        let explain = |text: &str| parse(text).unwrap_err().to_string();
        assert!(explain("\nfunctoin x").starts_with("line 2: \"functoin\" is nothing that can be suppressed"));
        assert!(explain("crate").starts_with("line 1: \"crate\" has no pattern"));
        assert!(explain("crate x until tomorrow").starts_with("line 1: \"tomorrow\" is no date"));
    }

    #[test]
    fn a_written_rule_matches_its_name() {
        for name in ["a::b<*const T>", "odd until 2020-01-01 # name"] {
            check(&rule_for("function", name), &[name], true);
        }
    }
}
