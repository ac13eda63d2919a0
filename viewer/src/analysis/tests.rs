//! The analyses on hand-made captures. Ticks are nanoseconds and start at 1000.

use plimsoll_format::{Counters, Event, ProcessMemory, Record, SizeClass, Tick, Totals};

use crate::capture::{self, Capture, LoadOptions};
use crate::model::Measure;
use crate::replay::{Heap, ReplayOptions};
use crate::testing::{CaptureBuilder, alloc, counters, free};

use super::{By, histogram, leaks, summary, timeline, timelines};

fn load(builder: &mut CaptureBuilder) -> (Capture, Heap) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = builder.save(folder.path(), "test.plim");
    let capture = capture::open(path, &LoadOptions::default()).expect("it is a capture");
    let heap = capture.replay(&ReplayOptions::default()).expect("the file is still there");
    (capture, heap)
}

fn totals(allocations: u64, bytes: u64, frees: u64, freed_bytes: u64) -> Totals {
    Totals { allocations, bytes, frees, freed_bytes, reallocations: 0 }
}

#[test]
fn totals_at_a_clean_end_are_the_counters() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(1_100, 0x10, 100, 1)]);
    builder.record(Record::Counters(counters(1_900, totals(5, 180, 2, 30), 170))).end(2_000);
    let (capture, heap) = load(&mut builder);
    let summary = summary(&capture.profile, &heap);
    assert_eq!(summary.totals.bytes, Measure::exact(180));
    assert_eq!(summary.totals.live_bytes, Measure::exact(150));
    assert_eq!(summary.totals.live_allocations, Measure::exact(3));
    assert_eq!(summary.totals.at_ns, 900);
    // 180 counted, 100 in sites; 150 live, 100 in sites.
    assert_eq!(summary.unattributed.bytes, Measure::exact(80));
    assert_eq!(summary.unattributed.live_bytes, Measure::exact(50));
    assert_eq!(summary.recorded.bytes, 100);
}

#[test]
fn totals_while_threads_ran_are_intervals() {
    let reading =
        Counters { exact: false, program_upper: totals(12, 250, 5, 90), ..counters(1_900, totals(10, 200, 4, 60), 0) };
    let mut builder = CaptureBuilder::sampled(1_000);
    builder.record(Record::Counters(reading));
    let (capture, heap) = load(&mut builder);
    let totals = summary(&capture.profile, &heap).totals;
    assert_eq!(totals.bytes, Measure { value: 250, low: 200, high: Some(250) });
    // At least 200 − 90, at most 250 − 60.
    assert_eq!(totals.live_bytes, Measure { value: 160, low: 110, high: Some(190) });
}

#[test]
fn a_killed_exact_capture_adds_what_came_after_the_last_reading() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(1_100, 0x10, 100, 1)]);
    builder.record(Record::Counters(counters(1_200, totals(1, 100, 0, 0), 100)));
    builder.events(&[alloc(1_300, 0x20, 50, 1), free(1_400, 0x10)]).watermark(1_500);
    let (capture, heap) = load(&mut builder);
    let summary = summary(&capture.profile, &heap);
    assert_eq!(summary.totals.bytes, Measure { value: 150, low: 100, high: Some(150) });
    assert_eq!(summary.totals.freed_bytes, Measure { value: 100, low: 0, high: Some(100) });
    assert_eq!(summary.totals.live_bytes.value, 50);
    assert_eq!(summary.totals.at_ns, 500);
    assert_eq!(summary.peak.live_bytes, Measure::exact(150));
}

#[test]
fn a_capture_without_counters_tells_what_it_recorded() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[alloc(1_100, 0x10, 100, 1)]);
    let (capture, heap) = load(&mut builder);
    let totals = summary(&capture.profile, &heap).totals;
    assert_eq!(totals.bytes, Measure { value: 100, low: 0, high: None });
}

#[test]
fn leaks_are_ranked_by_live_bytes() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(3).events(&[
        alloc(1_100, 0x10, 5, 1),
        alloc(1_200, 0x20, 50, 2),
        alloc(1_300, 0x30, 500, 3),
        free(1_400, 0x30),
    ]);
    let (_, heap) = load(builder.end(2_000));
    let ranked: Vec<(u32, u64)> =
        leaks(&heap).iter().map(|leak| (heap.sites[leak.site].stack.0, leak.live_bytes.value)).collect();
    assert_eq!(ranked, [(2, 50), (1, 5)]);
    assert_eq!(leaks(&heap)[0].ages.map(|ages| ages.oldest_ns), Some(800));
}

