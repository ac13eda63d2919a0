//! The replay against hand-made event lists. Ticks are nanoseconds and start at 1000 in all of them.

use plimsoll_format::{Event, EventKind, Loss, LossCause, Record, Thinning, Totals};

use crate::capture::{self, LoadOptions};
use crate::model::{Measure, StackId, Tally};
use crate::testing::{CaptureBuilder, alloc, as_kind, counters, free, on};

use super::{Heap, Moment, Range, ReplayOptions, Site};

/// Replays a capture from memory, through a file.
fn replay(builder: &mut CaptureBuilder, options: ReplayOptions) -> Heap {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = builder.save(folder.path(), "test.plim");
    let capture = capture::open(path, &LoadOptions::default()).expect("it is a capture");
    capture.replay(&options).expect("the file is still there")
}

/// An exact capture of these events with 9 stacks and an orderly end at `end`.
fn exact(events: &[Event], end: u64) -> CaptureBuilder {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(9).events(events).end(end);
    builder
}

fn heap(events: &[Event]) -> Heap {
    replay(&mut exact(events, 10_000), ReplayOptions::default())
}

fn site(heap: &Heap, stack: u32) -> &Site {
    heap.sites.iter().find(|site| site.stack == StackId(stack)).expect("the site is there")
}

/// Bytes and blocks of an exact tally.
fn exactly(tally: &Tally) -> (u64, u64) {
    let (bytes, blocks) = (tally.measure_bytes(), tally.measure_blocks());
    assert!(bytes.is_exact() && blocks.is_exact());
    (bytes.value, blocks.value)
}

#[test]
fn live_total_and_freed_add_up() {
    let heap =
        heap(&[alloc(1_100, 0x10, 100, 1), alloc(1_200, 0x20, 50, 1), alloc(1_300, 0x30, 7, 2), free(1_400, 0x10)]);
    let one = site(&heap, 1);
    assert_eq!(exactly(&one.total), (150, 2));
    assert_eq!(exactly(&one.freed), (100, 1));
    assert_eq!(exactly(&one.live), (50, 1));
    // Live at 10,000, allocated at 1,200.
    assert_eq!(one.ages.map(|ages| (ages.oldest_ns, ages.youngest_ns)), Some((8_800, 8_800)));
    assert_eq!(exactly(&site(&heap, 2).live), (7, 1));
    assert_eq!(heap.events, 4);
    assert!(heap.warnings.is_empty(), "{:?}", heap.warnings);
}

#[test]
fn the_peak_is_shared_out_among_sites() {
    // The live total after each event stands beside it.
    let heap = heap(&[
        alloc(1_100, 0x10, 100, 1), // 100
        alloc(1_200, 0x20, 50, 2),  // 150
        free(1_300, 0x10),          // 50
        alloc(1_400, 0x30, 90, 3),  // 140
        alloc(1_500, 0x40, 40, 1),  // 180: the peak, 40 + 50 + 90
        free(1_600, 0x20),          // 130
        alloc(1_700, 0x50, 30, 2),  // 160
        free(1_800, 0x30),          // 70
    ]);
    assert_eq!(heap.peak.live_bytes, Measure::exact(180));
    assert_eq!((heap.peak.ticks, heap.peak.at_ns), (1_500, 500));
    let at_peak = |stack| exactly(&site(&heap, stack).at_peak).0;
    assert_eq!([at_peak(1), at_peak(2), at_peak(3)], [40, 50, 90]);
    // Site 1 alone was largest at 1,100 with 100 bytes.
    assert_eq!(exactly(&site(&heap, 1).site_peak), (100, 1));
    assert_eq!(site(&heap, 1).site_peak_ns, 100);
}

#[test]
fn an_equal_peak_later_does_not_move_it() {
    let heap = heap(&[alloc(1_100, 0x10, 100, 1), free(1_200, 0x10), alloc(1_300, 0x20, 100, 2)]);
    assert_eq!(heap.peak.ticks, 1_100);
    assert_eq!(exactly(&site(&heap, 1).at_peak), (100, 1));
    assert_eq!(exactly(&site(&heap, 2).at_peak), (0, 0));
}

