//! `/metrics`: the picture in Prometheus' text format.

use std::collections::HashMap;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use prometheus::proto::MetricFamily;
use prometheus::{CounterVec, Encoder, GaugeVec, Opts, Registry, TEXT_FORMAT, TextEncoder};

use crate::analysis::verdict::Class;
use crate::follow::{Followed, Level, Picture};
use crate::view::GroupBy;

use super::answer::{Answer, Failure};
use super::state::{App, MAX_SOCKETS};

/// The labels of a capture.
const CAPTURE: [&str; 3] = ["capture", "program", "pid"];

/// The families under way.
struct Families {
    registry: Registry,
    gauges: HashMap<&'static str, GaugeVec>,
    counters: HashMap<&'static str, CounterVec>,
}

impl Families {
    fn new() -> Families {
        Families { registry: Registry::new(), gauges: HashMap::new(), counters: HashMap::new() }
    }

    fn gauge(
        &mut self,
        name: &'static str,
        help: &str,
        labels: (&[&str], &[&str]),
        value: f64,
    ) -> prometheus::Result<()> {
        if !self.gauges.contains_key(name) {
            let family = GaugeVec::new(Opts::new(name, help), labels.0)?;
            self.registry.register(Box::new(family.clone()))?;
            self.gauges.insert(name, family);
        }
        if let Some(family) = self.gauges.get(name) {
            family.get_metric_with_label_values(labels.1)?.set(value);
        }
        Ok(())
    }

    fn counter(
        &mut self,
        name: &'static str,
        help: &str,
        labels: (&[&str], &[&str]),
        value: f64,
    ) -> prometheus::Result<()> {
        if !self.counters.contains_key(name) {
            let family = CounterVec::new(Opts::new(name, help), labels.0)?;
            self.registry.register(Box::new(family.clone()))?;
            self.counters.insert(name, family);
        }
        if let Some(family) = self.counters.get(name) {
            let counter = family.get_metric_with_label_values(labels.1)?;
            counter.reset();
            counter.inc_by(value.max(0.0));
        }
        Ok(())
    }

    fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

pub(super) async fn metrics(State(app): State<App>, headers: HeaderMap) -> Result<Response, Failure> {
    let picture = app.hub.live().picture.clone();
    let watching = MAX_SOCKETS - app.sockets.available_permits().min(MAX_SOCKETS);
    let text = text(&picture, watching).map_err(|error| Failure::busy(format!("cannot write metrics: {error}")))?;
    // The media type is for ever that of the text format.
    Ok(Answer::new(TEXT_FORMAT, text).respond(&headers))
}

fn text(picture: &Picture, watching: usize) -> prometheus::Result<Vec<u8>> {
    let mut families = Families::new();
    for followed in &picture.captures {
        capture(&mut families, followed)?;
    }
    for process in &picture.processes {
        let pid = process.pid.to_string();
        let labels: (&[&str], &[&str]) = (&["pid", "name"], &[&pid, &process.name]);
        let readable = if process.memory.is_ok() { 1.0 } else { 0.0 };
        families.gauge(
            "plimsoll_process_readable",
            "Whether the memory of the process can be read.",
            labels,
            readable,
        )?;
        if let Ok(bytes) = &process.memory {
            families.gauge("plimsoll_process_resident_bytes", "Resident set of the process.", labels, *bytes as f64)?;
        }
        if let Some(percent) = process.cpu_percent {
            let help = "Processors that the process keeps busy.";
            families.gauge("plimsoll_process_cpu_cores", help, labels, percent / 100.0)?;
        }
    }
    let none: (&[&str], &[&str]) = (&[], &[]);
    let system = &picture.system;
    families.gauge("plimsoll_system_memory_bytes", "Memory of the machine.", none, system.total_bytes as f64)?;
    let help = "Memory of the machine that is available without swapping.";
    families.gauge("plimsoll_system_available_bytes", help, none, system.available_bytes as f64)?;
    let help = "Resident sets of all processes that are followed.";
    families.gauge("plimsoll_processes_resident_bytes", help, none, picture.sum.rss_bytes as f64)?;
    families.gauge("plimsoll_serve_watchers", "Clients on the WebSocket.", none, watching as f64)?;
    let mut text = Vec::new();
    TextEncoder::new().encode(&families.gather(), &mut text)?;
    Ok(text)
}

/// The figures of one capture. Counters of a running process are intervals: the value is the best one, live bytes have
/// their bounds beside them.
fn capture(families: &mut Families, followed: &Followed) -> prometheus::Result<()> {
    let pid = followed.pid.to_string();
    let values = [followed.id.as_str(), followed.program.as_str(), pid.as_str()];
    let labels: (&[&str], &[&str]) = (&CAPTURE, &values);
    let is_live = if followed.state.is_live() { 1.0 } else { 0.0 };
    families.gauge(
        "plimsoll_capture_running",
        "Whether the process of the capture records or waits.",
        labels,
        is_live,
    )?;
    bounds(families, followed, labels)?;
    if let Some(counters) = followed.latest.counters.as_deref() {
        // Of running threads the later of two readings, as totals have it elsewhere.
        let (first, last) = (&counters.program, &counters.program_upper);
        let all: [(&'static str, &str, u64); 4] = [
            (
                "plimsoll_allocations_total",
                "Allocations since the process started.",
                first.allocations.max(last.allocations),
            ),
            (
                "plimsoll_allocated_bytes_total",
                "Bytes allocated since the process started.",
                first.bytes.max(last.bytes),
            ),
            ("plimsoll_frees_total", "Frees since the process started.", first.frees.max(last.frees)),
            (
                "plimsoll_freed_bytes_total",
                "Bytes freed since the process started.",
                first.freed_bytes.max(last.freed_bytes),
            ),
        ];
        for (name, help, value) in all {
            families.counter(name, help, labels, value as f64)?;
        }
    }
    if let Some(tick) = &followed.latest.memory {
        let help = "CPU time of the process.";
        families.counter("plimsoll_cpu_seconds_total", help, labels, tick.process_cpu_ns as f64 / 1e9)?;
        let help = "CPU time of the agent's threads; it is in that of the process.";
        families.counter("plimsoll_agent_cpu_seconds_total", help, labels, tick.agent.cpu_ns as f64 / 1e9)?;
    }
    let help = "Allocations (samples in sampled mode) that could not be recorded.";
    families.counter("plimsoll_lost_allocations_total", help, labels, followed.lost.allocations as f64)?;
    let help = "Frees that could not be recorded.";
    families.counter("plimsoll_lost_frees_total", help, labels, followed.lost.frees as f64)?;
    look(families, followed, labels)
}

/// Memory and its bounds.
fn bounds(families: &mut Families, followed: &Followed, labels: (&[&str], &[&str])) -> prometheus::Result<()> {
    if let Some(live) = followed.latest.live_bytes() {
        families.gauge("plimsoll_live_bytes", "Bytes allocated and not freed.", labels, live.value as f64)?;
        families.gauge("plimsoll_live_low_bytes", "Live bytes are at least this.", labels, live.low as f64)?;
        let high = live.high.map_or(f64::INFINITY, |high| high as f64);
        families.gauge("plimsoll_live_high_bytes", "Live bytes are at most this.", labels, high)?;
    }
    if let Some(peak) = followed.latest.peak_bytes() {
        families.gauge("plimsoll_peak_live_bytes", "The largest live bytes so far.", labels, peak.value as f64)?;
    }
    if let Some(rss) = followed.latest.rss_bytes() {
        families.gauge("plimsoll_resident_bytes", "Resident set of the process.", labels, rss as f64)?;
    }
    if let Some(limit) = &followed.limit {
        let help = "Limit of memory: given, of the cgroup, or all of the machine.";
        families.gauge("plimsoll_limit_bytes", help, labels, limit.bytes as f64)?;
        families.gauge(
            "plimsoll_limit_used_bytes",
            "What counts against the limit.",
            labels,
            limit.used_bytes as f64,
        )?;
    }
    if let Some(level) = followed.level {
        let number = [Level::Green, Level::Yellow, Level::Red].iter().position(|known| *known == level);
        let help = "How near the limit is: 0 green, 1 yellow, 2 red.";
        families.gauge("plimsoll_level", help, labels, number.unwrap_or_default() as f64)?;
    }
    Ok(())
}

/// What was found when sites were looked at last.
fn look(families: &mut Families, followed: &Followed, labels: (&[&str], &[&str])) -> prometheus::Result<()> {
    let Some(look) = &followed.look else { return Ok(()) };
    let Some((_, grouping)) = look.grouping(GroupBy::Site) else { return Ok(()) };
    let verdicts = grouping.groups.iter().filter_map(|group| group.verdict.as_ref());
    let leaks: Vec<_> = verdicts.filter(|verdict| verdict.class == Class::Leak).collect();
    families.gauge("plimsoll_leaks", "Sites that leak, by the newest look.", labels, leaks.len() as f64)?;
    let rate: f64 = leaks.iter().filter_map(|verdict| verdict.rate).map(|rate| rate.value).sum();
    let help = "Bytes that all leaks together grow by in a second.";
    families.gauge("plimsoll_leak_bytes_per_second", help, labels, rate)?;
    let age = SystemTime::now().duration_since(look.at).unwrap_or_default();
    families.gauge("plimsoll_look_age_seconds", "Age of the newest look at sites.", labels, age.as_secs_f64())
}
