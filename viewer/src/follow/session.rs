//! What the records of a growing capture say, kept in bounded memory: who records, the newest readings, two series, what
//! was lost and how it ended.

use std::path::PathBuf;
use std::sync::Arc;

use plimsoll_format::{Anchor, Counters, End, Header, Phase, Record, Tick, Totals};

use crate::analysis::{live_bytes, rate};
use crate::model::SessionClock;
use crate::present::json::LostJson;

use super::level::{Limit, LimitOf};
use super::picture::{Rates, Reading, Trend};
use super::series::{Sample, Series, Values};

/// Markers that are kept: the newest of them.
const MAX_MARKERS: usize = 256;
/// Bytes kept of a name.
const MAX_NAME: usize = 1 << 10;
/// A trend is over so long.
const TREND_NS: u64 = 60_000_000_000;

/// A session under way.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) header: Header,
    clock: SessionClock,
    /// The last two anchors: between them, and on from them, time runs evenly.
    anchors: [Option<Anchor>; 2],
    /// Newest moment of any record.
    newest_ticks: u64,
    /// The newest reading of the counters, and when.
    counters: Option<(Arc<Counters>, u64)>,
    /// The newest reading of the memory, and when.
    memory: Option<(Tick, u64)>,
    /// That reading is in no sample yet.
    memory_is_new: bool,
    pub(super) rates: Rates,
    pub(super) series: Arc<Series>,
    pub(super) lost: LostJson,
    pub(super) interval_bytes: u64,
    pub(super) is_paused: bool,
    pub(super) markers: Vec<(u64, String)>,
    pub(super) arena: Option<PathBuf>,
    pub(super) end: Option<End>,
    /// Limit that the user gave.
    given_limit: Option<u64>,
}

impl Session {
    pub(super) fn new(mut header: Header, given_limit: Option<u64>) -> Session {
        for text in [&mut header.program, &mut header.arch, &mut header.os, &mut header.agent_version] {
            cut(text);
        }
        Session {
            clock: SessionClock::new(header.clock, header.start, &[]),
            newest_ticks: header.start.ticks,
            interval_bytes: header.interval_bytes.max(1),
            lost: LostJson { dropped_segments: u64::from(header.dropped_segments), ..LostJson::default() },
            header,
            anchors: [None; 2],
            counters: None,
            memory: None,
            memory_is_new: false,
            rates: Rates::default(),
            series: Arc::default(),
            is_paused: false,
            markers: Vec::new(),
            arena: None,
            end: None,
            given_limit,
        }
    }

    /// Takes the records of one block.
    pub(super) fn take(&mut self, records: Vec<Record>) {
        // What is said of time holds for the whole block.
        for record in &records {
            if let Record::Anchor(anchor) = record {
                self.anchor(anchor);
            }
        }
        records.into_iter().for_each(|record| self.record(record));
    }

    fn anchor(&mut self, anchor: &Anchor) {
        if self.anchors[1].is_some_and(|last| last.ticks >= anchor.ticks) {
            return;
        }
        self.anchors = [self.anchors[1], Some(*anchor)];
        let anchors: Vec<Anchor> = self.anchors.into_iter().flatten().collect();
        self.clock = SessionClock::new(self.header.clock, self.header.start, &anchors);
    }

    fn record(&mut self, record: Record) {
        match record {
            Record::Header(header) => self.lost.dropped_segments = u64::from(header.dropped_segments),
            Record::Tick(tick) => {
                self.moment(tick.ticks);
                self.remember_memory(tick);
            }
            Record::Counters(counters) => {
                self.moment(counters.ticks);
                self.count(counters);
            }
            Record::Marker { ticks, mut name } => {
                self.moment(ticks);
                cut(&mut name);
                if self.markers.len() >= MAX_MARKERS {
                    self.markers.remove(0);
                }
                self.markers.push((self.clock.ns(ticks), name));
            }
            Record::Phase { ticks, phase } => {
                self.moment(ticks);
                self.is_paused = phase == Phase::Paused;
            }
            Record::Loss(loss) => self.lost.add(&loss),
            Record::Thinning(thinning) => self.interval_bytes = thinning.to_interval_bytes.max(1),
            Record::Watermark { ticks } => self.moment(ticks),
            Record::Arena(place) if !place.path.is_empty() => self.arena = Some(PathBuf::from(place.path)),
            Record::End(end) => {
                self.moment(end.ticks);
                self.lost.missing_blocks = self.lost.missing_blocks.saturating_add(end.lost_blocks);
                self.end = Some(end);
            }
            _ => {}
        }
    }

    fn moment(&mut self, ticks: u64) {
        self.newest_ticks = self.newest_ticks.max(ticks);
    }

    fn remember_memory(&mut self, tick: Tick) {
        let at_ns = self.clock.ns(tick.ticks);
        if let Some((before, before_ns)) = self.memory.filter(|before| before.1 < at_ns) {
            let percent =
                |now: u64, before: u64| Some(now.saturating_sub(before) as f64 / (at_ns - before_ns) as f64 * 100.0);
            self.rates.cpu_percent = percent(tick.process_cpu_ns, before.process_cpu_ns);
            self.rates.agent_cpu_percent = percent(tick.agent.cpu_ns, before.agent.cpu_ns);
        }
        self.settle();
        self.memory = Some((tick, at_ns));
        self.memory_is_new = true;
    }

