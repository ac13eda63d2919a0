//! Rules: what is looked at, from which value on, for how long, and who is told. Read from TOML.

use std::path::{Path, PathBuf};
use std::time::Duration;

use regex::Regex;
use serde::Deserialize;

use crate::cli::Size;
use crate::follow::Level;

use super::actions::check_url;
use super::amount::{Amount, Unit, time};

/// The rules that are in force when nobody gives any.
pub const SHIPPED: &str = include_str!("shipped.toml");
/// Longest file of rules that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Most rules, and most actions.
const MAX_ENTRIES: usize = 256;

/// Why rules cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RulesError {
    /// The file cannot be read.
    #[error("cannot read the rules in {}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file says something that is no rule.
    #[error("{}: {what}; plimsoll watch --print-rules shows rules that work", .path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        what: String,
    },
}

/// What a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// Live bytes of a program.
    LiveBytes,
    /// What is used of the memory limit: of the cgroup's, the one that was given, or the machine's.
    LimitShare,
    /// How fast live bytes grow: mean over the last minute.
    Growth,
    /// How fast the sites grow whose verdict is leak, together.
    Leak,
    /// How soon the leaks reach the limit, at the earliest that the evidence allows to expect.
    TimeToLimit,
    /// The resident set over live bytes.
    Fragmentation,
    /// Bytes allocated in a second.
    AllocationRate,
    /// Live bytes of the sites with a function in their stack that matches.
    SiteBytes,
    /// The resident set of each process whose name or command line has a part like this.
    ProcessBytes,
    /// The process was killed while it was followed.
    Killed,
}

/// When an alert is raised, and when it is over.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// What it looks at.
    pub what: What,
    /// How bad it is: yellow or red.
    pub level: Level,
    /// It is raised at this value or beyond, in the unit of what is looked at.
    pub threshold: f64,
    /// Low values are bad, as of [`What::TimeToLimit`].
    pub is_below: bool,
    /// It is over on the good side of this value.
    pub clear: f64,
    /// For so long the value must be beyond the threshold, without a break.
    pub hold: Duration,
    /// Only programs whose name matches.
    pub program: Option<Regex>,
    /// The sites of [`What::SiteBytes`].
    pub site: Option<Regex>,
    /// The processes of [`What::ProcessBytes`]: a number, or a part of a name or a command line.
    pub process: Option<String>,
    /// Only while the resident set is at least this.
    pub min_rss_bytes: u64,
    /// Ask the program for a snapshot when it is raised, if it listens.
    pub snapshot: bool,
}

/// Somebody to tell.
#[derive(Debug, Clone, PartialEq)]
pub struct Action {
    /// How.
    pub kind: ActionKind,
    /// Only of alerts that are at least as bad.
    pub level: Level,
    /// Only of these rules; of all when empty.
    pub rules: Vec<String>,
}

/// How somebody is told.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum ActionKind {
    /// A line on standard error, or at the end of a file.
    Log {
        /// The file.
        file: Option<PathBuf>,
    },
    /// The terminal's bell, when an alert is raised.
    // Braces, so that unknown keys are refused.
    Bell {},
    /// A program; what happened is in its environment and, as JSON, on its standard input.
    Exec {
        /// The program and its arguments: no shell reads them.
        command: Vec<String>,
    },
    /// A JSON object sent to a web server with POST.
    Webhook {
        /// Where to.
        url: String,
    },
    /// Prometheus' Alertmanager, by its second API.
    Alertmanager {
        /// Where it is, such as `http://localhost:9093`.
        url: String,
    },
}

