//! The Firefox Profiler's processed profile: each allocation and free in time, threads, the heap and RSS as tracks, markers.

use std::collections::HashMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use fx::{
    CategoryHandle, CpuDelta, FrameFlags, FrameInfo, MarkerTiming, ProcessHandle, StackHandle, ThreadHandle, Timestamp,
};
use fxprof_processed_profile as fx;

use crate::analysis::Point;
use crate::analysis::{Timelines, timelines};
use crate::model::{Profile, ThreadId};
use crate::present::safe;
use crate::replay::{Moved, Trace};

use super::walk::Walk;

/// Allocations and frees that a profile can have: the profiler keeps all of them in a browser's memory.
pub const MOST_MOVES: usize = 4_000_000;

/// A profile under way.
struct Building<'a> {
    walk: &'a Walk<'a>,
    fx: fx::Profile,
    process: ProcessHandle,
    /// The first thread, which the format has all allocations of a process on.
    all: ThreadHandle,
    threads: HashMap<ThreadId, ThreadHandle>,
    /// Stacks by site and thread of the profile.
    stacks: HashMap<(usize, ThreadHandle), Option<StackHandle>>,
}

/// Writes what came and went.
///
/// # Errors
///
/// When it cannot be written.
pub fn firefox(walk: &Walk<'_>, trace: &Trace, out: impl Write) -> io::Result<()> {
    let mut building = Building::new(walk);
    building.moves(trace);
    building.counters(&timelines(walk.profile));
    building.markers(trace);
    Ok(serde_json::to_writer(out, &building.fx)?)
}

fn stamp(at_ns: u64) -> Timestamp {
    Timestamp::from_nanos_since_reference(at_ns)
}

