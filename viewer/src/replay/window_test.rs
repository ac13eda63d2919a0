//! Windows: a part of a capture gives the figures that a plain model gives, and passing over what is not needed changes
//! nothing.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use plimsoll_format::{Event, EventKind, Record};
use proptest::prelude::*;

use crate::capture::{self, Capture, Events, Found, LoadOptions};
use crate::model::Tally;
use crate::testing::{CaptureBuilder, START};

use super::figure::Plain;
use super::model_test::{Model, Written, operation, run, write_chunks};
use super::window::Window;
use super::{Heap, Moment, Range, ReplayOptions};

/// Time between two operations is stretched, so that clocks may differ by less or by more than it.
fn stretched(model: &mut Model, factor: u64) {
    let stretch = |ticks: u64| START + (ticks - START) * factor;
    for item in &mut model.written {
        match item {
            Written::Event(event) => event.ticks = stretch(event.ticks),
            Written::Watermark { ticks, .. } => *ticks = stretch(*ticks),
            Written::Flush(_) => {}
        }
    }
    model.now = stretch(model.now);
}

fn events(model: &Model) -> impl Iterator<Item = &Event> {
    model.written.iter().filter_map(|item| if let Written::Event(event) = item { Some(event) } else { None })
}

/// Bytes and blocks allocated, freed and live, by stack and thread.
type Figures = BTreeMap<(u32, u32), [(u64, u64); 3]>;

/// What a range holds, by following every event up to its end.
fn truth(model: &Model, from: u64, to: u64) -> Figures {
    #[derive(Clone, Copy)]
    struct Block {
        size: u64,
        site: (u32, u32),
        counts: bool,
    }
    let mut figures = Figures::new();
    let (mut live, mut held) = (HashMap::<u64, Block>::new(), HashMap::<u32, (u64, Block)>::new());
    let add = |figures: &mut Figures, block: &Block, figure: usize| {
        if block.counts {
            let sum = &mut figures.entry(block.site).or_default()[figure];
            *sum = (sum.0 + block.size, sum.1 + 1);
        }
    };
    for event in events(model).take_while(|event| event.ticks <= to) {
        match event.kind {
            EventKind::Alloc | EventKind::ReallocAlloc => {
                if let Some((_, old)) = held.remove(&event.thread) {
                    add(&mut figures, &old, 1);
                }
                let counts = event.ticks >= from;
                let block = Block { size: event.size_bytes, site: (event.stack, event.thread), counts };
                add(&mut figures, &block, 0);
                live.insert(event.address, block);
            }
            EventKind::Free => {
                let block = live.remove(&event.address).expect("the model frees what lives");
                add(&mut figures, &block, 1);
            }
            EventKind::ReallocFree => {
                let block = live.remove(&event.address).expect("the model moves what lives");
                held.insert(event.thread, (event.address, block));
            }
            EventKind::ReallocUndo => {
                let (address, block) = held.remove(&event.thread).expect("it had begun");
                live.insert(address, block);
            }
        }
    }
    // The block of a reallocation under way lives.
    live.values().chain(held.values().map(|(_, block)| block)).for_each(|block| add(&mut figures, block, 2));
    figures
}

fn figures(heap: &Heap) -> Figures {
    let exact = |tally: &Tally| (tally.bytes, tally.blocks);
    let figures = |site: &super::Site| [exact(&site.total), exact(&site.freed), exact(&site.live)];
    heap.sites.iter().map(|site| ((site.stack.0, site.thread.0), figures(site))).collect()
}

/// The capture of a model, chunks of events behind spans.
fn save(model: &Model, mut builder: CaptureBuilder, folder: &Path) -> std::path::PathBuf {
    let interval_bytes = builder.header.interval_bytes;
    let chunk = |builder: &mut CaptureBuilder, events: &[Event]| {
        let events: Vec<Event> = events.iter().map(|event| Event { interval_bytes, ..*event }).collect();
        builder.spanned_events(&events);
    };
    write_chunks(&mut builder, &model.written, &chunk);
    builder.end(model.now + 1).save(folder, "model.plim")
}

fn open(path: &Path, events: Events) -> Capture {
    capture::open(path, &LoadOptions { events, ..LoadOptions::default() }).expect("it is a capture")
}

/// What is asked for: a range, or a moment, at parts of the capture's length.
fn asked(model: &Model, (from, to): (u64, u64), is_range: bool) -> ReplayOptions {
    let part = |thousandth: u64| (model.now + 1 - START) * thousandth / 1_000;
    let (from_ns, to_ns) = (part(from.min(to)), part(from.max(to)));
    let range = is_range.then_some(Range { from_ns, to_ns });
    ReplayOptions { moment: Moment::Time(to_ns), range, ..ReplayOptions::default() }
}

