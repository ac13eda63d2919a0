//! Verdicts on captures made by hand. Ticks are nanoseconds and start at 1,000.

use plimsoll_format::{Event, Loss, LossCause, Record};

use crate::capture::{self, LoadOptions};
use crate::replay::ReplayOptions;
use crate::testing::{CaptureBuilder, alloc, free};

use super::judge::judge;
use super::simulated::{Life, context, series};
use super::{Class, Verdict, verdicts};

/// The verdict on each site of a capture that ends at 101,000, in the order of their first allocations.
fn judged(events: &[Event], loss: Option<Loss>) -> Vec<Verdict> {
    let mut builder = CaptureBuilder::exact();
    builder.stacks(9).events(events);
    if let Some(loss) = loss {
        builder.record(Record::Loss(loss));
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = builder.end(101_000).save(folder.path(), "test.plim");
    let capture = capture::open(path, &LoadOptions::default()).expect("it is a capture");
    let heap = capture.replay(&ReplayOptions::default()).expect("the file is still there");
    let sites: Vec<[usize; 1]> = (0..heap.sites.len()).map(|site| [site]).collect();
    verdicts(&capture.profile, &heap, sites.iter().map(|site| site.as_slice()))
}

/// 100 blocks of 1,000 bytes, one each 1,000 ns from the start on, that stay.
fn leak() -> Vec<Event> {
    (0..100).map(|at| alloc(1_000 + at * 1_000, 0x1_0000 + at * 0x1000, 1_000, 1)).collect()
}

#[test]
fn a_steady_leak_has_its_rate() {
    let verdicts = judged(&leak(), None);
    assert_eq!(verdicts[0].class, Class::Leak);
    let rate = verdicts[0].rate.expect("a leak has a rate");
    // 1,000 bytes each µs are 1e9 bytes a second.
    assert!(rate.low <= 1e9 && 1e9 <= rate.high, "{rate:?}");
    assert!((rate.value / 1e9 - 1.0).abs() < 0.03, "{rate:?}");
}

#[test]
fn the_same_blocks_freed_in_turn_are_churn() {
    let events: Vec<Event> =
        leak().into_iter().flat_map(|event| [event, free(event.ticks + 900, event.address)]).collect();
    let verdicts = judged(&events, None);
    assert_eq!((verdicts[0].class, verdicts[0].rate), (Class::Churn, None));
}

#[test]
fn lost_frees_accuse_nobody() {
    let loss = |frees, to_ticks| Loss {
        from_ticks: to_ticks - 100,
        to_ticks,
        cause: LossCause::WriterBehind,
        allocations: 0,
        bytes: 0,
        frees,
        freed_bytes: frees * 1_000,
    };
    let class = |loss| judged(&leak(), Some(loss))[0].class;
    // 80 of the 100 blocks may have been freed unseen; ten may, or only those of the first tenth.
    assert_eq!(class(loss(80, 100_000)), Class::TooLittleEvidence);
    assert_eq!(class(loss(10, 100_000)), Class::Leak);
    assert_eq!(class(loss(80, 11_000)), Class::Leak);
}

#[test]
fn a_level_that_rises_in_a_bend_is_called_neither_leak_nor_healthy() {
    // A log that is moved 400 times: its size grows with the power 0.7 of time, so that the second half adds
    // 1 − 0.5^0.7 = 0.38 of it and the first 0.62.
    let moves = (0..400u32).map(|at| {
        let born = f64::from(at) * 0.25;
        let dies = if at == 399 { f64::INFINITY } else { born + 0.25 };
        Life { born, dies, bytes: 100.0 * f64::from(at + 1).powf(0.7) }
    });
    let verdict = judge(&series(&moves.collect::<Vec<_>>(), 100.0), &context(1, 1.0));
    assert_eq!(verdict.class, Class::TooLittleEvidence, "{}", verdict.reason);
    // It has reached 100 × 400^0.7 = 6,628 bytes, 66 a second.
    assert!(verdict.hidden_rate.is_some_and(|rate| rate > 60.0), "{:?}", verdict.hidden_rate);
}
