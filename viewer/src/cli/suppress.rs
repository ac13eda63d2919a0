//! `--suppress` and `--write-suppressions`: files of rules for what is known and accepted.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use crate::analysis::verdict::Class;
use crate::present::{View, safe, units};
use crate::view::{GroupBy, Suppressions, rule_for};

use super::error::CliError;

/// What is known and accepted.
#[derive(Debug, Default, Args)]
pub(super) struct SuppressArg {
    /// Leave out sites that a rule of this file matches, and say at the end what was left out; one rule a line:
    /// function, crate or module, a pattern (* and ?), [until YYYY-MM-DD] [# reason]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    suppress: Option<PathBuf>,
}

impl SuppressArg {
    /// Whether a file is named.
    pub(super) fn is_given(&self) -> bool {
        self.suppress.is_some()
    }

    /// The rules; none without a file.
    pub(super) fn read(&self) -> Result<Suppressions, CliError> {
        let Some(path) = &self.suppress else { return Ok(Suppressions::default()) };
        let failed = |why: &dyn std::fmt::Display| {
            CliError::Refused(format!("cannot read the suppressions in {}: {why}", path.display()))
        };
        let text = fs::read_to_string(path).map_err(|error| failed(&error))?;
        let today = jiff::tz::Offset::UTC.to_datetime(jiff::Timestamp::now()).date();
        Suppressions::parse(&path.to_string_lossy(), &text, today).map_err(|error| failed(&error))
    }
}

/// Writes a rule for every site that leaks into a new file; what was written, in words.
pub(super) fn write_suppressions(path: &Path, view: &View<'_>) -> Result<String, CliError> {
    let kind = match view.by {
        GroupBy::Site | GroupBy::Function => "function",
        GroupBy::Crate => "crate",
        other => {
            let by = other.name();
            let why = format!("--write-suppressions does not go with --by {by}: use --by site, function or crate");
            return Err(CliError::Refused(why));
        }
    };
    let leaks = |class: Option<Class>| class == Some(Class::Leak);
    let groups = view.grouping.groups.iter().filter(|group| leaks(group.verdict.as_ref().map(|verdict| verdict.class)));
    let mut text =
        "# KIND PATTERN [until YYYY-MM-DD] [# reason], one a line; KIND is function, crate or module.\n".to_owned();
    let mut rules: Vec<String> = Vec::new();
    for group in groups {
        let rule = rule_for(kind, &safe(&group.name));
        // Several stacks may end in one function.
        if rules.contains(&rule) {
            continue;
        }
        let live = units::measured_bytes(group.live.measure_bytes());
        text.push_str(&format!("{rule} # {live} live in {}\n", safe(&view.profile.header.program)));
        rules.push(rule);
    }
    let failed = |source| CliError::Write { path: path.to_owned(), source };
    // Whatever is there may hold reasons that somebody wrote.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    let (file, rules) = (path.to_string_lossy(), units::things(rules.len(), "rule"));
    Ok(format!("{}: {rules}, for what leaks; give it with --suppress\n", safe(&file)))
}