#[test]
fn histograms_run_from_the_first_bucket_in_use_to_the_last() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).events(&[
        alloc(1_100, 0x10, 0, 1),
        alloc(1_200, 0x20, 5, 1),
        free(1_203, 0x20),
        alloc(1_990, 0x30, 7, 1),
    ]);
    let (capture, heap) = load(builder.end(2_000));
    let by = |by| histogram(&capture.profile, &heap, by);
    // Sizes 0, 5 and 7: buckets 0 to 1, 2 to 3 (empty) and 4 to 7.
    let sizes: Vec<_> = by(By::Size).iter().map(|bucket| (bucket.from, bucket.to, bucket.allocations.value)).collect();
    assert_eq!(sizes, [(0, 1, 1), (2, 3, 0), (4, 7, 2)]);
    // One lived 3 ns; the survivors are 900 and 10 ns old.
    let lifetimes = by(By::Lifetime);
    let first = (lifetimes[0].from, lifetimes[0].to, lifetimes[0].bytes.value);
    assert_eq!(first, (2, 3, 5));
    let unfreed = |from| lifetimes.iter().find(|bucket| bucket.from == from).and_then(|bucket| bucket.unfreed_bytes);
    assert_eq!((unfreed(8), unfreed(512)), (Some(Measure::exact(7)), Some(Measure::exact(0))));
    let ages: Vec<_> = by(By::Age).iter().map(|bucket| (bucket.from, bucket.allocations.value)).collect();
    assert_eq!((ages.first(), ages.last()), (Some(&(8, 1)), Some(&(512, 1))));
}

#[test]
fn sampled_sizes_are_counted_exactly_and_bytes_keep_to_the_count() {
    let mut builder = CaptureBuilder::sampled(1_000);
    let sample = Event { interval_bytes: 1_000, ..alloc(1_100, 0x10, 100, 1) };
    builder.stacks(1).events(&[sample]);
    let mut reading = counters(1_500, totals(8, 800, 0, 0), 800);
    reading.classes = vec![SizeClass::default(); 6];
    reading.classes.push(SizeClass { allocations: 8, frees: 0 });
    builder.record(Record::Counters(reading));
    let (capture, heap) = load(builder.end(2_000));
    let sizes = histogram(&capture.profile, &heap, By::Size);
    assert_eq!(sizes.len(), 1);
    assert_eq!((sizes[0].from, sizes[0].allocations), (64, Measure::exact(8)));
    // 100 / p = 1050.8, but 8 blocks of 64 to 127 bytes are 512 to 1016.
    assert_eq!(sizes[0].bytes, Measure { value: 1_016, low: 512, high: Some(1_016) });
}

#[test]
fn the_timeline_joins_counters_and_memory_of_one_moment() {
    let tick = |ticks, rss_bytes| Tick {
        ticks,
        process: ProcessMemory { rss_bytes, ..ProcessMemory::default() },
        ..Tick::default()
    };
    let mut builder = CaptureBuilder::exact();
    builder.record(Record::Tick(tick(1_500, 10))).record(Record::Counters(counters(1_500, totals(1, 9, 0, 0), 9)));
    builder.record(Record::Tick(tick(1_600, 20)));
    let (capture, _) = load(builder.end(2_000));
    let points = timeline(&capture.profile);
    let seen: Vec<_> = points.iter().map(|point| (point.at_ns, point.live_bytes, point.rss_bytes())).collect();
    assert_eq!(seen, [(500, Some(Measure::exact(9)), Some(10)), (600, None, Some(20))]);
}

#[test]
fn rates_are_growth_between_two_readings() {
    let second = 1_000_000_000;
    let mut builder = CaptureBuilder::exact();
    let reading = |at: u64, allocations, bytes| counters(1_000 + at, totals(allocations, bytes, 0, 0), bytes);
    builder.record(Record::Counters(reading(second, 10, 100)));
    // 1,000 bytes in 10 allocations in two seconds, exactly.
    builder.record(Record::Counters(reading(3 * second, 20, 1_100)));
    // While threads ran: 900 to 1,000 bytes more, in 5 to 8 allocations, in half a second.
    let inexact = reading(3 * second + second / 2, 25, 2_000);
    builder.record(Record::Counters(Counters { program_upper: totals(28, 2_100, 0, 0), exact: false, ..inexact }));
    let (capture, _) = load(builder.end(1_000 + 4 * second));
    let all = timelines(&capture.profile);
    let seen = |points: &[super::Point]| points.iter().map(|point| (point.at_ns, point.measure)).collect::<Vec<_>>();
    let bytes = Measure { value: 2_000, low: 1_800, high: Some(2_000) };
    assert_eq!(seen(&all.allocated_bytes_per_s), [(3 * second, Measure::exact(500)), (3 * second + second / 2, bytes)]);
    let allocations = Measure { value: 16, low: 10, high: Some(16) };
    assert_eq!(seen(&all.allocations_per_s), [(3 * second, Measure::exact(5)), (3 * second + second / 2, allocations)]);
    assert_eq!(all.rss_bytes, []);
}