/// The replay that reads every block.
fn without_spans(capture: &Capture, options: &ReplayOptions) -> Heap {
    let window = Window::of(&capture.profile, options);
    let replay = |window| {
        if capture.profile.is_exact() {
            capture.replay_blocks::<Plain>(options, window, &|_, _| true)
        } else {
            capture.replay_blocks::<Tally>(options, window, &|_, _| true)
        }
    };
    match replay(window).expect("the file is there") {
        (heap, 0) => heap,
        _ => replay(window.with_past()).expect("the file is there").0,
    }
}

fn check_same(one: &Heap, other: &Heap) {
    assert_eq!(format!("{one:?}"), format!("{other:?}"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_window_holds_what_a_plain_model_says(
        operations in prop::collection::vec(operation(), 1..200),
        factor in prop_oneof![Just(1u64), Just(500)],
        part in (0..=1_000u64, 0..=1_000u64),
        is_range in any::<bool>(),
    ) {
        let mut model = run(&operations);
        stretched(&mut model, factor);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = save(&model, CaptureBuilder::exact(), folder.path());
        let options = asked(&model, part, is_range);
        let whole = open(&path, Events::All);
        let heap = whole.replay(&options).expect("the file is there");
        let Range { from_ns, to_ns } = options.range.unwrap_or(Range { from_ns: 0, to_ns: heap.moment_ns });
        prop_assert_eq!(figures(&heap), truth(&model, START + from_ns, START + to_ns));
        check_same(&heap, &without_spans(&whole, &options));
        // Opened for that window alone, the capture says the same.
        let part = open(&path, options.events(&whole.profile));
        check_same(&heap, &part.replay(&options).expect("the file is there"));
        prop_assert_eq!(&part.profile.warnings, &whole.profile.warnings);
        let nothing = open(&path, Events::None).profile;
        prop_assert_eq!(nothing.duration_ns, whole.profile.duration_ns);
    }

    #[test]
    fn samples_and_damage_change_nothing(
        operations in prop::collection::vec(operation(), 1..150),
        is_exact in any::<bool>(),
        part in (0..=1_000u64, 0..=1_000u64),
        is_range in any::<bool>(),
        hurt in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut model = run(&operations);
        stretched(&mut model, 500);
        let folder = tempfile::tempdir().expect("a temporary folder");
        let builder = if is_exact { CaptureBuilder::exact() } else { CaptureBuilder::sampled(1_000) };
        let path = save(&model, builder, folder.path());
        let mut bytes = std::fs::read(&path).expect("it was written");
        let spared = 300.min(bytes.len() - 1);
        for (at, byte) in hurt {
            let rest = &mut bytes[spared..];
            rest[at.index(rest.len())] = byte;
        }
        if let Some(at) = cut {
            bytes.truncate(spared + at.index(bytes.len() - spared));
        }
        std::fs::write(&path, &bytes).expect("it can be written");
        // Without its header it is no capture.
        let Ok(capture) = capture::open(&path, &LoadOptions::default()) else { return Ok(()) };
        let options = asked(&model, part, is_range);
        check_same(&capture.replay(&options).expect("the file is there"), &without_spans(&capture, &options));
    }
}

/// Blocks that are read, by sequence number, and the bytes of all.
fn blocks_read(capture: &Capture, options: &ReplayOptions) -> Vec<u64> {
    let window = Window::of(&capture.profile, options);
    let mut read = Vec::new();
    let take = &mut |found: Found<'_, ()>| {
        if let Found::Block { header, fate: capture::BlockFate::Kept, .. } = found {
            read.push(header.sequence);
        }
    };
    capture
        .scan_as(&|first, last| window.reads_any(first, last), &capture::each(drop), take)
        .expect("the file is there");
    read
}

#[test]
fn what_is_not_needed_is_not_read() {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(1).block();
    let at = |number: u64| START + 10_000 * number;
    for number in 1..=5 {
        builder.spanned_events(&[crate::testing::alloc(at(number), 0x10 * number, 10, 1)]);
    }
    builder.record(Record::Watermark { ticks: at(6) }).end(at(6));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = builder.save(folder.path(), "a.plim");
    let capture = open(&path, Events::All);
    let read = |from: u64, to: u64| {
        let range = Some(Range { from_ns: 10_000 * from, to_ns: 10_000 * to });
        blocks_read(&capture, &ReplayOptions { moment: Moment::End, range, ..ReplayOptions::default() })
    };
    // 0 is the opening, 11 the end; 1, 3, 5, 7, 9 are spans; 2, 4, 6, 8, 10 their blocks.
    let (all, without) = ((0..=11).collect::<Vec<u64>>(), |left_out: &[u64]| {
        (0..=11).filter(|number| !left_out.contains(number)).collect::<Vec<u64>>()
    });
    assert_eq!(read(0, 6), all);
    assert_eq!(read(2, 3), without(&[2, 8, 10]));
    assert_eq!(read(5, 6), without(&[2, 4, 6, 8]));
    // A moment needs nothing that comes after it.
    let until = ReplayOptions { moment: Moment::Time(25_000), ..ReplayOptions::default() };
    assert_eq!(blocks_read(&capture, &until), without(&[6, 8, 10]));
    assert_eq!(blocks_read(&capture, &ReplayOptions::default()), all);
}
