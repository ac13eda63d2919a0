//! Which stacks are looked at, by the names of their functions.

use regex::Regex;

use crate::symbolize::Frame;

/// Keeps stacks that match `focus` and do not match `ignore`; without either it keeps all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Some function of the stack matches.
    pub focus: Option<Regex>,
    /// No function of the stack matches.
    pub ignore: Option<Regex>,
}

impl Filter {
    /// Whether a stack, as it is shown, is kept.
    pub fn keeps(&self, frames: &[Frame]) -> bool {
        let matches = |regex: &Regex| frames.iter().any(|frame| regex.is_match(&frame.name()));
        self.focus.as_ref().is_none_or(matches) && !self.ignore.as_ref().is_some_and(matches)
    }

    /// Whether everything is kept.
    pub fn is_empty(&self) -> bool {
        self.focus.is_none() && self.ignore.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(focus: Option<&str>, ignore: Option<&str>, expected: bool) {
        let regex = |text: Option<&str>| text.map(|text| Regex::new(text).unwrap());
        let filter = Filter { focus: regex(focus), ignore: regex(ignore) };
        let frames = [Frame::marker("my::cache::insert"), Frame::marker("my::main")];
        assert_eq!(filter.keeps(&frames), expected, "{focus:?} {ignore:?}");
    }

    #[test]
    fn any_frame_can_match() {
        check(None, None, true);
        check(Some("^my::main$"), None, true);
        check(Some("other"), None, false);
        check(None, Some("insert"), false);
        check(Some("main"), Some("insert"), false);
        check(Some("main"), Some("other"), true);
    }
}
