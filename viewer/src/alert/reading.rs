//! What a rule finds in a picture.

use crate::analysis::verdict::Class;
use crate::follow::{Followed, Look, Process, State};
use crate::model::Measure;
use crate::present::{safe, units};
use crate::replay::Heap;
use crate::view::{Group, GroupBy, Grouping};

use super::amount::Unit;
use super::rules::{Rule, What};

/// A trend over a shorter time than this says nothing about growth.
const MIN_TREND_NS: u64 = 20_000_000_000;
/// Characters kept of a function's name.
const MAX_NAME: usize = 200;

/// What a rule finds of one subject.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Found {
    /// It cannot be told now: an alert stays as it is.
    Unknown,
    /// Nothing to be told of, whatever the threshold.
    Calm,
    /// A value, what it means in words, and what more is known.
    Value { value: f64, words: String, more: String },
}

impl Found {
    fn value(value: f64, words: String) -> Found {
        Found::Value { value, words, more: String::new() }
    }

    fn or_unknown(value: Option<f64>, words: impl FnOnce(f64) -> String) -> Found {
        value.map_or(Found::Unknown, |value| Found::value(value, words(value)))
    }
}

/// What a rule finds of a capture whose process is there.
pub(super) fn of_capture(rule: &Rule, followed: &Followed) -> Found {
    if followed.latest.rss_bytes().is_some_and(|rss| rss < rule.min_rss_bytes) {
        return Found::Calm;
    }
    let per_second = |bytes| Unit::BytesPerSecond.show(bytes);
    match rule.what {
        What::LiveBytes => match followed.latest.live_bytes() {
            Some(live) => Found::value(live.value as f64, format!("live {}", units::measured_bytes(live))),
            None => Found::Unknown,
        },
        What::LimitShare => limit(followed.limit.as_ref()),
        What::Growth => {
            let trend = followed.trend;
            let is_long = trend.over_ns >= MIN_TREND_NS;
            let change = trend.live_bytes.filter(|_| is_long).map(|bytes| bytes as f64 * 1e9 / trend.over_ns as f64);
            let time = units::duration(trend.over_ns);
            Found::or_unknown(change, |rate| format!("live bytes grew by {} over {time}", per_second(rate)))
        }
        What::Fragmentation => fragmentation(followed),
        What::AllocationRate => {
            let rate = followed.rates.allocated_bytes_per_s.map(|rate| rate.value as f64);
            Found::or_unknown(rate, |rate| format!("allocates {}", per_second(rate)))
        }
        What::Leak => look(followed).map_or(Found::Unknown, leaks),
        What::TimeToLimit => look(followed).map_or(Found::Unknown, time_to_limit),
        What::SiteBytes => look(followed).map_or(Found::Unknown, |look| sites(rule, look)),
        // Of processes, and of captures whose process is not there.
        What::ProcessBytes | What::Killed => Found::Calm,
    }
}

/// What a rule finds of a process, which may have no capture.
pub(super) fn of_process(rule: &Rule, process: &Process) -> Found {
    let Ok(rss) = process.memory else { return Found::Unknown };
    if rss < rule.min_rss_bytes {
        return Found::Calm;
    }
    match rule.what {
        What::LimitShare => limit(process.limit.as_ref()),
        What::ProcessBytes => Found::value(rss as f64, format!("resident set {}", units::bytes(rss))),
        _ => Found::Calm,
    }
}

/// Whether a rule is about a process as such.
pub(super) fn is_about(rule: &Rule, process: &Process) -> bool {
    match (&rule.process, rule.what) {
        (Some(pattern), What::ProcessBytes) => match pattern.parse::<u32>() {
            Ok(pid) => pid == process.pid,
            Err(_) => process.name.contains(pattern) || process.command.contains(pattern),
        },
        // Of one with a capture, the capture tells more.
        (_, What::LimitShare) => process.asked_for && process.capture.is_none(),
        _ => false,
    }
}

/// Why an alert about a capture is over when its process is not there any more.
pub(super) fn end_words(state: State) -> &'static str {
    match state {
        State::Waiting | State::Running | State::Paused => "the value cannot be told any more",
        State::Ended => "the recording has ended",
        State::Killed => "the process was killed",
        State::Detached => "the agent has given up",
        State::Truncated => "the process is not there any more",
    }
}

fn look(followed: &Followed) -> Option<&Look> {
    followed.look.as_deref()
}

fn by_site(look: &Look) -> Option<(&Grouping, &Heap)> {
    look.grouping(GroupBy::Site).map(|(_, grouping)| (grouping, &look.heap))
}

