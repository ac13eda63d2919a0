//! Pictures as JSON: what `/api/memory`, `/api/processes`, `/api/system`, `/api/captures` and `/ws` say.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plimsoll_format::Mode;
use serde::Serialize;

use crate::analysis::verdict::Class;
use crate::follow::{
    Followed, Level, Levels, Limit, LimitOf, Picture, Process, Rates, STRIP_BARS, Sample, Series, Strip, Sum, System,
};
use crate::present::json::{LostJson, MeasureJson};
use crate::present::units;
use crate::view::{Group, GroupBy};

/// `/api/memory`.
#[derive(Debug, Serialize)]
pub(super) struct MemoryJson {
    timestamp_unix_ms: u64,
    system: SystemMemoryJson,
    processes: Vec<ProcessJson>,
    sum: SumJson,
}

#[derive(Debug, Serialize)]
struct SystemMemoryJson {
    total_bytes: u64,
    available_bytes: u64,
    used_bytes: u64,
    used_percent: Option<f64>,
    level: Option<Level>,
    strip: StripJson,
}

/// `/api/processes`.
#[derive(Debug, Serialize)]
pub(super) struct ProcessesJson {
    timestamp_unix_ms: u64,
    processes: Vec<ProcessJson>,
}

/// `/api/system`.
#[derive(Debug, Serialize)]
pub(super) struct SystemJson {
    timestamp_unix_ms: u64,
    total_bytes: u64,
    available_bytes: u64,
    used_bytes: u64,
    used_percent: Option<f64>,
    swap_total_bytes: u64,
    swap_free_bytes: u64,
    cpus: usize,
    load: [f64; 3],
    level: Option<Level>,
    strip: StripJson,
}

/// A process, with or without a capture.
#[derive(Debug, Serialize)]
pub(super) struct ProcessJson {
    pid: u32,
    name: String,
    command: String,
    memory_bytes: Option<u64>,
    memory_error: Option<String>,
    memory_text: String,
    cpu_percent: Option<f64>,
    gone: bool,
    asked_for: bool,
    capture: Option<String>,
    level: Option<Level>,
    limit: Option<LimitJson>,
    strip: StripJson,
}

/// All processes together.
#[derive(Debug, Serialize)]
pub(super) struct SumJson {
    processes: usize,
    unreadable: usize,
    rss_bytes: u64,
    cpu_percent: f64,
    level: Option<Level>,
    strip: StripJson,
}

/// A limit, and what is used of it.
#[derive(Debug, Serialize)]
struct LimitJson {
    bytes: u64,
    used_bytes: u64,
    of: LimitOf,
}

/// The ten-bar strip, each bar with its level.
#[derive(Debug, Serialize)]
struct StripJson {
    bars: String,
    levels: [Option<Level>; STRIP_BARS],
    current_bytes: Option<u64>,
    peak_bytes: u64,
    level: Option<Level>,
}

/// A capture that is followed.
#[derive(Debug, Serialize)]
pub(super) struct CaptureJson {
    id: String,
    program: String,
    pid: u32,
    path: String,
    mode: Option<&'static str>,
    interval_bytes: u64,
    started_unix_ms: i64,
    state: &'static str,
    reason: Option<String>,
    at_ms: f64,
    live_bytes: Option<MeasureJson>,
    peak_live_bytes: Option<MeasureJson>,
    rss_bytes: Option<u64>,
    limit: Option<LimitJson>,
    level: Option<Level>,
    rss_strip: StripJson,
    live_strip: StripJson,
    rates: RatesJson,
    trend: TrendJson,
    lost: LostJson,
    markers: Vec<MarkerJson>,
    behind_bytes: u64,
    control: bool,
    look: Option<LookJson>,
    look_error: Option<String>,
    warnings: Vec<String>,
}

#[derive(Debug, Serialize)]
struct RatesJson {
    allocated_bytes_per_s: Option<MeasureJson>,
    freed_bytes_per_s: Option<MeasureJson>,
    allocations_per_s: Option<MeasureJson>,
    cpu_percent: Option<f64>,
    agent_cpu_percent: Option<f64>,
}

#[derive(Debug, Serialize)]
struct TrendJson {
    over_ms: f64,
    live_bytes: Option<i64>,
    rss_bytes: Option<i64>,
}

#[derive(Debug, Serialize)]
struct MarkerJson {
    at_ms: f64,
    name: String,
}

