//! The questions about sites: `/api/sites`, `/api/leaks`, `/api/explain`, `/api/histogram`, `/api/diff`,
//! `/api/flamegraph.svg` and pprof, by the analyses that the command line has.

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use crate::analysis::{By, changes, histogram as analyse};
use crate::export::pprof::{Shows, pprof};
use crate::export::walk::Walk;
use crate::follow::Look;
use crate::model::Tally;
use crate::present::json::{BucketJson, ChangeJson, DiffJson, HistogramJson, SiteJson};
use crate::present::{Comparison, DiffFlameGraph, DiffOf, FlameGraph, Of, Screen, View, explain_text};
use crate::view::{Asked, Group, GroupBy, Pair, ViewOptions, pair_moments};

use super::answer::{Answer, Failure};
use super::heavy::Part;
use super::live::{ms, unix_ms};
use super::query::{MAX_ROWS, Query, choose, moment};
use super::state::App;

/// Sites of a part of a capture.
#[derive(Serialize)]
struct SitesJson {
    #[serde(flatten)]
    part: PartJson,
    by: &'static str,
    total_rows: usize,
    offset: usize,
    sites: Vec<SiteJson>,
}

/// What an answer is about.
#[derive(Serialize)]
struct PartJson {
    capture: String,
    /// The moment of live figures.
    at_ms: f64,
    from_ms: Option<f64>,
    to_ms: Option<f64>,
    /// When the capture was read.
    made_unix_ms: u64,
    warnings: Vec<String>,
}

impl PartJson {
    fn new(part: &Part, look: &Look) -> PartJson {
        let range = look.heap.options.range;
        PartJson {
            capture: part.followed.id.clone(),
            at_ms: ms(look.at_ns),
            from_ms: range.map(|range| ms(range.from_ns)),
            to_ms: range.map(|range| ms(range.to_ns)),
            made_unix_ms: unix_ms(look.at),
            warnings: look.warnings.clone(),
        }
    }
}

/// Everything that an answer depends on.
fn question(name: &str, part: &Part, query: &Query) -> String {
    format!("{name} {} {query:?}", part.version())
}

fn view(look: &Look, by: GroupBy) -> Result<View<'_>, Failure> {
    look.view(by, 0).ok_or_else(|| Failure::missing("this look has no sites"))
}

pub(super) async fn sites(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    let (part, by, rows) = (query.part(&app)?, query.by()?, query.rows()?);
    let asked = question("sites", &part, &query);
    let make = move || {
        let look = part.look(&[by])?;
        let view = view(&look, by)?;
        let ranked = sorted(&view, query.sort.as_deref())?;
        list(&part, &look, &view, filtered(ranked, query.filter.as_deref()), rows)
    };
    Ok(app.heavy.answer(asked, make).await?.respond(&headers))
}

pub(super) async fn leaks(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    let (part, by, rows) = (query.part(&app)?, query.by()?, query.rows()?);
    let asked = question("leaks", &part, &query);
    let make = move || {
        let look = part.look(&[by])?;
        let view = view(&look, by)?;
        list(&part, &look, &view, filtered(view.ranked_by_verdict(), query.filter.as_deref()), rows)
    };
    Ok(app.heavy.answer(asked, make).await?.respond(&headers))
}

/// A page of a list.
fn list(
    part: &Part,
    look: &Look,
    view: &View<'_>,
    ranked: Vec<&Group>,
    (offset, limit): (usize, usize),
) -> Result<Answer, Failure> {
    let sites = ranked.iter().skip(offset).take(limit).map(|group| SiteJson::new(group, view.room)).collect();
    let part = PartJson::new(part, look);
    Answer::json(&SitesJson { part, by: view.by.name(), total_rows: ranked.len(), offset, sites })
}

fn sorted<'a>(view: &View<'a>, sort: Option<&str>) -> Result<Vec<&'a Group>, Failure> {
    let none = Tally::new(view.heap.interval_bytes);
    match sort.unwrap_or("live_bytes") {
        "live_bytes" => Ok(view.ranked_with_past()),
        "total_bytes" => Ok(view.grouping.ranked(|group| group.total)),
        "peak_live_bytes" => Ok(view.grouping.ranked(|group| group.at_peak)),
        "temporary_allocations" if view.profile.is_exact() => {
            Ok(view.grouping.ranked(|group| group.temporary.unwrap_or(none)))
        }
        "temporary_allocations" => Err(Failure::bad("a sampled capture cannot tell temporary allocations")),
        other => Err(Failure::bad(format!(
            "sort={other}: expected live_bytes, total_bytes, peak_live_bytes, temporary_allocations"
        ))),
    }
}