fn limit(limit: Option<&crate::follow::Limit>) -> Found {
    let Some(limit) = limit else { return Found::Unknown };
    let words = format!(
        "uses {} of its limit: {} of {} ({})",
        Unit::Share.show(limit.share()),
        units::bytes(limit.used_bytes),
        units::bytes(limit.bytes),
        limit.of.name()
    );
    Found::value(limit.share(), words)
}

fn fragmentation(followed: &Followed) -> Found {
    let (rss, live) = (followed.latest.rss_bytes(), followed.latest.live_bytes());
    let Some((rss, live)) = rss.zip(live).filter(|(_, live)| live.value > 0) else { return Found::Unknown };
    let ratio = rss as f64 / live.value as f64;
    let (rss, live) = (units::bytes(rss), units::measured_bytes(live));
    Found::value(ratio, format!("resident set is {ratio:.1} times live bytes: {rss}, live {live}"))
}

/// The sites whose verdict is leak, and how fast each grows.
fn leaking(grouping: &Grouping) -> Vec<(&Group, crate::analysis::verdict::Rate)> {
    let leaks = grouping.groups.iter().filter_map(|group| {
        let verdict = group.verdict.as_ref().filter(|verdict| verdict.class == Class::Leak)?;
        Some((group, verdict.rate?))
    });
    let mut leaks: Vec<_> = leaks.collect();
    leaks.sort_by(|one, other| other.1.value.total_cmp(&one.1.value));
    leaks
}

fn leaks(look: &Look) -> Found {
    let Some((grouping, _)) = by_site(look) else { return Found::Unknown };
    let leaks = leaking(grouping);
    let Some((fastest, rate)) = leaks.first() else { return Found::Calm };
    let sum = |part: fn(&crate::analysis::verdict::Rate) -> f64| leaks.iter().map(|(_, rate)| part(rate)).sum::<f64>();
    let [value, low, high] = [sum(|rate| rate.value), sum(|rate| rate.low), sum(|rate| rate.high)];
    let verb = if leaks.len() == 1 { "leaks" } else { "leak" };
    let words = format!("{} {verb} {}", units::things(leaks.len(), "site"), spread(value, low, high));
    let more = format!("fastest: {}, {}", name(fastest), spread(rate.value, rate.low, rate.high));
    Found::Value { value, words, more }
}

fn spread(value: f64, low: f64, high: f64) -> String {
    let show = |bytes: f64| Unit::BytesPerSecond.show(bytes.max(0.0));
    let high = if high.is_finite() { show(high) } else { "more".to_owned() };
    format!("{} ({} to {high})", show(value), show(low))
}

fn time_to_limit(look: &Look) -> Found {
    let Some((grouping, _)) = by_site(look) else { return Found::Unknown };
    let leaks = leaking(grouping);
    let Some(room) = look.room.filter(|_| !leaks.is_empty()) else { return Found::Calm };
    let after = |rate: f64| if rate > 0.0 { room.left_bytes as f64 / rate } else { f64::INFINITY };
    let sum = |part: fn(&crate::analysis::verdict::Rate) -> f64| leaks.iter().map(|(_, rate)| part(rate)).sum::<f64>();
    let (value, latest) = (after(sum(|rate| rate.value)), after(sum(|rate| rate.low)));
    if !value.is_finite() {
        return Found::Calm;
    }
    let show = |seconds: f64| if seconds.is_finite() { Unit::Seconds.show(seconds) } else { "never".to_owned() };
    let soonest = after(sum(|rate| rate.high));
    let words = format!("leaks reach the limit in {} ({} to {})", show(value), show(soonest), show(latest));
    let more = leaks.first().map(|(group, _)| format!("fastest: {}", name(group))).unwrap_or_default();
    Found::Value { value, words, more }
}

fn sites(rule: &Rule, look: &Look) -> Found {
    let (Some(pattern), Some((grouping, heap))) = (&rule.site, by_site(look)) else { return Found::Unknown };
    let is_meant = |group: &&Group| {
        group.frames.iter().any(|frame| frame.function.as_ref().is_some_and(|name| pattern.is_match(name)))
    };
    let mut live = crate::model::Tally::new(heap.interval_bytes);
    let mut number = 0;
    for group in grouping.groups.iter().filter(is_meant) {
        live += group.live;
        number += 1;
    }
    let held: Measure = live.measure_bytes();
    let words = format!(
        "{} that match {:?} hold {}",
        units::things(number, "site"),
        pattern.as_str(),
        units::measured_bytes(held)
    );
    Found::value(held.value as f64, safe(&words).into_owned())
}

fn name(group: &Group) -> String {
    let name: String = group.name.chars().take(MAX_NAME).collect();
    safe(&name).into_owned()
}