#[derive(Debug, Serialize)]
struct LookJson {
    at_ms: f64,
    made_unix_ms: u64,
    took_ms: f64,
    leaks: usize,
    sentence: String,
}

/// Nanoseconds as milliseconds.
pub(super) fn ms(ns: u64) -> f64 {
    ns as f64 / 1e6
}

/// Milliseconds since 1970.
pub(super) fn unix_ms(at: SystemTime) -> u64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn timestamp(picture: &Picture) -> u64 {
    picture.at.map_or(0, unix_ms)
}

fn used_percent(system: &System) -> Option<f64> {
    (system.total_bytes > 0).then(|| system.used_bytes() as f64 / system.total_bytes as f64 * 100.0)
}

/// Makes JSON of pictures.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown<'a> {
    pub(super) picture: &'a Picture,
    pub(super) levels: Levels,
}

impl Shown<'_> {
    pub(super) fn memory(&self) -> MemoryJson {
        let system = &self.picture.system;
        MemoryJson {
            timestamp_unix_ms: timestamp(self.picture),
            system: SystemMemoryJson {
                total_bytes: system.total_bytes,
                available_bytes: system.available_bytes,
                used_bytes: system.used_bytes(),
                used_percent: used_percent(system),
                level: system.level,
                strip: self.strip(&system.strip, &system.series, Number::Rss),
            },
            processes: self.processes().processes,
            sum: self.sum(),
        }
    }

    pub(super) fn processes(&self) -> ProcessesJson {
        let processes = self.picture.processes.iter().map(|process| self.process(process)).collect();
        ProcessesJson { timestamp_unix_ms: timestamp(self.picture), processes }
    }

    /// The list alone, for the socket.
    pub(super) fn process_list(&self) -> Vec<ProcessJson> {
        self.processes().processes
    }

    pub(super) fn system(&self) -> SystemJson {
        let system = &self.picture.system;
        SystemJson {
            timestamp_unix_ms: timestamp(self.picture),
            total_bytes: system.total_bytes,
            available_bytes: system.available_bytes,
            used_bytes: system.used_bytes(),
            used_percent: used_percent(system),
            swap_total_bytes: system.swap_total_bytes,
            swap_free_bytes: system.swap_free_bytes,
            cpus: system.cpus,
            load: system.load,
            level: system.level,
            strip: self.strip(&system.strip, &system.series, Number::Rss),
        }
    }

    pub(super) fn sum(&self) -> SumJson {
        let sum: &Sum = &self.picture.sum;
        SumJson {
            processes: sum.processes,
            unreadable: sum.unreadable,
            rss_bytes: sum.rss_bytes,
            cpu_percent: sum.cpu_percent,
            level: sum.level,
            strip: self.strip(&sum.strip, &sum.series, Number::Rss),
        }
    }

    fn process(&self, process: &Process) -> ProcessJson {
        ProcessJson {
            pid: process.pid,
            name: process.name.clone(),
            command: process.command.clone(),
            memory_bytes: process.memory.as_ref().ok().copied(),
            memory_error: process.memory.as_ref().err().cloned(),
            memory_text: process.memory_text(),
            cpu_percent: process.cpu_percent,
            gone: process.has_gone,
            asked_for: process.asked_for,
            capture: process.capture.clone(),
            level: process.level,
            limit: process.limit.map(limit),
            strip: self.strip(&process.strip, &process.series, Number::Rss),
        }
    }

    /// One capture; `control` when its process answers commands.
    pub(super) fn capture(&self, followed: &Followed, control: bool) -> CaptureJson {
        let trend = followed.trend;
        let marker = |(at_ns, name): &(u64, String)| MarkerJson { at_ms: ms(*at_ns), name: name.clone() };
        CaptureJson {
            id: followed.id.clone(),
            program: followed.program.clone(),
            pid: followed.pid,
            path: followed.path.to_string_lossy().into_owned(),
            mode: followed.mode.map(|mode| if mode == Mode::Exact { "exact" } else { "sampled" }),
            interval_bytes: followed.interval_bytes,
            started_unix_ms: followed.start_wall_ns / 1_000_000,
            state: followed.state.name(),
            reason: followed.reason.clone(),
            at_ms: ms(followed.latest.at_ns),
            live_bytes: followed.latest.live_bytes().map(Into::into),
            peak_live_bytes: followed.latest.peak_bytes().map(Into::into),
            rss_bytes: followed.latest.rss_bytes(),
            limit: followed.limit.map(limit),
            level: followed.level,
            rss_strip: self.strip(&followed.rss, &followed.series, Number::Rss),
            live_strip: self.strip(&followed.live, &followed.series, Number::Live),
            rates: rates(&followed.rates),
            trend: TrendJson { over_ms: ms(trend.over_ns), live_bytes: trend.live_bytes, rss_bytes: trend.rss_bytes },
            lost: followed.lost.clone(),
            markers: followed.markers.iter().map(marker).collect(),
            behind_bytes: followed.behind_bytes,
            control,
            look: look(followed),
            look_error: followed.look_error.clone(),
            warnings: followed.warnings.clone(),
        }
    }

    /// A strip, each bar with the level that memory was at then.
    fn strip(&self, strip: &Strip, series: &Series, number: Number) -> StripJson {
        let mut levels = [None; STRIP_BARS];
        let shown = series.recent().rev().filter(|sample| number.of(sample).is_some());
        for (level, sample) in levels.iter_mut().rev().zip(shown) {
            *level = self.level(sample);
        }
        StripJson {
            bars: strip.bars.clone(),
            levels,
            current_bytes: strip.current_bytes,
            peak_bytes: strip.peak_bytes,
            level: strip.level,
        }
    }

    fn level(&self, sample: &Sample) -> Option<Level> {
        let used_bytes = sample.values.used_bytes.or(sample.values.rss_bytes)?;
        let bytes = sample.values.limit_bytes.filter(|bytes| *bytes > 0)?;
        Some(self.levels.of(&Limit { bytes, used_bytes, of: LimitOf::Given }))
    }
}