#[test]
fn temporary_means_same_thread_and_at_most_one_allocation_between() {
    let heap = heap(&[
        alloc(1_100, 0x10, 1, 1),
        free(1_110, 0x10), // none between: temporary
        alloc(1_200, 0x10, 2, 2),
        alloc(1_210, 0x20, 4, 9),
        free(1_220, 0x10), // one between: temporary
        alloc(1_300, 0x10, 8, 3),
        alloc(1_310, 0x30, 4, 9),
        alloc(1_320, 0x40, 4, 9),
        free(1_330, 0x10), // two between: not
        alloc(1_400, 0x10, 16, 4),
        on(2, free(1_410, 0x10)), // another thread: not
    ]);
    let temporary = |stack| exactly(&site(&heap, stack).temporary.expect("exact captures know"));
    assert_eq!([temporary(1), temporary(2), temporary(3), temporary(4)], [(1, 1), (2, 1), (0, 0), (0, 0)]);
}

#[test]
fn a_reallocation_is_one_free_and_one_allocation_and_never_temporary() {
    let heap = heap(&[
        alloc(1_100, 0x10, 10, 1),
        as_kind(EventKind::ReallocFree, free(1_110, 0x10)),
        as_kind(EventKind::ReallocAlloc, alloc(1_120, 0x20, 30, 2)),
        free(1_130, 0x20),
    ]);
    assert_eq!(exactly(&site(&heap, 1).freed), (10, 1));
    assert_eq!(exactly(&site(&heap, 2).total), (30, 1));
    assert_eq!(heap.sum(|site| site.temporary.unwrap_or_default()).blocks, 0);
    assert_eq!(heap.reallocations, 1);
    // The old block goes first: never 40 bytes at once.
    assert_eq!(heap.peak.live_bytes, Measure::exact(30));
}

/// What the only site holds at the end of each of 64 bins of 100 ticks, when its block's reallocation begins at the end of
/// one bin and its outcome comes two bins later.
fn levels_around(outcome: Event) -> Vec<(u64, u64)> {
    let reallocation = [as_kind(EventKind::ReallocFree, free(1_190, 0x10)), outcome];
    let events = [[alloc(1_110, 0x10, 100, 1), alloc(1_120, 0x40, 7, 1)], reallocation].concat();
    let heap = replay(&mut exact(&events, 1_000 + 6_399), ReplayOptions::default());
    heap.evidence[0].bins()[..6].iter().map(|bin| (bin.live_bytes, bin.low_bytes)).collect()
}

#[test]
fn a_block_is_live_while_it_is_reallocated() {
    // At first nothing lives, then 107 bytes: 7 of them in another block.
    let done = as_kind(EventKind::ReallocAlloc, alloc(1_310, 0x20, 130, 1));
    assert_eq!(levels_around(done), [(0, 0), (107, 0), (107, 107), (137, 107), (137, 137), (137, 137)]);
    let undone = as_kind(EventKind::ReallocUndo, free(1_310, 0x10));
    assert_eq!(levels_around(undone), [(0, 0), (107, 0), (107, 107), (107, 107), (107, 107), (107, 107)]);
}

#[test]
fn a_failed_reallocation_leaves_the_old_block_as_it_was() {
    let heap = heap(&[
        alloc(1_100, 0x10, 10, 1),
        as_kind(EventKind::ReallocFree, free(1_110, 0x10)),
        as_kind(EventKind::ReallocUndo, free(1_120, 0x10)),
    ]);
    let one = site(&heap, 1);
    assert_eq!((exactly(&one.total), exactly(&one.freed), exactly(&one.live)), ((10, 1), (0, 0), (10, 1)));
    assert_eq!(one.ages.map(|ages| ages.oldest_ns), Some(8_900));
    assert_eq!(heap.reallocations, 0);
}

