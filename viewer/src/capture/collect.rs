//! Builds the [`Profile`] from a capture's records, but for its events.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use plimsoll_format::{
    AllocatorReading, Anchor, ArenaPlace, Counters, Damage, End, Events, Header, Loss, Record, Remains, Symbols,
    Thinning, Thread, Tick, unpack,
};

use crate::model::{
    Budget, EndKind, Footprint, Limits, MissingTime, ModuleId, Modules, PhaseChange, Profile, Recovered, SegmentInfo,
    SessionClock, StackTable, TagId, ThreadId, ThreadInfo, Unread,
};

use super::arena::{ARENA_SEGMENT, ArenaFile};
use super::coming::{Coming, Position};
use super::cost;
use super::end;
use super::error::LoadError;
use super::guess::{self, Guess};
use super::scan::{BlockFate, Found};
use super::series::Series;
use super::warnings;

/// Allocators of one moment that are kept; agents write two.
const MAX_ALLOCATORS: usize = 8;

/// Losses that are kept apart; an agent writes one a second while it loses events.
const MAX_LOSSES: usize = 1 << 14;
/// Changes of the interval that are kept; each doubles it, so that there are no 64.
const MAX_INTERVALS: usize = 1 << 10;

/// When a segment begins and ends, as far as its records tell.
#[derive(Debug, Clone, Copy)]
struct SegmentSpan {
    number: u32,
    first_ticks: Option<u64>,
    last_ticks: u64,
}

/// A record as far as a collector needs it.
pub(super) enum Noted {
    /// Of events, the time of the one before them, the earliest stamp among them, and the interval that chose them.
    Events { before_ticks: u64, earliest_ticks: u64, interval_bytes: u64 },
    /// Any other, and the bytes that keeping it takes.
    Other(Box<Record>, usize),
}

impl Noted {
    pub(super) fn of(record: Record) -> Noted {
        match record {
            Record::Events(events) => {
                let (earliest_ticks, interval_bytes) = first(&events);
                Noted::Events { before_ticks: events.state.ticks, earliest_ticks, interval_bytes }
            }
            mut record => {
                let cost = cost::cut(&mut record);
                Noted::Other(Box::new(record), cost)
            }
        }
    }
}

/// The earliest stamp among these events, and the first one's interval; the last moment that there is when there are none.
fn first(events: &Events) -> (u64, u64) {
    let mut events_of = unpack(events.state, &events.packed).map_while(Result::ok);
    let Some(first) = events_of.next() else { return (u64::MAX, 0) };
    // A record of one thread is in order. What several threads left together begins without a thread.
    let one_thread = events.state.thread != 0;
    let later = if one_thread { None } else { events_of.map(|event| event.ticks).min() };
    (later.unwrap_or(u64::MAX).min(first.ticks), first.interval_bytes)
}

/// Takes what a scan finds.
pub(super) struct Collector {
    path: PathBuf,
    header: Option<Header>,
    guess: Guess,
    anchors: Series<Anchor>,
    stacks: StackTable,
    modules: Modules,
    threads: BTreeMap<ThreadId, ThreadInfo>,
    tags: BTreeMap<TagId, String>,
    ticks: Series<Tick>,
    counters: Series<Counters>,
    /// Allocators' readings whose mappings are still to come.
    allocators: Vec<AllocatorReading>,
    footprints: Series<Footprint>,
    markers: Vec<(u64, String)>,
    phases: Vec<PhaseChange>,
    losses: Vec<Loss>,
    intervals: Vec<(u64, u64)>,
    symbols: Vec<Symbols>,
    arena: Option<ArenaPlace>,
    unread: Unread,
    end: Option<End>,
    spans: Vec<SegmentSpan>,
    coming: Coming,
    /// The block under way.
    position: Position,
    /// The newest moment that any record names.
    newest_ticks: u64,
    /// A gap was met and no moment after it is known yet.
    gap_open: bool,
    gap_until_ticks: Option<u64>,
    /// Damage that reached the end of the file under way.
    cut: Option<Damage>,
    /// Memory left for what the capture defines.
    budget: Budget,
}