/// What a strip shows.
#[derive(Debug, Clone, Copy)]
enum Number {
    Rss,
    Live,
}

impl Number {
    fn of(self, sample: &Sample) -> Option<u64> {
        match self {
            Number::Rss => sample.values.rss_bytes,
            Number::Live => sample.values.live_bytes,
        }
    }
}

fn limit(limit: Limit) -> LimitJson {
    LimitJson { bytes: limit.bytes, used_bytes: limit.used_bytes, of: limit.of }
}

fn rates(rates: &Rates) -> RatesJson {
    RatesJson {
        allocated_bytes_per_s: rates.allocated_bytes_per_s.map(Into::into),
        freed_bytes_per_s: rates.freed_bytes_per_s.map(Into::into),
        allocations_per_s: rates.allocations_per_s.map(Into::into),
        cpu_percent: rates.cpu_percent,
        agent_cpu_percent: rates.agent_cpu_percent,
    }
}

/// What was found when sites were looked at last, in one sentence.
fn look(followed: &Followed) -> Option<LookJson> {
    let look = followed.look.as_ref()?;
    let view = look.view(GroupBy::Site, 0)?;
    let ranked = view.ranked_by_verdict();
    let of_class = |class: Class| -> Vec<&Group> {
        let is_it = |group: &&Group| group.verdict.as_ref().is_some_and(|verdict| verdict.class == class);
        ranked.iter().copied().filter(is_it).collect()
    };
    let (leaks, unclear) = (of_class(Class::Leak), of_class(Class::TooLittleEvidence));
    let sentence = match leaks.as_slice() {
        [] if ranked.is_empty() => "nothing that was recorded is live".to_owned(),
        [] if unclear.is_empty() => "no leak found".to_owned(),
        [] => {
            let bytes = unclear.iter().map(|group| group.live.measure_bytes().value).fold(0, u64::saturating_add);
            let sites = units::things(unclear.len(), "site");
            format!("no leak found so far; {sites} with {} may grow: too little evidence yet", units::bytes(bytes))
        }
        [first, rest @ ..] => {
            let rate = first.verdict.as_ref().and_then(|verdict| verdict.rate);
            let rate = rate.map(|rate| format!(", {}", crate::present::rate_text(rate))).unwrap_or_default();
            let others = match rest.len() {
                0 => String::new(),
                1 => " and one more site".to_owned(),
                more => format!(" and {more} more sites"),
            };
            format!("memory leaks at {}{rate}{others}", crate::present::safe(&first.name))
        }
    };
    let took = look.took.min(Duration::from_secs(u64::from(u32::MAX)));
    Some(LookJson {
        at_ms: ms(look.at_ns),
        made_unix_ms: unix_ms(look.at),
        took_ms: took.as_secs_f64() * 1e3,
        leaks: leaks.len(),
        sentence,
    })
}
