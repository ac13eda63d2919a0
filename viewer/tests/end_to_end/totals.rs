//! Totals against an independent count below Plimsoll, to the byte, in both modes and with 2 to 16 threads.

use serde_json::Value;

use crate::programs::{self, Mode, Output, Run};
use crate::reports::{Estimate, Report};
use crate::{OTHERS, PROGRAMS};

const MODES: [Mode; 2] = [Mode::Exact, Mode::Sampled { interval_bytes: 512 << 10, seed: 1 }];

fn count(oracle: &Value, side: &str, number: &str) -> u64 {
    oracle[side][number].as_u64().unwrap_or_else(|| panic!("no {side}.{number} in {oracle}"))
}

/// What reached the inner allocator is the program's and the agent's own, and the capture says the same.
fn check(what: &str, output: &Output) {
    let oracle = output.oracle.as_ref().unwrap_or_else(|| panic!("{what} prints no oracle"));
    for number in ["allocations", "bytes", "freed_bytes"] {
        let sum = count(oracle, "program", number) + count(oracle, "agent", number);
        assert_eq!(count(oracle, "inner", number), sum, "{number} of {what}: {oracle}");
    }
    let report = Report::of(&output.capture);
    for number in ["allocations", "bytes", "frees", "freed_bytes"] {
        let counted = count(oracle, "recorded", number);
        assert_eq!(report.total(number), Estimate::exact(counted), "{number} of {what}");
    }
}

#[test]
fn totals_equal_the_independent_count() {
    // The groups of tracking-allocator are that crate's own allocator, which drops nested events.
    for program in PROGRAMS.into_iter().chain(OTHERS).filter(|program| *program != "tracking_groups") {
        for mode in MODES {
            check(&format!("{program} in {mode:?}"), &programs::run(program, &Run { mode, ..Run::default() }));
        }
    }
}

#[test]
fn totals_hold_with_2_to_16_threads() {
    for pairs in ["1", "2", "4", "8"] {
        for mode in MODES {
            let output = programs::run("thread_queue", &Run { mode, arguments: &[pairs], ..Run::default() });
            check(&format!("{pairs} pairs of threads in {mode:?}"), &output);
        }
    }
}