impl Collector {
    pub(super) fn new(path: &Path, file_bytes: u64) -> Collector {
        Collector {
            path: path.to_owned(),
            header: None,
            guess: Guess::default(),
            anchors: Series::default(),
            stacks: StackTable::default(),
            modules: Modules::default(),
            threads: BTreeMap::new(),
            tags: BTreeMap::new(),
            ticks: Series::default(),
            counters: Series::default(),
            allocators: Vec::new(),
            footprints: Series::default(),
            markers: Vec::new(),
            phases: Vec::new(),
            losses: Vec::new(),
            intervals: Vec::new(),
            symbols: Vec::new(),
            arena: None,
            unread: Unread::default(),
            end: None,
            spans: Vec::new(),
            coming: Coming::default(),
            position: Position::default(),
            newest_ticks: 0,
            gap_open: false,
            gap_until_ticks: None,
            cut: None,
            budget: Budget::new(Limits::of(file_bytes).definition_bytes),
        }
    }

    pub(super) fn take(&mut self, found: Found<'_, Noted>) {
        match found {
            Found::Segment { number, .. } => {
                // A cut that is not in the last file is damage in the middle of the capture, unless the arena has what was
                // being written.
                self.cut.take().iter().filter(|_| number != ARENA_SEGMENT).for_each(|cut| self.damaged(cut));
                self.spans.push(SegmentSpan { number, first_ticks: None, last_ticks: self.newest_ticks });
                self.position = Position { file: self.spans.len() as u32, offset: 0 };
            }
            Found::Block { offset, fate, .. } => {
                self.position.offset = offset;
                self.block(fate);
            }
            Found::Record(Noted::Other(record, cost)) => self.record(*record, cost),
            Found::Record(Noted::Events { before_ticks, earliest_ticks, interval_bytes }) => {
                self.guess.events(earliest_ticks, interval_bytes);
                // The state's time is that of the event before: already in the past.
                self.newest_ticks = self.newest_ticks.max(before_ticks);
                self.coming.note(self.position, earliest_ticks);
            }
            Found::Unknown(_) => self.unread.records += 1,
            Found::Damage(damage) if damage.at_end => self.cut = Some(damage),
            Found::Damage(damage) => self.damaged(&damage),
            Found::Gap(gap) => {
                self.unread.gaps.push(gap);
                self.gap_open = true;
            }
        }
    }

    fn damaged(&mut self, damage: &Damage) {
        self.unread.damaged_regions += 1;
        self.unread.damaged_bytes = self.unread.damaged_bytes.saturating_add(damage.bytes);
    }

    fn block(&mut self, fate: BlockFate) {
        match fate {
            BlockFate::Kept | BlockFate::Late => {}
            BlockFate::PassedOver { first_ticks } => self.coming.note(self.position, first_ticks),
            BlockFate::Copy => self.unread.copied_blocks += 1,
            BlockFate::Foreign => self.unread.foreign_blocks += 1,
            BlockFate::Unreadable => {
                self.unread.codec_blocks += 1;
                self.gap_open = true;
            }
        }
    }

    /// Notes a moment that lies in the capture.
    fn moment(&mut self, ticks: u64) {
        self.newest_ticks = self.newest_ticks.max(ticks);
        if let Some(span) = self.spans.last_mut() {
            span.first_ticks.get_or_insert(ticks);
            span.last_ticks = span.last_ticks.max(ticks);
        }
        if std::mem::take(&mut self.gap_open) {
            self.gap_until_ticks = Some(self.newest_ticks);
        }
    }