/// All rules and actions.
#[derive(Debug, Clone)]
pub struct Rules {
    /// What is looked at.
    pub rules: Vec<Rule>,
    /// Who is told.
    pub actions: Vec<Action>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    shipped_rules: bool,
    #[serde(default)]
    rule: Vec<WrittenRule>,
    #[serde(default)]
    action: Vec<WrittenAction>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenRule {
    name: String,
    measure: What,
    level: WrittenLevel,
    above: Option<Amount>,
    below: Option<Amount>,
    clear: Option<Amount>,
    hold: Option<Amount>,
    program: Option<String>,
    site: Option<String>,
    process: Option<String>,
    min_rss: Option<String>,
    #[serde(default)]
    snapshot: bool,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum WrittenLevel {
    Yellow,
    Red,
}

#[derive(Debug, Deserialize)]
struct WrittenAction {
    level: Option<WrittenLevel>,
    #[serde(default)]
    rules: Vec<String>,
    #[serde(flatten)]
    kind: ActionKind,
}

impl From<WrittenLevel> for Level {
    fn from(level: WrittenLevel) -> Level {
        match level {
            WrittenLevel::Yellow => Level::Yellow,
            WrittenLevel::Red => Level::Red,
        }
    }
}

impl Rules {
    /// Reads rules from a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or says something that makes no sense.
    pub fn load(path: &Path) -> Result<Rules, RulesError> {
        let failed = |source| RulesError::Read { path: path.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, MAX_FILE + 1), &mut text).map_err(failed)?;
        let wrong = |what| RulesError::Wrong { path: path.to_owned(), what };
        if text.len() as u64 > MAX_FILE {
            return Err(wrong("longer than 1 MiB, which rules never are".to_owned()));
        }
        Rules::read(&text).map_err(wrong)
    }

    /// The rules that are in force when nobody gives any.
    pub fn shipped() -> Rules {
        // A test reads them.
        Rules::read(SHIPPED).unwrap_or(Rules { rules: Vec::new(), actions: Vec::new() })
    }

    /// Processes that rules ask for and that must therefore be followed, as they were written.
    pub fn processes(&self) -> Vec<String> {
        self.rules.iter().filter_map(|rule| rule.process.clone()).collect()
    }

    /// Whether any rule needs sites and verdicts.
    pub fn need_looks(&self) -> bool {
        self.rules.iter().any(|rule| matches!(rule.what, What::Leak | What::TimeToLimit | What::SiteBytes))
    }

    /// Reads rules from TOML; says what is wrong in one line.
    pub(super) fn read(text: &str) -> Result<Rules, String> {
        let file: File = toml::from_str(text).map_err(|error| place(text, &error))?;
        if file.rule.len().max(file.action.len()) > MAX_ENTRIES {
            return Err(format!("more than {MAX_ENTRIES} rules or actions"));
        }
        let mut own: Vec<Rule> = Vec::new();
        for written in file.rule {
            let name = written.name.clone();
            if own.iter().any(|rule| rule.name == name) {
                return Err(format!("rule {name:?}: there are two of that name"));
            }
            own.push(written.rule().map_err(|what| format!("rule {name:?}: {what}"))?);
        }
        // One of the same name as a shipped one takes its place.
        let mut rules = if file.shipped_rules { Rules::read(SHIPPED)?.rules } else { Vec::new() };
        rules.retain(|shipped| own.iter().all(|rule| rule.name != shipped.name));
        rules.extend(own);
        if rules.is_empty() {
            return Err("there is no [[rule]] in it, nor shipped_rules = true".to_owned());
        }
        let mut actions = Vec::new();
        for written in file.action {
            let place = actions.len() + 1;
            actions.push(written.action(&rules).map_err(|what| format!("action {place}: {what}"))?);
        }
        if actions.is_empty() {
            actions.push(Action { kind: ActionKind::Log { file: None }, level: Level::Yellow, rules: Vec::new() });
        }
        Ok(Rules { rules, actions })
    }
}

impl WrittenRule {
    fn rule(self) -> Result<Rule, String> {
        let is_named = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if self.name.is_empty() || self.name.len() > 64 || !self.name.chars().all(is_named) {
            return Err("a name has 1 to 64 letters, digits, '-', '_' and '.'".to_owned());
        }
        let (threshold, is_below, clear) = self.bounds()?;
        self.check_patterns()?;
        let regex = |text: Option<String>| {
            text.map(|text| Regex::new(&text).map_err(|_| format!("{text:?} is no regular expression"))).transpose()
        };
        let min_rss_bytes = self.min_rss.map_or(Ok(0), |text| text.parse::<Size>().map(|size| size.0))?;
        Ok(Rule {
            name: self.name,
            what: self.measure,
            level: self.level.into(),
            threshold,
            is_below,
            clear,
            hold: self.hold.as_ref().map_or(Ok(Duration::ZERO), time)?,
            program: regex(self.program)?,
            site: regex(self.site)?,
            process: self.process,
            min_rss_bytes,
            snapshot: self.snapshot,
        })
    }