/// Those with the text in their name or in a frame, whatever the case of its letters.
fn filtered<'a>(ranked: Vec<&'a Group>, filter: Option<&str>) -> Vec<&'a Group> {
    let Some(filter) = filter.filter(|filter| !filter.is_empty()) else { return ranked };
    let wanted = filter.to_lowercase();
    let holds = |text: &str| text.to_lowercase().contains(&wanted);
    let matches = |group: &&Group| {
        holds(&group.name)
            || group.frames.iter().any(|frame| holds(&frame.name()) || frame.file.as_deref().is_some_and(holds))
    };
    ranked.into_iter().filter(matches).collect()
}

#[derive(Serialize)]
struct ExplainJson {
    #[serde(flatten)]
    part: PartJson,
    site: usize,
    text: String,
}

pub(super) async fn explain(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    let (part, by) = (query.part(&app)?, query.by()?);
    let site: Option<usize> = query.site.as_deref().and_then(|site| site.parse().ok());
    let site = site.ok_or_else(|| Failure::bad("site: expected the number of a site in /api/leaks, from 1 on"))?;
    let asked = question("explain", &part, &query);
    let make = move || {
        let look = part.look(&[by])?;
        let view = view(&look, by)?;
        let ranked = view.ranked_by_verdict();
        let group = site.checked_sub(1).and_then(|at| ranked.get(at));
        let missing = || Failure::missing(format!("site={site}: there are {} sites with live blocks", ranked.len()));
        let text = explain_text(&view, group.ok_or_else(missing)?, Screen { width: Some(100) });
        let text = anstream::adapter::strip_str(&text).to_string();
        Answer::json(&ExplainJson { part: PartJson::new(&part, &look), site, text })
    };
    Ok(app.heavy.answer(asked, make).await?.respond(&headers))
}

#[derive(Serialize)]
struct BucketsJson {
    #[serde(flatten)]
    part: PartJson,
    of: &'static str,
    unit: &'static str,
    buckets: Vec<BucketJson>,
}

pub(super) async fn histogram(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    let part = query.part(&app)?;
    let by = match query.of.as_deref().unwrap_or("size") {
        "size" => By::Size,
        "lifetime" => By::Lifetime,
        "age" => By::Age,
        other => return Err(Failure::bad(format!("of={other}: expected size, lifetime, age"))),
    };
    let asked = question("histogram", &part, &query);
    let make = move || {
        let look = part.look(&[GroupBy::Site])?;
        let json = HistogramJson::new(&view(&look, GroupBy::Site)?, by, &analyse(&look.profile, &look.heap, by));
        let part = PartJson::new(&part, &look);
        Answer::json(&BucketsJson { part, of: json.by, unit: json.unit, buckets: json.buckets })
    };
    Ok(app.heavy.answer(asked, make).await?.respond(&headers))
}

/// Two moments of one capture, and what was allocated in between.
struct Moments {
    before: std::sync::Arc<Look>,
    after: std::sync::Arc<Look>,
    between: std::sync::Arc<Look>,
}

impl Moments {
    fn new(part: &Part, query: &Query, by: GroupBy) -> Result<Moments, Failure> {
        let given = |name: &str, given: &Option<String>| match given {
            Some(given) => moment(given),
            None => Err(Failure::bad(format!("{name}: expected a moment, such as 90s or milliseconds"))),
        };
        let (from, to) = (given("before", &query.before)?, given("after", &query.after)?);
        let look = |asked: Asked| part.at(asked).look(&[by]);
        let between = look(Asked { from: Some(from.clone()), to: Some(to.clone()), at: None })?;
        let before = look(Asked { at: Some(from), ..Asked::default() })?;
        let after = look(Asked { at: Some(to), ..Asked::default() })?;
        Ok(Moments { before, after, between })
    }

    fn pairs(&self, by: GroupBy) -> Result<Vec<Pair>, Failure> {
        let groupings = [view(&self.before, by)?, view(&self.after, by)?, view(&self.between, by)?];
        Ok(pair_moments(groupings.map(|view| view.grouping), by, self.after.heap.interval_bytes))
    }
}

