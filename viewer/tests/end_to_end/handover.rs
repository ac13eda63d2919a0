//! An address that goes to and fro between threads: no hand-over may look like a leak, whatever the clocks say.

use crate::programs::{self, Mode, Run};
use crate::reports::{Estimate, Report};

/// 10,000,000 of them take a minute; `PLIMSOLL_HAND_OVERS` asks for as many.
const HAND_OVERS: &str = "1000000";

#[test]
fn an_address_handed_between_threads_leaves_no_false_live_block() {
    let turns = std::env::var("PLIMSOLL_HAND_OVERS").unwrap_or_else(|_| HAND_OVERS.into());
    let output = programs::run("handover", &Run { mode: Mode::Exact, arguments: &[&turns], ..Run::default() });
    let report = Report::of(&output.capture);
    let turns = turns.parse().expect("a number of hand-overs");
    assert_eq!(report.sum("next_block", "total_allocations"), Estimate::exact(turns));
    assert_eq!(report.sum("next_block", "live_allocations"), Estimate::exact(0));
    assert_eq!(report.sum("next_block", "live_bytes"), Estimate::exact(0));
}