#[test]
fn an_address_handed_over_with_inverted_clocks_is_mended() {
    // Thread 2 got the address at 1,200 though thread 1's free is stamped 1,201; then thread 2 frees it.
    let heap = heap(&[
        alloc(1_100, 0x10, 10, 1),
        free(1_201, 0x10),
        on(2, alloc(1_200, 0x10, 20, 2)),
        on(2, free(1_300, 0x10)),
    ]);
    assert_eq!(heap.repairs.pulled_frees, 1);
    assert_eq!((heap.repairs.unseen_frees, heap.repairs.unknown_frees), (0, 0));
    assert_eq!(heap.sum(|site| site.live).blocks, 0);
    assert_eq!(exactly(&site(&heap, 1).freed), (10, 1));
    assert_eq!(exactly(&site(&heap, 2).freed), (20, 1));
}

#[test]
fn a_free_stamped_before_its_allocation_is_mended_and_leaves_the_others_alone() {
    // Thread 2 frees what thread 1 allocates. The second allocation is stamped 3 ns after its own free.
    let heap = heap(&[
        alloc(1_100, 0x10, 1, 1),
        on(2, free(1_150, 0x10)),
        alloc(1_203, 0x10, 2, 2),
        on(2, free(1_200, 0x10)),
        alloc(1_300, 0x10, 4, 3),
        on(2, free(1_350, 0x10)),
        alloc(1_400, 0x10, 8, 4),
        on(2, free(1_450, 0x10)),
    ]);
    assert_eq!(heap.sum(|site| site.live).blocks, 0);
    assert_eq!((heap.repairs.early_frees, heap.repairs.pulled_frees, heap.repairs.unknown_frees), (1, 0, 0));
    // The third and fourth lived 50 ns each: bucket 5 (32 to 63), with the first one's 50 ns.
    assert_eq!(heap.lifetimes.completed.buckets()[5].blocks, 3);
}

#[test]
fn a_free_stamped_before_the_last_allocation_of_its_address_is_mended_too() {
    let events = |gap: u64| [alloc(5_000, 0x10, 2, 1), on(2, free(5_000 - gap, 0x10))];
    assert_eq!(heap(&events(100)).sum(|site| site.live).blocks, 0);
    // So long before, it was of a block from before the session.
    assert_eq!(heap(&events(3_000)).sum(|site| site.live).blocks, 1);
    // A thread's own free came before for certain.
    let own = [free(4_900, 0x10), alloc(5_000, 0x10, 2, 1)];
    assert_eq!(heap(&own).sum(|site| site.live).blocks, 1);
}

#[test]
fn a_late_free_is_told_from_one_of_a_block_from_before() {
    // 0x10 held a block from before, freed by thread 2 at 1,050. Thread 1 frees its block 5 ns after thread 2 has it again.
    let heap =
        heap(&[on(2, free(1_050, 0x10)), alloc(1_100, 0x10, 1, 1), on(2, alloc(1_200, 0x10, 2, 2)), free(1_205, 0x10)]);
    assert_eq!((heap.repairs.early_frees, heap.repairs.pulled_frees, heap.repairs.unknown_frees), (0, 1, 1));
    assert_eq!((exactly(&site(&heap, 1).live), exactly(&site(&heap, 2).live)), ((0, 0), (2, 1)));
}

#[test]
fn a_thread_s_own_free_is_not_taken_for_the_missing_one() {
    // Thread 1's free is stamped after the whole short life of thread 2's block at the address.
    let heap =
        heap(&[alloc(1_100, 0x10, 1, 1), on(2, alloc(1_200, 0x10, 2, 2)), on(2, free(1_203, 0x10)), free(1_205, 0x10)]);
    let temporary = |stack| exactly(&site(&heap, stack).temporary.expect("exact captures know"));
    assert_eq!((temporary(1), temporary(2), heap.repairs.pulled_frees), ((1, 1), (2, 1), 1));
}

