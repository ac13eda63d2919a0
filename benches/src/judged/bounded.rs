//! What is allocated early, once, or in a step up, and then stays as it is.

use super::stage::{Block, Stage, Until, sites};
use super::{Class, Program, Truth};

const KEPT: &[Class] = &[Class::Bounded, Class::WarmUp, Class::OneShot];

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "warm-up",
        about: "models of 256 KiB in all are loaded in the first 20 steps; then requests come and go",
        steps: 300,
        short: &[16],
        truths: &[
            Truth::of("load_model", Class::WarmUp).also(KEPT).known(100).blind(25),
            Truth::of("answer_request", Class::Churn),
        ],
        run: warm_up,
    },
    Program {
        name: "warm-up-by-request",
        about: "each of 40 routes loads its 6 KiB when it is first asked for; most are in the first 60 steps",
        steps: 500,
        short: &[],
        truths: &[Truth::of("load_route", Class::WarmUp).also(KEPT).known(300).filling(6144.0)],
        run: warm_up_by_request,
    },
    Program {
        name: "one-shot",
        about: "one large buffer, made at a third of the run and kept",
        steps: 400,
        short: &[],
        truths: &[Truth::of("make_once", Class::OneShot).also(KEPT).known(300)],
        run: one_shot,
    },
    Program {
        name: "three-shots",
        about: "three large buffers, at the start, after a quarter and after half of the run: there may be more to come",
        steps: 400,
        short: &[],
        truths: &[Truth::of("make_thrice", Class::OneShot).also(KEPT).known(401)],
        run: three_shots,
    },
    Program {
        name: "leak-that-stops",
        about: "grows by 2 KiB a step for 150 steps and then never again",
        steps: 450,
        short: &[140],
        truths: &[Truth::of("grow_for_a_while", Class::Bounded).also(KEPT).known(350).blind(180)],
        run: leak_that_stops,
    },
    Program {
        name: "larger-settings",
        about: "a reload in the middle replaces settings of 64 KiB by settings of 160 KiB",
        steps: 400,
        short: &[],
        truths: &[Truth::of("load_settings", Class::Bounded).also(KEPT).known(401)],
        run: larger_settings,
    },
    Program {
        name: "two-steps-up",
        about: "three tenants are loaded, at the start, at 30 % and at 60 % of the run: 64 KiB each",
        steps: 400,
        short: &[],
        truths: &[Truth::of("load_tenant", Class::Bounded).also(KEPT).known(401)],
        run: two_steps_up,
    },
    Program {
        name: "one-table",
        about: "an immutable table of 500 rows, made in the first step",
        steps: 300,
        short: &[20],
        truths: &[Truth::of("make_row", Class::WarmUp).also(KEPT)],
        run: one_table,
    },
    Program {
        name: "shrinks",
        about: "a backlog of 400 KiB from the start is worked off by half, and the rest kept",
        steps: 400,
        short: &[],
        truths: &[Truth::of("old_work", Class::WarmUp).also(&[Class::Bounded, Class::OneShot, Class::Churn])],
        run: shrinks,
    },
];

sites! {
    load_model = 0;
    answer_request = 1;
    load_route = 0;
    make_once = 0;
    make_thrice = 0;
    grow_for_a_while = 0;
    load_settings = 0;
    load_tenant = 0;
    make_row = 0;
    old_work = 0;
}

const ROOM: usize = 1 << 12;

fn warm_up(stage: &mut Stage) {
    let (mut models, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut requests = Until::with_capacity(512);
    while let Some(step) = stage.next() {
        requests.drop_due(step);
        if step < 20 {
            models.extend((0..16).map(|_| load_model(820)));
        }
        (0..10).for_each(|_| requests.keep(step + chance.between(2, 12), answer_request(2048)));
    }
}

fn warm_up_by_request(stage: &mut Stage) {
    let mut routes: Vec<Option<Block>> = (0..40).map(|_| None).collect();
    let mut chance = stage.chance(0);
    while stage.next().is_some() {
        if let Some(route) = routes.get_mut(chance.below(40) as usize) {
            route.get_or_insert_with(|| load_route(6 << 10));
        }
    }
}

fn one_shot(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(4);
    while let Some(step) = stage.next() {
        kept.extend((step == 130).then(|| make_once(128 << 10)));
    }
}

fn three_shots(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(4);
    while let Some(step) = stage.next() {
        kept.extend([0, 100, 200].contains(&step).then(|| make_thrice(64 << 10)));
    }
}

fn leak_that_stops(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        kept.extend((step < 150).then(|| grow_for_a_while(2048)));
    }
}

fn larger_settings(stage: &mut Stage) {
    let mut settings: Vec<Block> = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        let entries = match step {
            0 => 64,
            200 => 160,
            _ => continue,
        };
        settings.clear();
        settings.extend((0..entries).map(|_| load_settings(1024)));
    }
}

fn two_steps_up(stage: &mut Stage) {
    let mut tenants = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        if [0, 120, 240].contains(&step) {
            tenants.extend((0..64).map(|_| load_tenant(1024)));
        }
    }
}

fn one_table(stage: &mut Stage) {
    let mut rows = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        if step == 0 {
            rows.extend((0..500).map(|_| make_row(512)));
        }
    }
}

fn shrinks(stage: &mut Stage) {
    let mut work = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        if step == 0 {
            work.extend((0..400).map(|_| old_work(1024)));
        }
        if work.len() > 200 {
            work.truncate(work.len() - 1);
        }
    }
}
