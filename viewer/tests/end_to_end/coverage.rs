//! How often the stated 95 % interval holds the truth, over many seeds.

use crate::expected;
use crate::programs::{self, Mode, Run};
use crate::reports::Report;

const SEEDS: u64 = 200;

#[test]
fn the_stated_interval_of_the_service_holds_the_truth_as_often_as_stated() {
    let truth = expected::of("axum_sessions")
        .into_iter()
        .find(|row| row.function == "remember_session" && row.number == "live_bytes")
        .expect("the table says what the sessions hold");
    let holds = |seed: u64| {
        // 32,768,000 / 262,144 = 125 samples on average.
        let mode = Mode::Sampled { interval_bytes: 256 << 10, seed };
        let output = programs::run("axum_sessions", &Run { mode, ..Run::default() });
        Report::of(&output.capture).sum(&truth.function, &truth.number).holds(truth.value)
    };
    // Two at a time: even and odd seeds.
    let held = std::thread::scope(|scope| {
        let halves =
            [1, 2].map(|first| scope.spawn(move || (first..=SEEDS).step_by(2).filter(|seed| holds(*seed)).count()));
        halves.into_iter().map(|half| half.join().expect("every run succeeds")).sum::<usize>()
    });
    // Of 200 runs, 190 are expected, give or take 3.1 (√(200 · 0.95 · 0.05)): 180 is 3.2 of these away; 199 or more
    // happen 4 times in 10,000.
    assert!((180..=198).contains(&held), "{held} of {SEEDS} intervals hold the truth");
}