#[test]
fn an_address_allocated_twice_without_a_free_lives_once() {
    let heap = heap(&[alloc(1_100, 0x10, 10, 1), alloc(1_200, 0x10, 20, 2)]);
    assert_eq!(heap.repairs.unseen_frees, 1);
    assert_eq!(exactly(&site(&heap, 1).live), (0, 0));
    assert_eq!(exactly(&site(&heap, 2).live), (20, 1));
    assert!(heap.warnings[0].contains("taken to be freed"), "{:?}", heap.warnings);
}

#[test]
fn frees_from_before_the_session_are_counted_and_harmless() {
    let heap = heap(&[free(1_100, 0x10), alloc(1_200, 0x10, 5, 1)]);
    assert_eq!(heap.repairs.unknown_frees, 1);
    assert!(heap.warnings.is_empty());
}

#[test]
fn threads_are_put_in_order_across_chunks_and_watermarks() {
    // Thread 2's chunk is written first, though thread 1's allocation came before its free.
    let mut builder = CaptureBuilder::exact();
    builder.stacks(2).watermark(1_050);
    builder.events(&[on(2, free(1_150, 0x10)), on(2, alloc(1_160, 0x10, 3, 2))]).watermark(1_200);
    builder.events(&[alloc(1_100, 0x10, 10, 1)]).watermark(1_300).watermark(1_400).end(2_000);
    let heap = replay(&mut builder, ReplayOptions::default());
    assert_eq!(exactly(&site(&heap, 1).live), (0, 0));
    assert_eq!(exactly(&site(&heap, 2).live), (3, 1));
    assert_eq!((heap.repairs.unknown_frees, heap.repairs.late_events), (0, 0));
}

#[test]
fn events_of_one_thread_keep_their_order_when_its_clock_jumps_back() {
    let heap = heap(&[alloc(1_200, 0x10, 10, 1), free(1_150, 0x10), alloc(1_180, 0x10, 20, 2)]);
    assert_eq!((heap.repairs.unknown_frees, heap.repairs.unseen_frees, heap.repairs.pulled_frees), (0, 0, 0));
    assert_eq!((exactly(&site(&heap, 1).live), exactly(&site(&heap, 2).live)), ((0, 0), (20, 1)));
}

#[test]
fn live_figures_at_other_moments() {
    let events = [alloc(1_100, 0x10, 100, 1), alloc(1_200, 0x20, 50, 2), free(1_300, 0x10)];
    let at = |moment| replay(&mut exact(&events, 10_000), ReplayOptions { moment, ..ReplayOptions::default() });
    // 200 ns after the start is tick 1,200: both live. One nanosecond earlier only the first is.
    let now = at(Moment::Time(200));
    assert_eq!(now.sum(|site| site.live).bytes, 150);
    assert_eq!(site(&now, 1).ages.map(|ages| ages.oldest_ns), Some(100));
    assert_eq!(now.moment_ns, 200);
    assert_eq!(at(Moment::Time(199)).sum(|site| site.live).bytes, 100);
    assert_eq!(at(Moment::Peak).sum(|site| site.live).bytes, 150);
    assert_eq!(at(Moment::End).sum(|site| site.live).bytes, 50);
    // Later than the end is the end.
    assert_eq!(at(Moment::Time(u64::MAX)).moment_ns, 9_000);
    assert_eq!(at(Moment::Time(u64::MAX)).sum(|site| site.live).bytes, 50);
}