    /// The threshold, whether low values are bad, and the clear level.
    fn bounds(&self) -> Result<(f64, bool, f64), String> {
        let unit = self.measure.unit();
        let (given, is_below, word) = match self.measure {
            What::TimeToLimit => (&self.below, true, "below"),
            _ => (&self.above, false, "above"),
        };
        if self.above.is_some() && is_below || self.below.is_some() && !is_below {
            return Err(format!("this measure has a threshold `{word}`, not the other one"));
        }
        let threshold = match (given, self.measure) {
            (Some(amount), _) => unit.read(amount).map_err(|what| format!("{word}: {what}"))?,
            // Any leak, any kill.
            (None, What::Leak | What::Killed) => 0.0,
            (None, _) => return Err(format!("it has no threshold `{word}`")),
        };
        let clear = self.clear.as_ref().map_or(Ok(threshold), |amount| unit.read(amount));
        let clear = clear.map_err(|what| format!("clear: {what}"))?;
        if clear != threshold && (clear > threshold) != is_below {
            return Err(format!("the clear level lies on the bad side of `{word}`"));
        }
        Ok((threshold, is_below, clear))
    }

    fn check_patterns(&self) -> Result<(), String> {
        let needs = |key: &str, is_there: bool, what: What| match (is_there, self.measure == what) {
            (true, false) => Err(format!("`{key}` means nothing with this measure")),
            (false, true) => Err(format!("this measure needs `{key}`")),
            _ => Ok(()),
        };
        needs("site", self.site.is_some(), What::SiteBytes)?;
        needs("process", self.process.as_ref().is_some_and(|text| !text.is_empty()), What::ProcessBytes)
    }
}

impl WrittenAction {
    fn action(self, rules: &[Rule]) -> Result<Action, String> {
        match &self.kind {
            ActionKind::Exec { command } if command.first().is_none_or(String::is_empty) => {
                return Err("the command is empty".to_owned());
            }
            ActionKind::Webhook { url } | ActionKind::Alertmanager { url } => check_url(url)?,
            _ => {}
        }
        let is_known = |name: &String| rules.iter().any(|rule| rule.name == *name);
        if let Some(unknown) = self.rules.iter().find(|name| !is_known(name)) {
            return Err(format!("there is no rule {unknown:?}"));
        }
        Ok(Action { kind: self.kind, level: self.level.map_or(Level::Yellow, Level::from), rules: self.rules })
    }
}

impl What {
    pub(super) fn unit(self) -> Unit {
        match self {
            What::LiveBytes | What::SiteBytes | What::ProcessBytes => Unit::Bytes,
            What::LimitShare => Unit::Share,
            What::Growth | What::Leak | What::AllocationRate => Unit::BytesPerSecond,
            What::TimeToLimit => Unit::Seconds,
            What::Fragmentation | What::Killed => Unit::Ratio,
        }
    }
}

/// What the parser says, with its line.
fn place(text: &str, error: &toml::de::Error) -> String {
    let before = error.span().and_then(|span| text.get(..span.start));
    let line = before.map(|before| format!("line {}: ", before.matches('\n').count() + 1)).unwrap_or_default();
    format!("{line}{}", error.message().trim().replace('\n', " "))
}