impl<'a> Building<'a> {
    fn new(walk: &'a Walk<'a>) -> Building<'a> {
        let profile = walk.profile;
        let started = u64::try_from(profile.start_wall_ns).unwrap_or(0);
        let reference = SystemTime::UNIX_EPOCH + Duration::from_nanos(started);
        let name = safe(&profile.header.program).into_owned();
        let interval = fx::SamplingInterval::from_nanos(profile.header.tick_ns.max(1));
        let mut fx = fx::Profile::new(&name, reference.into(), interval);
        fx.set_os_name(&safe(&profile.header.os));
        fx.set_symbolicated(true);
        let process = fx.add_process(&name, profile.header.pid, stamp(0));
        fx.set_process_end_time(process, stamp(profile.duration_ns));
        let all = fx.add_thread(process, profile.header.pid, stamp(0), false);
        fx.set_thread_name(all, "all threads");
        let mut building = Building { walk, fx, process, all, threads: HashMap::new(), stacks: HashMap::new() };
        building.add_threads(profile);
        building
    }

    fn add_threads(&mut self, profile: &Profile) {
        for (id, info) in &profile.threads {
            let handle = self.fx.add_thread(self.process, info.os_id, stamp(profile.ns(info.start_ticks)), false);
            self.fx.set_thread_name(handle, &safe(&profile.thread_name(*id)));
            let ended = info.end_ticks.map_or(profile.duration_ns, |ticks| profile.ns(ticks));
            self.fx.set_thread_end_time(handle, stamp(ended));
            self.fx.set_thread_samples_weight_type(handle, fx::WeightType::Bytes);
            self.threads.insert(*id, handle);
        }
    }

    fn stack(&mut self, site: usize, thread: ThreadHandle, names: &HashMap<usize, Vec<String>>) -> Option<StackHandle> {
        if let Some(known) = self.stacks.get(&(site, thread)) {
            return *known;
        }
        let (category_pair, flags) = (CategoryHandle::OTHER.into(), FrameFlags::empty());
        let labels: Vec<FrameInfo> = names
            .get(&site)?
            .iter()
            .map(|name| FrameInfo { frame: fx::Frame::Label(self.fx.intern_string(name)), category_pair, flags })
            .collect();
        let stack = self.fx.intern_stack_frames(thread, labels.into_iter());
        self.stacks.insert((site, thread), stack);
        stack
    }

    /// Each block that came, as an allocation and as a sample of its thread; each that went. Sites that the filter leaves
    /// out have no names and stay away.
    fn moves(&mut self, trace: &Trace) {
        let name = |name: String| safe(&name).into_owned();
        let names: HashMap<usize, Vec<String>> =
            self.walk.rows().filter_map(|row| Some((row.at?, row.names().map(name).collect()))).collect();
        for moved in trace.moved.iter().filter(|moved| names.contains_key(&moved.site)) {
            let Moved { at_ns, block, site, bytes } = *moved;
            let stack = self.stack(site, self.all, &names);
            self.fx.add_allocation_sample(self.all, stamp(at_ns), stack, block, bytes);
            let thread = self.walk.heap.sites.get(site).and_then(|site| self.threads.get(&site.thread)).copied();
            let Some(thread) = thread.filter(|_| bytes > 0) else { continue };
            let stack = self.stack(site, thread, &names);
            let mut left = bytes;
            // A sample's weight has 32 bits.
            while left > 0 {
                let weight = i32::try_from(left).unwrap_or(i32::MAX);
                self.fx.add_sample(thread, stamp(at_ns), stack, CpuDelta::ZERO, weight);
                left -= i64::from(weight);
            }
        }
    }

    fn counters(&mut self, timelines: &Timelines) {
        let tracks: [(&str, &str, &[Point]); 2] = [
            ("heap", "Live bytes of the program, by its counters", &timelines.live_bytes),
            ("RSS", "Resident set of the process", &timelines.rss_bytes),
        ];
        for (name, description, points) in tracks.into_iter().filter(|(_, _, points)| !points.is_empty()) {
            let counter = self.fx.add_counter(self.process, name, "Memory", description);
            let mut before = 0.0;
            for point in points {
                let value = point.measure.value as f64;
                self.fx.add_counter_sample(counter, stamp(point.at_ns), value - before, 0);
                before = value;
            }
        }
    }

    fn markers(&mut self, trace: &Trace) {
        let profile = self.walk.profile;
        let mut texts: Vec<(u64, &str, String)> = vec![(0, "Plimsoll", self.walk.basis())];
        let moments = profile.markers.iter();
        texts.extend(moments.map(|(ticks, name)| (profile.ns(*ticks), "marker", safe(name).into_owned())));
        let phases = profile.phases.iter();
        texts.extend(phases.map(|change| (profile.ns(change.ticks), "recording", format!("{:?}", change.phase))));
        texts.push((self.walk.heap.peak.recorded_at_ns, "peak", "most bytes were live".to_owned()));
        texts.extend(profile.warnings.iter().map(|text| (0, "warning", safe(text).into_owned())));
        if trace.thinned > 0 {
            let text = format!("{} samples came a second time when the interval was raised", trace.thinned);
            texts.push((0, "warning", text));
        }
        for verdict in self.walk.grouping.groups.iter().filter_map(|group| Some((group, group.verdict.as_ref()?))) {
            let (group, verdict) = verdict;
            if verdict.class == crate::analysis::verdict::Class::Leak {
                texts.push((profile.duration_ns, "leak", safe(&group.name).into_owned()));
            }
        }
        for (at_ns, name, text) in texts {
            let marker = TextMarker { name: self.fx.intern_string(name), text: self.fx.intern_string(&text) };
            self.fx.add_marker(self.all, MarkerTiming::Instant(stamp(at_ns)), marker);
        }
    }
}

/// A moment with a sentence.
struct TextMarker {
    name: fx::StringHandle,
    text: fx::StringHandle,
}

impl fx::StaticSchemaMarker for TextMarker {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "Plimsoll";
    const LOCATIONS: fx::MarkerLocations = fx::MarkerLocations::MARKER_CHART
        .union(fx::MarkerLocations::MARKER_TABLE)
        .union(fx::MarkerLocations::TIMELINE_OVERVIEW);
    const CHART_LABEL: Option<&'static str> = Some("{marker.data.text}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.name}: {marker.data.text}");
    const FIELDS: &'static [fx::StaticSchemaMarkerField] = &[fx::StaticSchemaMarkerField {
        key: "text",
        label: "Text",
        format: fx::MarkerFieldFormat::String,
        flags: fx::MarkerFieldFlags::SEARCHABLE,
    }];

    fn name(&self, _profile: &mut fx::Profile) -> fx::StringHandle {
        self.name
    }

    fn category(&self, _profile: &mut fx::Profile) -> CategoryHandle {
        CategoryHandle::OTHER
    }

    fn string_field_value(&self, _field: u32) -> fx::StringHandle {
        self.text
    }

    fn number_field_value(&self, _field: u32) -> f64 {
        0.0
    }
}
