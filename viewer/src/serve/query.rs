//! What stands after the question mark, and what it means.

use axum::extract::{FromRequestParts, Query as Pairs};
use axum::http::request::Parts;
use clap::ValueEnum;
use serde::Deserialize;

use crate::view::{Asked, At, GroupBy};

use super::answer::Failure;
use super::heavy::Part;
use super::state::App;

/// Rows of a page of a list, unless told otherwise, and at most.
const ROWS: usize = 100;
pub(super) const MAX_ROWS: usize = 10_000;

/// Everything that may be asked; each question has its own part of it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Query {
    pub(super) capture: Option<String>,
    pub(super) by: Option<String>,
    pub(super) of: Option<String>,
    pub(super) at: Option<String>,
    pub(super) from: Option<String>,
    pub(super) to: Option<String>,
    pub(super) before: Option<String>,
    pub(super) after: Option<String>,
    pub(super) sort: Option<String>,
    pub(super) filter: Option<String>,
    pub(super) site: Option<String>,
    pub(super) series: Option<String>,
    offset: Option<String>,
    limit: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Query, Failure> {
        let pairs = Pairs::<Query>::from_request_parts(parts, state).await;
        let Pairs(query) = pairs.map_err(|error| Failure::bad(error.body_text()))?;
        Ok(query)
    }
}

impl Query {
    /// The capture and its part: without a name the first capture.
    pub(super) fn part(&self, app: &App) -> Result<Part, Failure> {
        let picture = app.hub.live().picture.clone();
        let found = match &self.capture {
            Some(id) => picture.capture(id),
            None => picture.captures.first(),
        };
        let missing = || Failure::missing("there is no such capture; /api/captures lists them");
        let followed = found.ok_or_else(missing)?.clone();
        let moment =
            |given: &Option<String>| given.as_deref().filter(|given| !given.is_empty()).map(moment).transpose();
        let asked = Asked { at: moment(&self.at)?, from: moment(&self.from)?, to: moment(&self.to)? };
        Ok(Part::new(app, followed, asked))
    }

    /// What sites are put together by.
    pub(super) fn by(&self) -> Result<GroupBy, Failure> {
        choose("by", &self.by, GroupBy::Site)
    }

    /// The first row, and how many.
    pub(super) fn rows(&self) -> Result<(usize, usize), Failure> {
        let number = |name: &str, given: &Option<String>, default: usize| match given {
            None => Ok(default),
            Some(given) => given.parse().map_err(|_| Failure::bad(format!("{name}={given}: expected a number"))),
        };
        Ok((number("offset", &self.offset, 0)?, number("limit", &self.limit, ROWS)?.min(MAX_ROWS)))
    }
}

/// One of the words that an argument of the command line has too.
pub(super) fn choose<T: ValueEnum>(name: &str, given: &Option<String>, default: T) -> Result<T, Failure> {
    let Some(given) = given else { return Ok(default) };
    T::from_str(given, false).map_err(|_| {
        let known = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        Failure::bad(format!("{name}={given}: expected {}", known.join(", ")))
    })
}

/// A moment as on the command line; a bare number counts milliseconds since the session's start.
pub(super) fn moment(given: &str) -> Result<At, Failure> {
    let written = match given.parse::<f64>() {
        // `as` clamps what is out of range.
        Ok(ms) if ms.is_finite() && ms >= 0.0 => format!("{}ns", (ms * 1e6).round() as i64),
        _ => given.to_owned(),
    };
    written.parse().map_err(|_| Failure::bad("this is no moment"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bare_numbers_are_milliseconds_and_the_rest_is_as_on_the_command_line() {
        let text = |given: &str| moment(given).unwrap().text().to_owned();
        assert_eq!([text("1500.25"), text("0"), text("1m30s"), text("peak")], ["1500250000ns", "0ns", "1m30s", "peak"]);
        assert_eq!([text("-1"), text("NaN"), text("inf")], ["-1", "NaN", "inf"]);
        assert_eq!(text("1e300"), format!("{}ns", i64::MAX));
    }
}