    fn record(&mut self, record: Record, cost: usize) {
        if !self.budget.has_room(cost) {
            return self.beyond_budget(record);
        }
        match record {
            Record::Header(header) => self.set_header(header),
            Record::Module(module) => self.modules.insert(module),
            Record::ModuleUnloaded { id, ticks } => self.modules.unload(ModuleId(id), ticks),
            Record::Thread(thread) => self.thread(thread),
            Record::ThreadEnd { thread, ticks } => {
                self.moment(ticks);
                self.threads.entry(ThreadId(thread)).or_default().end_ticks = Some(ticks);
            }
            Record::StackNodes(nodes) => nodes.iter().for_each(|node| self.stacks.insert(node)),
            Record::Tag { id, name } => drop(self.tags.insert(TagId(id), name)),
            Record::Watermark { ticks } => self.moment(ticks),
            Record::Tick(tick) => {
                self.moment(tick.ticks);
                self.ticks.push(tick, |_| {});
            }
            Record::Counters(counters) => self.count(counters),
            Record::ThreadTotals { thread, ticks, totals } => {
                self.moment(ticks);
                self.threads.entry(ThreadId(thread)).or_default().totals = Some(totals);
            }
            Record::Marker { ticks, name } => {
                self.moment(ticks);
                self.markers.push((ticks, name));
            }
            Record::Phase { ticks, phase } => {
                self.moment(ticks);
                self.phases.push(PhaseChange { ticks, phase });
            }
            Record::Anchor(anchor) => {
                self.guess.anchor(&anchor);
                self.anchors.push(anchor, |_| {});
            }
            Record::Loss(loss) => self.lose(loss),
            Record::Thinning(thinning) => self.thin(&thinning),
            Record::Events(_) | Record::LiveBlocks(_) => {}
            Record::Allocator(reading) => {
                self.moment(reading.ticks);
                if self.allocators.len() < MAX_ALLOCATORS {
                    self.allocators.push(reading);
                }
            }
            Record::Mappings(mappings) => {
                self.moment(mappings.ticks);
                let allocators = std::mem::take(&mut self.allocators);
                self.footprints.push(Footprint { mappings, allocators }, |_| {});
            }
            Record::Symbols(symbols) => self.symbols.push(symbols),
            Record::Arena(place) => self.arena = Some(place),
            // When the block after it was written. That one may be lost, so this is no moment of a file's.
            Record::Span(span) => self.newest_ticks = self.newest_ticks.max(span.last_ticks),
            Record::End(end) => {
                self.moment(end.ticks);
                self.end = Some(end);
            }
        }
    }

    /// Takes what needs no memory: what bounds figures and says how the capture ended.
    fn beyond_budget(&mut self, record: Record) {
        match record {
            Record::Watermark { ticks } => self.moment(ticks),
            Record::Counters(counters) => self.count(counters),
            Record::End(end) => {
                self.moment(end.ticks);
                self.end = Some(end);
            }
            Record::Loss(loss) => self.lose(loss),
            _ => {}
        }
    }

    /// Of very many losses the last ones are taken together, which widens the bounds.
    fn lose(&mut self, loss: Loss) {
        self.moment(loss.to_ticks);
        let is_full = self.losses.len() >= MAX_LOSSES;
        match self.losses.last_mut().filter(|_| is_full) {
            None => self.losses.push(loss),
            Some(last) => {
                last.from_ticks = last.from_ticks.min(loss.from_ticks);
                last.to_ticks = last.to_ticks.max(loss.to_ticks);
                last.allocations = last.allocations.saturating_add(loss.allocations);
                last.bytes = last.bytes.saturating_add(loss.bytes);
                last.frees = last.frees.saturating_add(loss.frees);
                last.freed_bytes = last.freed_bytes.saturating_add(loss.freed_bytes);
            }
        }
    }

    fn set_header(&mut self, header: Header) {
        match &mut self.header {
            None => self.header = Some(header),
            Some(known) => known.dropped_segments = known.dropped_segments.max(header.dropped_segments),
        }
    }

    fn thread(&mut self, thread: Thread) {
        let info = self.threads.entry(ThreadId(thread.id)).or_default();
        info.os_id = thread.os_id;
        info.start_ticks = thread.ticks;
        if !thread.name.is_empty() {
            info.name = thread.name;
        }
    }

    fn count(&mut self, counters: Counters) {
        self.moment(counters.ticks);
        // Only the newest reading's size classes are of use; the older ones would be the bulk of a long capture.
        let newer = self.counters.newest().is_none_or(|newest| newest.ticks <= counters.ticks);
        if newer {
            self.counters.push(counters, |before| before.classes = Vec::new());
        }
    }

    fn thin(&mut self, thinning: &Thinning) {
        self.moment(thinning.ticks);
        let change = (thinning.ticks, thinning.to_interval_bytes);
        if self.intervals.last() != Some(&change) && self.intervals.len() < MAX_INTERVALS {
            self.intervals.push(change);
        }
    }

    /// What was noted of the events' times.
    pub(super) fn coming(&mut self) -> Coming {
        let mut coming = std::mem::take(&mut self.coming);
        coming.finish();
        coming
    }