    fn count(&mut self, counters: Counters) {
        let at_ns = self.clock.ns(counters.ticks);
        let before = self.counters.as_ref();
        if before.is_some_and(|(before, _)| before.ticks > counters.ticks) {
            return;
        }
        let per_second = |total: fn(&Totals) -> u64| {
            before.and_then(|(before, before_ns)| rate((before, *before_ns), (&counters, at_ns), total))
        };
        self.rates.allocated_bytes_per_s = per_second(|totals| totals.bytes).or(self.rates.allocated_bytes_per_s);
        self.rates.freed_bytes_per_s = per_second(|totals| totals.freed_bytes).or(self.rates.freed_bytes_per_s);
        self.rates.allocations_per_s = per_second(|totals| totals.allocations).or(self.rates.allocations_per_s);
        self.counters = Some((Arc::new(counters), at_ns));
        self.sample(at_ns, true);
    }

    /// Makes a sample of memory whose counters did not come.
    pub(super) fn settle(&mut self) {
        if let Some((_, at_ns)) = self.memory.filter(|_| self.memory_is_new) {
            self.sample(at_ns, false);
        }
    }

    fn sample(&mut self, at_ns: u64, has_counters: bool) {
        let memory = self.memory.filter(|_| std::mem::take(&mut self.memory_is_new)).map(|(tick, _)| tick);
        let limit = memory.and_then(|tick| self.limit_at(&tick));
        let value =
            |measure: Option<crate::model::Measure>| measure.filter(|_| has_counters).map(|measure| measure.value);
        let counters = self.counters.as_ref().filter(|_| has_counters);
        let values = Values {
            live_bytes: counters.map(|(counters, _)| live_bytes(counters).value),
            rss_bytes: memory.map(|tick| tick.process.rss_bytes).filter(|bytes| *bytes > 0),
            used_bytes: limit.map(|limit| limit.used_bytes),
            limit_bytes: limit.map(|limit| limit.bytes),
            allocated_bytes_per_s: value(self.rates.allocated_bytes_per_s),
            freed_bytes_per_s: value(self.rates.freed_bytes_per_s),
            allocations_per_s: value(self.rates.allocations_per_s),
            cpu_permille: memory.and(self.rates.cpu_percent).map(|percent| (percent * 10.0) as u64),
        };
        Arc::make_mut(&mut self.series).push(Sample { at_ns, values });
    }

    /// The limit that holds at a reading: the one that was given, else the cgroup's, else all memory of the machine.
    fn limit_at(&self, tick: &Tick) -> Option<Limit> {
        let (rss, total) = (tick.process.rss_bytes, tick.system.total_bytes);
        if let Some(bytes) = self.given_limit {
            return Some(Limit { bytes, used_bytes: rss, of: LimitOf::Given });
        }
        let cgroup = tick.cgroup.and_then(|cgroup| {
            let bytes = cgroup.limit_bytes.filter(|bytes| total == 0 || *bytes < total)?;
            let used_bytes = cgroup.usage_bytes.saturating_sub(cgroup.inactive_file_bytes);
            Some(Limit { bytes, used_bytes, of: LimitOf::Cgroup })
        });
        cgroup.or((total > 0).then_some(Limit { bytes: total, used_bytes: rss, of: LimitOf::System }))
    }

    pub(super) fn limit(&self) -> Option<Limit> {
        self.memory.and_then(|(tick, _)| self.limit_at(&tick))
    }

    pub(super) fn latest(&self) -> Reading {
        Reading {
            at_ns: self.clock.ns(self.newest_ticks),
            counters: self.counters.as_ref().map(|(counters, _)| counters.clone()),
            memory: self.memory.map(|(tick, _)| tick),
        }
    }

    /// The change since the first sample of the last minute.
    pub(super) fn trend(&self) -> Trend {
        let Some(newest) = self.series.newest() else { return Trend::default() };
        let since = newest.at_ns.saturating_sub(TREND_NS);
        let change = |number: fn(&Values) -> Option<u64>| {
            let minute = || self.series.recent().rev().take_while(|sample| sample.at_ns >= since);
            let mut known = minute().filter_map(|sample| number(&sample.values));
            let now = known.next()?;
            let then = known.last()?;
            Some(i64::try_from(i128::from(now) - i128::from(then)).unwrap_or(i64::MAX))
        };
        let first = self.series.recent().rev().take_while(|sample| sample.at_ns >= since).last();
        Trend {
            over_ns: first.map_or(0, |first| newest.at_ns - first.at_ns),
            live_bytes: change(|values| values.live_bytes),
            rss_bytes: change(|values| values.rss_bytes),
        }
    }

    /// The largest resident set so far, as the system counts it or as it was seen.
    pub(super) fn peak_rss_bytes(&self) -> u64 {
        let told = self.memory.map_or(0, |(tick, _)| tick.process.peak_rss_bytes);
        told.max(self.series.most(|values| values.rss_bytes))
    }
}

/// Cuts a name that no program would have.
fn cut(text: &mut String) {
    let mut end = MAX_NAME.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}
