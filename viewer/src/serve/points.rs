//! Series as JSON: the points of `/api/timeline` and of `/ws`.

use serde::Serialize;

use crate::follow::{Sample, Series, Span, Values};
use crate::present::json::MeasureJson;

use super::live::ms;

/// The numbers of one moment.
#[derive(Debug, Serialize)]
pub(super) struct PointJson {
    at_ms: f64,
    rss_bytes: Option<u64>,
    live_bytes: Option<MeasureJson>,
    limit_bytes: Option<u64>,
    allocated_bytes_per_s: Option<u64>,
    cpu_percent: Option<f64>,
    /// What a span of the whole run was between.
    #[serde(flatten)]
    span: Option<SpanJson>,
}

/// The smallest and the largest of a span of time.
#[derive(Debug, Serialize)]
struct SpanJson {
    from_ms: f64,
    rss_low_bytes: Option<u64>,
    rss_high_bytes: Option<u64>,
    live_low_bytes: Option<u64>,
    live_high_bytes: Option<u64>,
}

fn point(at_ns: u64, values: &Values, span: Option<SpanJson>) -> PointJson {
    let exact = |value| MeasureJson { value, low: value, high: Some(value) };
    PointJson {
        at_ms: ms(at_ns),
        rss_bytes: values.rss_bytes,
        live_bytes: values.live_bytes.map(exact),
        limit_bytes: values.limit_bytes,
        allocated_bytes_per_s: values.allocated_bytes_per_s,
        cpu_percent: values.cpu_permille.map(|permille| permille as f64 / 10.0),
        span,
    }
}

fn of_sample(sample: &Sample) -> PointJson {
    point(sample.at_ns, &sample.values, None)
}

fn of_span(span: &Span) -> PointJson {
    let ends = SpanJson {
        from_ms: ms(span.from_ns),
        rss_low_bytes: span.least.rss_bytes,
        rss_high_bytes: span.most.rss_bytes,
        live_low_bytes: span.least.live_bytes,
        live_high_bytes: span.most.live_bytes,
    };
    point(span.to_ns, &span.last, Some(ends))
}

/// The last samples as they were.
pub(super) fn recent(series: &Series) -> Vec<PointJson> {
    series.recent().map(of_sample).collect()
}

/// The samples after a moment.
pub(super) fn after(series: &Series, at_ns: Option<u64>) -> Vec<PointJson> {
    let is_new = |sample: &&Sample| at_ns.is_none_or(|at_ns| sample.at_ns > at_ns);
    let mut new: Vec<PointJson> = series.recent().rev().take_while(is_new).map(of_sample).collect();
    new.reverse();
    new
}

/// The whole run in spans of time.
pub(super) fn whole(series: &Series) -> Vec<PointJson> {
    series.whole().iter().map(of_span).collect()
}