    /// The profile, with everything that a reader should know as warnings.
    pub(super) fn finish(
        mut self,
        session: u64,
        segments: Vec<SegmentInfo>,
        found: Vec<String>,
        left: Option<(ArenaFile, Remains)>,
    ) -> Result<Profile, LoadError> {
        let is_guessed = self.header.is_none();
        let Some(header) = self.header.take().or_else(|| self.guess.header(session)) else {
            let bytes = segments.iter().map(|segment| segment.bytes).sum();
            return Err(LoadError::NoHeader { path: self.path, bytes });
        };
        let anchors = self.anchors.finish();
        let clock = SessionClock::new(header.clock, header.start, &anchors);
        let last_file = segments.last().map_or(self.path.as_path(), |segment| segment.path.as_path());
        let newest = self.newest_ticks.max(header.start.ticks);
        self.unread.beyond_limits = self.budget.refused;
        self.unread.cut_bytes = self.cut.map_or(0, |cut| cut.bytes);
        let missing = missing_times(&self.spans, &header, &clock);
        let mut end = end::judge(self.end.as_ref(), self.cut.is_some(), &header, last_file, newest);
        if let Some((_, remains)) = left.as_ref().filter(|_| self.end.is_none()) {
            end.kind = EndKind::Killed;
            if missing.is_empty() {
                let untold = untold(remains, &self.losses, newest);
                self.losses.extend(untold);
            }
        }
        let recovered = left.map(|(file, remains)| Recovered::of(file.path, &remains));
        let lost_blocks = self.end.as_ref().map_or(0, |end| end.lost_blocks);
        let mut profile = Profile {
            path: self.path,
            segments,
            missing,
            duration_ns: clock.ns(end.ticks),
            start_wall_ns: header.start.wall_ns,
            end,
            clock,
            stacks: self.stacks,
            modules: self.modules,
            threads: self.threads,
            tags: self.tags,
            ticks: self.ticks.finish(),
            counters: self.counters.finish(),
            footprints: self.footprints.finish(),
            markers: self.markers,
            phases: self.phases,
            losses: self.losses,
            intervals: self.intervals,
            symbols: self.symbols,
            unread: self.unread,
            gap_until_ticks: self.gap_until_ticks.or(self.gap_open.then_some(newest)),
            lost_blocks,
            recovered,
            arena: self.arena,
            warnings: found,
            header,
        };
        profile.warnings.extend(is_guessed.then(guess::warning));
        let warnings = warnings::of(&profile);
        profile.warnings.extend(warnings);
        Ok(profile)
    }
}

/// What a killed process could not record and had no time to tell.
fn untold(remains: &Remains, told: &[Loss], newest: u64) -> Vec<Loss> {
    let left = |all: &Loss| {
        let told = told.iter().filter(|told| told.cause.number() == all.cause.number());
        let less = |all: u64, count: fn(&Loss) -> u64| told.clone().map(count).fold(all, u64::saturating_sub);
        let loss = Loss {
            from_ticks: remains.last_ticks.min(newest),
            to_ticks: newest,
            allocations: less(all.allocations, |loss| loss.allocations),
            bytes: less(all.bytes, |loss| loss.bytes),
            frees: less(all.frees, |loss| loss.frees),
            freed_bytes: less(all.freed_bytes, |loss| loss.freed_bytes),
            ..*all
        };
        (loss.allocations > 0 || loss.frees > 0).then_some(loss)
    };
    remains.losses.iter().filter_map(left).collect()
}

/// The spans of time between segments that are left, and before the first one.
fn missing_times(spans: &[SegmentSpan], header: &Header, clock: &SessionClock) -> Vec<MissingTime> {
    let mut missing = Vec::new();
    let mut next = 0;
    let mut last_ticks = header.start.ticks;
    for span in spans.iter().filter(|span| span.number != ARENA_SEGMENT) {
        if span.number > next {
            missing.push(MissingTime {
                from_ns: clock.ns(last_ticks),
                to_ns: clock.ns(span.first_ticks.unwrap_or(last_ticks)),
                first_segment: next,
                last_segment: span.number - 1,
            });
        }
        next = span.number.saturating_add(1);
        last_ticks = last_ticks.max(span.last_ticks);
    }
    missing
}