#[test]
fn a_range_holds_what_was_allocated_in_it_and_outlived_it() {
    let events = [
        alloc(1_100, 0x10, 1, 1), // before the range
        alloc(1_200, 0x20, 2, 1), // in it, freed in it
        free(1_250, 0x20),
        alloc(1_300, 0x30, 4, 1), // in it, freed after it
        alloc(1_400, 0x40, 8, 1), // at its last moment
        free(1_500, 0x30),
        alloc(1_600, 0x50, 16, 1), // after it
    ];
    let range = Some(Range { from_ns: 200, to_ns: 400 });
    let heap =
        replay(&mut exact(&events, 10_000), ReplayOptions { moment: Moment::End, range, ..ReplayOptions::default() });
    let one = site(&heap, 1);
    assert_eq!(exactly(&one.total), (14, 3));
    assert_eq!(exactly(&one.freed), (2, 1));
    assert_eq!(exactly(&one.live), (12, 2));
    // 4 bytes live since 1,300 at the range's end 1,400.
    assert_eq!(one.ages.map(|ages| (ages.oldest_ns, ages.youngest_ns)), Some((100, 0)));
    // Of the range's blocks the most live together at its end: 4 + 8. The peak of the process, 1 + 8 + 16 = 25 at 1,600, is
    // not to be seen from there, and there are no counters that would tell it.
    assert_eq!((exactly(&heap.peak.recorded), exactly(&one.at_peak)), ((12, 2), (12, 2)));
    assert_eq!((heap.peak.live_bytes.low, heap.peak.live_bytes.high), (0, None));
}

#[test]
fn lifetimes_of_survivors_stand_apart() {
    let heap = heap(&[alloc(1_100, 0x10, 5, 1), free(1_105, 0x10), alloc(2_000, 0x20, 7, 1)]);
    // 5 ns is in bucket 2 (4 to 7); the survivor is 8,000 ns old at 10,000: bucket 12 (4,096 to 8,191).
    assert_eq!(heap.lifetimes.completed.buckets()[2].bytes, 5);
    assert_eq!(heap.lifetimes.censored.buckets()[12].bytes, 7);
    assert_eq!(heap.ages.0.buckets()[12].bytes, 7);
    let all = |histogram: &super::Histogram| histogram.buckets().iter().map(|bucket| bucket.blocks).sum::<u64>();
    assert_eq!((all(&heap.lifetimes.completed), all(&heap.lifetimes.censored)), (1, 1));
}

#[test]
fn thinned_samples_are_forgotten_or_stand_for_more() {
    let sample = |ticks, address, size, stack| Event { interval_bytes: 1_000, ..alloc(ticks, address, size, stack) };
    let mut builder = CaptureBuilder::sampled(1_000);
    builder.stacks(3).events(&[sample(1_100, 0x10, 100, 1), sample(1_200, 0x20, 100, 2)]);
    builder.record(Record::Thinning(Thinning {
        ticks: 1_300,
        from_interval_bytes: 1_000,
        to_interval_bytes: 2_000,
        kept: vec![0x10],
        dropped: vec![0x20],
    }));
    let heap = replay(builder.end(2_000), ReplayOptions::default());
    // p = 1 − e^−0.1 = 0.0951626, so 100 / p = 1050.83; with twice the interval p = 0.0487706, 100 / p = 2050.42.
    assert_eq!(site(&heap, 1).total.estimated_bytes(), 1_051);
    assert_eq!(site(&heap, 1).live.estimated_bytes(), 2_050);
    assert_eq!(site(&heap, 2).total.estimated_bytes(), 1_051);
    assert!(site(&heap, 2).live.is_empty());
    assert_eq!(exactly_blocks(&site(&heap, 2).freed), 0);
    assert_eq!(site(&heap, 1).temporary, None);
    assert_eq!(heap.interval_bytes, 2_000);
}

fn exactly_blocks(tally: &Tally) -> u64 {
    tally.blocks
}

#[test]
fn a_lone_half_of_a_sampled_reallocation_counts_by_itself() {
    let sample = |event: Event| Event { interval_bytes: 1_000, ..event };
    let mut builder = CaptureBuilder::sampled(1_000);
    builder.stacks(3).events(&[
        sample(alloc(1_100, 0x10, 100, 1)),
        as_kind(EventKind::ReallocFree, free(1_110, 0x10)), // its new block is no sample
        sample(alloc(1_120, 0x20, 100, 2)),
        as_kind(EventKind::ReallocAlloc, sample(alloc(1_130, 0x30, 100, 3))), // its old block was none
    ]);
    let heap = replay(builder.end(2_000), ReplayOptions::default());
    let blocks = |stack| (site(&heap, stack).freed.blocks, site(&heap, stack).live.blocks);
    assert_eq!([blocks(1), blocks(2), blocks(3)], [(1, 0), (0, 1), (0, 1)]);
}

