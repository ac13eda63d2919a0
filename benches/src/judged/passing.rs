//! What comes and goes, in teeth, batches, spikes and with the load.

use super::stage::{Block, Stage, Until, sites};
use super::{Class, Program, Truth};

const PASSES: &[Class] = &[Class::Bounded];

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "sawtooth",
        about: "grows by 4 KiB a step and is emptied every 50 steps",
        steps: 475,
        short: &[80, 120],
        truths: &[Truth::of("grow_tooth", Class::Churn).also(PASSES).known(200).blind(51)],
        run: sawtooth,
    },
    Program {
        name: "sawtooth-at-random",
        about: "grows by 4 KiB a step and is emptied after 20 to 60 steps, by chance, down to a tenth",
        steps: 500,
        short: &[],
        truths: &[Truth::of("grow_uneven_tooth", Class::Churn).also(PASSES).known(250)],
        run: sawtooth_at_random,
    },
    Program {
        name: "periodic-batch",
        about: "every 60 steps a batch of 192 KiB, which is held for 15 steps",
        steps: 465,
        short: &[],
        truths: &[Truth::of("load_batch", Class::Churn).also(PASSES).known(180)],
        run: periodic_batch,
    },
    Program {
        name: "one-spike",
        about: "requests come and go; after two thirds of the run a report needs 400 KiB for 20 steps",
        steps: 400,
        short: &[],
        truths: &[
            Truth::of("make_report", Class::Churn).also(&[Class::Bounded, Class::OneShot]).known(401),
            Truth::of("usual_request", Class::Churn).also(PASSES),
        ],
        run: one_spike,
    },
    Program {
        name: "spike-at-the-end",
        about: "requests come and go; the capture ends in the middle of a report of 400 KiB",
        steps: 400,
        short: &[],
        truths: &[
            Truth::of("last_report", Class::Churn).also(&[Class::Bounded, Class::OneShot]).known(500),
            Truth::of("common_request", Class::Churn).also(PASSES),
        ],
        run: spike_at_the_end,
    },
    Program {
        name: "load-that-rises",
        about: "every request lives 5 to 15 steps; more and more come, five times as many at the end",
        steps: 400,
        short: &[],
        truths: &[Truth::of("serve_more", Class::Churn).also(PASSES).known(401)],
        run: load_that_rises,
    },
    Program {
        name: "load-that-steps-up",
        about: "every request lives 5 to 15 steps; from half of the run on there are three times as many",
        steps: 500,
        short: &[],
        truths: &[Truth::of("serve_step", Class::Churn).also(PASSES).known(400)],
        run: load_that_steps_up,
    },
    Program {
        name: "steady-churn",
        about: "20 requests of 2 KiB a step, which live for 10 steps on average",
        steps: 300,
        short: &[100],
        truths: &[Truth::of("serve_steadily", Class::Churn).also(PASSES)],
        run: steady_churn,
    },
    Program {
        name: "long-lived-sessions",
        about: "sessions that live for 40 steps on average, some of them for 200",
        steps: 600,
        short: &[60],
        truths: &[Truth::of("hold_session", Class::Churn).also(PASSES).known(400)],
        run: long_lived_sessions,
    },
];

sites! {
    grow_tooth = 0;
    grow_uneven_tooth = 0;
    load_batch = 0;
    make_report = 0;
    usual_request = 1;
    last_report = 0;
    common_request = 1;
    serve_more = 0;
    serve_step = 0;
    serve_steadily = 0;
    hold_session = 0;
}

const ROOM: usize = 1 << 12;

fn sawtooth(stage: &mut Stage) {
    let mut tooth = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        if step % 50 == 49 {
            tooth.clear();
        }
        tooth.extend((0..4).map(|_| grow_tooth(1024)));
    }
}

fn sawtooth_at_random(stage: &mut Stage) {
    let (mut tooth, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut end = 30;
    while let Some(step) = stage.next() {
        if step == end {
            drop(tooth.drain(..tooth.len() * 9 / 10));
            end = step + chance.between(20, 60);
        }
        tooth.extend((0..4).map(|_| grow_uneven_tooth(1024)));
    }
}

fn periodic_batch(stage: &mut Stage) {
    let mut batch = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        match step % 60 {
            5 => batch.extend((0..192).map(|_| load_batch(1024))),
            20 => batch.clear(),
            _ => {}
        }
    }
}

/// Requests beside the site that matters.
fn requests(stage: &mut Stage, make: fn(usize) -> Block, mut and: impl FnMut(u32)) {
    let mut chance = stage.chance(0);
    let mut requests = Until::with_capacity(512);
    while let Some(step) = stage.next() {
        requests.drop_due(step);
        (0..10).for_each(|_| requests.keep(step + chance.between(2, 12), make(2048)));
        and(step);
    }
}

fn one_spike(stage: &mut Stage) {
    let mut report = Vec::with_capacity(ROOM);
    requests(stage, usual_request, |step| match step {
        260 => report.extend((0..400).map(|_| make_report(1024))),
        280 => report.clear(),
        _ => {}
    });
}

fn spike_at_the_end(stage: &mut Stage) {
    let mut report = Vec::with_capacity(ROOM);
    requests(stage, common_request, |step| {
        if (385..395).contains(&step) {
            report.extend((0..40).map(|_| last_report(1024)));
        }
    });
}

/// As many requests as `load` says, each for 5 to 15 steps.
fn under_load(stage: &mut Stage, make: fn(usize) -> Block, load: fn(u32) -> u32) {
    let mut chance = stage.chance(0);
    let mut requests = Until::with_capacity(2048);
    while let Some(step) = stage.next() {
        requests.drop_due(step);
        (0..load(step)).for_each(|_| requests.keep(step + chance.between(5, 15), make(1024)));
    }
}

fn load_that_rises(stage: &mut Stage) {
    under_load(stage, serve_more, |step| 8 + step / 12);
}

fn load_that_steps_up(stage: &mut Stage) {
    under_load(stage, serve_step, |step| if step < 250 { 10 } else { 30 });
}

fn steady_churn(stage: &mut Stage) {
    let mut chance = stage.chance(0);
    let mut requests = Until::with_capacity(2048);
    while let Some(step) = stage.next() {
        requests.drop_due(step);
        (0..20).for_each(|_| requests.keep(step + chance.lifetime(10.0), serve_steadily(2048)));
    }
}

fn long_lived_sessions(stage: &mut Stage) {
    let mut chance = stage.chance(0);
    let mut sessions = Until::with_capacity(2048);
    while let Some(step) = stage.next() {
        sessions.drop_due(step);
        (0..4).for_each(|_| sessions.keep(step + chance.lifetime(40.0), hold_session(2048)));
    }
}
