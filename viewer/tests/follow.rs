//! Follows captures that grow, as the live views do.
#![forbid(unsafe_code)]

use std::time::Duration;

use plimsoll_viewer::follow::{FollowOptions, Follower, State, Target};

#[path = "support/mod.rs"]
mod support;

use support::{CaptureBuilder, START, counters};

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn an_ended_capture_is_read_and_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let mut builder = CaptureBuilder::exact();
    let totals = plimsoll_format::Totals { allocations: 3, bytes: 300, ..Default::default() };
    builder.stacks(1).events(&[support::alloc(START + 1, 64, 300, 1)]);
    builder.record(plimsoll_format::Record::Counters(counters(START + 1_000, totals, 300)));
    let path = builder.watermark(START + 2_000).end(START + 2_000).save(folder.path(), "a.plim");
    let follower = Follower::start(FollowOptions {
        targets: vec![Target::named(&path)],
        every: Duration::from_millis(200),
        ..FollowOptions::default()
    })
    .unwrap();
    let mut picture = follower.wait(0, PATIENCE).expect("a picture comes");
    while picture.captures[0].look.is_none() {
        picture = follower.wait(picture.number, PATIENCE).expect("a picture comes");
    }
    let followed = &picture.captures[0];
    assert_eq!((followed.state, followed.program.as_str()), (State::Ended, "service"));
    assert_eq!(followed.latest.live_bytes().unwrap().value, 300);
    assert_eq!(followed.look.as_ref().unwrap().summary.totals.live_bytes.value, 300);
    assert!(picture.system.total_bytes > 0);
}