#[derive(Serialize)]
struct DifferenceJson {
    capture: String,
    before_ms: f64,
    after_ms: f64,
    by: &'static str,
    compared: usize,
    significant: usize,
    p_value_threshold: Option<f64>,
    hidden_bytes: Option<u64>,
    cautions: Vec<String>,
    changes: Vec<ChangeJson>,
}

pub(super) async fn diff(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    let (part, by) = (query.part(&app)?, query.by()?);
    let asked = question("diff", &part, &query);
    let make = move || {
        let moments = Moments::new(&part, &query, by)?;
        let changes = changes(moments.pairs(by)?);
        let (before, mut after) = (view(&moments.before, by)?, view(&moments.after, by)?);
        after.top = MAX_ROWS;
        let of = DiffOf::Live;
        let json = DiffJson::new(&Comparison { before, after, of, of_moments: true, changes: &changes, all: false });
        Answer::json(&DifferenceJson {
            capture: part.followed.id.clone(),
            before_ms: ms(moments.before.at_ns),
            after_ms: ms(moments.after.at_ns),
            by: json.by,
            compared: json.compared,
            significant: json.significant,
            p_value_threshold: json.p_value_threshold,
            hidden_bytes: json.hidden_bytes,
            cautions: json.cautions,
            changes: json.changes,
        })
    };
    Ok(app.heavy.answer(asked, make).await?.respond(&headers))
}

/// A picture of nothing says so itself, and is no failure.
fn svg(draw: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>, is_empty: bool) -> Result<Answer, Failure> {
    let mut picture = Vec::new();
    match draw(&mut picture) {
        Err(error) if !is_empty => Err(Failure::bad(format!("cannot draw this: {error}"))),
        _ => Ok(Answer::new("image/svg+xml", picture)),
    }
}

pub(super) async fn flamegraph(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    let (part, of) = (query.part(&app)?, choose("of", &query.of, Of::Live)?);
    let asked = question("flamegraph", &part, &query);
    let is_difference = query.before.is_some() || query.after.is_some();
    if part.asked.at.is_some() && of != Of::Live {
        return Err(Failure::bad(format!("at does not go with of={}: use of=live, or to", of.name())));
    }
    let make = move || if is_difference { draw_difference(&part, &query) } else { draw(&part, of) };
    Ok(app.heavy.answer(asked, make).await?.respond(&headers))
}

fn draw(part: &Part, of: Of) -> Result<Answer, Failure> {
    let look = part.look(&[])?;
    if of == Of::Temporary && !look.profile.is_exact() {
        return Err(Failure::bad("a sampled capture cannot tell temporary allocations"));
    }
    let options = ViewOptions::default();
    let graph =
        part.symbolized(&look, |symbolizer| FlameGraph::new(&look.profile, &look.heap, symbolizer, &options, of));
    svg(|out| graph.draw(&look.profile, &look.heap, out), graph.is_empty())
}

fn draw_difference(part: &Part, query: &Query) -> Result<Answer, Failure> {
    let by = GroupBy::Site;
    let moments = Moments::new(part, query, by)?;
    let changes = changes(moments.pairs(by)?);
    let (before, after) = (view(&moments.before, by)?, view(&moments.after, by)?);
    let comparison = Comparison { before, after, of: DiffOf::Live, of_moments: true, changes: &changes, all: false };
    let graph = DiffFlameGraph::new(&changes);
    svg(|out| graph.draw(&comparison, out), graph.is_empty())
}

pub(super) async fn pprof_heap(State(app): State<App>, query: Query, headers: HeaderMap) -> Result<Response, Failure> {
    profile(app, query, headers, Shows::InUse).await
}

pub(super) async fn pprof_allocs(
    State(app): State<App>,
    query: Query,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    profile(app, query, headers, Shows::Allocated).await
}

async fn profile(app: App, query: Query, headers: HeaderMap, shows: Shows) -> Result<Response, Failure> {
    let part = query.part(&app)?;
    let asked = question(&format!("pprof {shows:?}"), &part, &query);
    let make = move || {
        let look = part.look(&[])?;
        let options = ViewOptions::default();
        let walk = part.symbolized(&look, |symbolizer| Walk::new(&look.profile, &look.heap, symbolizer, &options));
        let gzip = pprof(&walk.with_rest(&look.summary), shows)
            .map_err(|error| Failure::bad(format!("cannot write the profile: {error}")))?;
        Ok(Answer::new("application/octet-stream", gzip))
    };
    Ok(app.heavy.answer(asked, make).await?.respond(&headers))
}