#[test]
fn lost_frees_lower_what_is_sure_to_live() {
    let events = [alloc(1_100, 0x10, 100, 1), alloc(1_900, 0x20, 40, 1)];
    let lossy = |freed_bytes| {
        let mut builder = exact(&events, 2_000);
        builder.record(Record::Loss(Loss {
            from_ticks: 1_200,
            to_ticks: 1_300,
            cause: LossCause::WriterBehind,
            allocations: 2,
            bytes: 30,
            frees: 1,
            freed_bytes,
        }));
        replay(&mut builder, ReplayOptions::default())
    };
    // 140 live; the block of 100 may have been freed unseen, of which 60 bytes are known to be lost; 30 more may live.
    assert_eq!(site(&lossy(60), 1).live.measure_bytes(), Measure { value: 140, low: 80, high: Some(170) });
    // With unknown lost bytes all that is old enough is unsure.
    assert_eq!(site(&lossy(0), 1).live.measure_bytes(), Measure { value: 140, low: 40, high: Some(170) });
    assert_eq!(site(&lossy(0), 1).live.measure_blocks(), Measure { value: 2, low: 1, high: Some(4) });
    assert_eq!(site(&lossy(0), 1).total.measure_bytes(), Measure { value: 140, low: 140, high: Some(170) });
}

#[test]
fn the_peak_of_an_exact_capture_includes_what_was_there_before() {
    let mut header = crate::testing::header(plimsoll_format::Mode::Exact, 1);
    header.before = Totals { allocations: 10, bytes: 1_000, frees: 4, freed_bytes: 300, reallocations: 0 };
    let mut builder = CaptureBuilder::with_header(header.clone());
    builder.stacks(1).events(&[alloc(1_100, 0x10, 50, 1)]);
    let totals = Totals { allocations: 11, bytes: 1_050, frees: 4, freed_bytes: 300, reallocations: 0 };
    builder.record(Record::Counters(counters(1_200, totals, 750))).end(2_000);
    let heap = replay(&mut builder, ReplayOptions::default());
    // 700 live before, 50 more.
    assert_eq!(heap.peak.live_bytes, Measure::exact(750));
    // Some of the 700 were freed in the session, nobody knows how many; the counters saw at least 740.
    let mut builder = CaptureBuilder::with_header(header);
    builder.stacks(1).events(&[free(1_050, 0x99), alloc(1_100, 0x10, 50, 1)]);
    builder.record(Record::Counters(counters(1_200, totals, 740))).end(2_000);
    let heap = replay(&mut builder, ReplayOptions::default());
    assert_eq!(heap.peak.live_bytes, Measure { value: 750, low: 740, high: Some(750) });
}

#[test]
fn equal_stacks_under_two_ids_are_one_site() {
    use plimsoll_format::StackNode;
    let node = |id, parent, address| StackNode { id, parent, address };
    let mut builder = CaptureBuilder::exact();
    builder.record(Record::StackNodes(vec![node(1, 0, 7), node(2, 0, 7), node(3, 1, 8), node(4, 2, 8)]));
    builder.events(&[alloc(1_100, 0x10, 1, 3), alloc(1_200, 0x20, 2, 4), alloc(1_300, 0x30, 4, 77)]).end(2_000);
    let heap = replay(&mut builder, ReplayOptions::default());
    assert_eq!(exactly(&site(&heap, 3).total), (3, 2));
    // Stack 77 is defined nowhere.
    assert_eq!(exactly(&site(&heap, 0).total), (4, 1));
    assert_eq!(heap.sites.len(), 2);
}
