//! Leaks that go on at the same rate: fast and slow, alone and among blocks that are freed.

use super::stage::{Block, Stage, Until, sites};
use super::{Class, Program, Truth};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "leak-fast",
        about: "each request leaves four blocks of 512 bytes behind",
        steps: 300,
        short: &[12, 100],
        truths: &[Truth::leak("keep_request", 2048.0)],
        run: leak_fast,
    },
    Program {
        name: "leak-slow",
        about: "one block of 1 KiB stays behind every third step",
        steps: 400,
        short: &[40, 150],
        truths: &[Truth::leak("keep_report", 1024.0 / 3.0)],
        run: leak_slow,
    },
    Program {
        name: "leak-at-random",
        about: "a block of 1 KiB stays behind at every second step, by chance",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("keep_sometimes", 512.0)],
        run: leak_at_random,
    },
    Program {
        name: "leak-of-large-blocks",
        about: "a block of 48 KiB, many intervals at once, stays behind every twelfth step",
        steps: 400,
        short: &[20],
        truths: &[Truth::leak("keep_picture", 4096.0).known(150)],
        run: leak_of_large_blocks,
    },
    Program {
        name: "leak-of-tiny-blocks",
        about: "40 blocks of 16 bytes stay behind at each step",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("keep_number", 640.0)],
        run: leak_of_tiny_blocks,
    },
    Program {
        name: "leak-on-errors",
        about: "one request in 50 fails, and leaves its 4 KiB buffer behind; the others free theirs",
        steps: 400,
        short: &[40],
        truths: &[Truth::leak("buffer_of_failed", 327.68).known(150), Truth::of("buffer_of_request", Class::Churn)],
        run: leak_on_errors,
    },
    Program {
        name: "leak-under-churn",
        about: "of 40 blocks a step, 39 live for up to 10 steps and one for ever",
        steps: 400,
        short: &[40],
        truths: &[Truth::leak("store_result", 512.0).known(150)],
        run: leak_under_churn,
    },
    Program {
        name: "leak-among-sessions",
        about: "sessions expire after 40 steps on average; one in 16 never does",
        steps: 500,
        short: &[60],
        truths: &[Truth::leak("open_session", 512.0).known(300)],
        run: leak_among_sessions,
    },
    Program {
        name: "leak-below-noise",
        about: "a pool of 100 to 300 KiB swings by chance, and a leak adds 40 KiB to it: too little to be found",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("fill_pool", 102.4)],
        run: leak_below_noise,
    },
    Program {
        name: "leak-by-load",
        about: "requests come and go in waves, and one in ten leaves 1 KiB behind",
        steps: 480,
        short: &[60],
        truths: &[
            Truth::leak("keep_of_load", 819.2).known(240).blind(60),
            Truth::of("serve_load", Class::Churn).also(&[Class::Bounded]).known(240),
        ],
        run: leak_by_load,
    },
    Program {
        name: "leak-of-two-callers",
        about: "one helper allocates for an upload that leaks fast, a report that leaks slowly, a ping that does not",
        steps: 400,
        short: &[],
        truths: &[
            Truth::leak("take_upload", 1536.0),
            Truth::leak("write_report", 384.0),
            Truth::of("answer_ping", Class::Churn),
        ],
        run: leak_of_two_callers,
    },
];

sites! {
    keep_request = 0;
    keep_report = 0;
    keep_sometimes = 0;
    keep_picture = 0;
    keep_number = 0;
    buffer_of_failed = 0;
    buffer_of_request = 1;
    store_result = 0;
    open_session = 0;
    fill_pool = 0;
    keep_of_load = 0;
    serve_load = 1;
}

/// Room for what leaks, so that the list itself does not grow.
const ROOM: usize = 1 << 15;

fn leak_fast(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(ROOM);
    while stage.next().is_some() {
        kept.extend((0..4).map(|_| keep_request(512)));
    }
}

fn leak_slow(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        kept.extend((step % 3 == 0).then(|| keep_report(1024)));
    }
}

fn leak_at_random(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    while stage.next().is_some() {
        kept.extend(chance.one_in(2).then(|| keep_sometimes(1024)));
    }
}

fn leak_of_large_blocks(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        kept.extend((step % 12 == 0).then(|| keep_picture(48 << 10)));
    }
}

fn leak_of_tiny_blocks(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(ROOM);
    while stage.next().is_some() {
        kept.extend((0..40).map(|_| keep_number(16)));
    }
}

fn leak_on_errors(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut under_way = Until::with_capacity(64);
    while let Some(step) = stage.next() {
        under_way.drop_due(step);
        for _ in 0..4 {
            if chance.one_in(50) {
                kept.push(buffer_of_failed(4096));
            } else {
                under_way.keep(step + chance.between(1, 5), buffer_of_request(4096));
            }
        }
    }
}

fn leak_under_churn(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut results = Until::with_capacity(1024);
    while let Some(step) = stage.next() {
        results.drop_due(step);
        for number in 0..40 {
            let result = store_result(512);
            match number {
                0 => kept.push(result),
                _ => results.keep(step + chance.between(1, 10), result),
            }
        }
    }
}

fn leak_among_sessions(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut sessions = Until::with_capacity(2048);
    while let Some(step) = stage.next() {
        sessions.drop_due(step);
        for _ in 0..4 {
            let session = open_session(2048);
            if chance.one_in(16) {
                kept.push(session);
            } else {
                sessions.keep(step + chance.lifetime(40.0), session);
            }
        }
    }
}

fn leak_below_noise(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut pool: Vec<Block> = Vec::with_capacity(512);
    let mut target = 200;
    while let Some(step) = stage.next() {
        if step % 8 == 0 {
            target = chance.between(100, 300) as usize;
        }
        pool.truncate(target);
        let leaks = usize::from(step % 10 == 0);
        for number in 0..target - pool.len() + leaks {
            let block = fill_pool(1024);
            if number < leaks { kept.push(block) } else { pool.push(block) }
        }
    }
}

fn leak_by_load(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut requests = Until::with_capacity(512);
    while let Some(step) = stage.next() {
        requests.drop_due(step);
        // Waves of 80 steps, 8 requests a step on average.
        let load = 8.0 - 6.0 * (f64::from(step) * std::f64::consts::TAU / 80.0).cos();
        for _ in 0..load.round() as u32 {
            requests.keep(step + chance.between(2, 6), serve_load(1024));
            kept.extend(chance.one_in(10).then(|| keep_of_load(1024)));
        }
    }
}

/// Of which it cannot be told who is to blame.
#[inline(always)]
fn clone_buffer(site: usize, size: usize) -> Block {
    #[inline(never)]
    fn copy_bytes(site: usize, size: usize) -> Block {
        Block::new(site, size)
    }
    copy_bytes(site, size)
}

#[inline(never)]
fn take_upload(kept: &mut Vec<Block>) {
    kept.push(clone_buffer(0, 1536));
}

#[inline(never)]
fn write_report(kept: &mut Vec<Block>) {
    kept.push(clone_buffer(1, 768));
}

#[inline(never)]
fn answer_ping(step: u32, lifetime: u32, pings: &mut Until<Block>) {
    pings.keep(step + lifetime, clone_buffer(2, 1024));
}

fn leak_of_two_callers(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut pings = Until::with_capacity(1024);
    while let Some(step) = stage.next() {
        pings.drop_due(step);
        take_upload(&mut kept);
        if step % 2 == 0 {
            write_report(&mut kept);
        }
        (0..20).for_each(|_| answer_ping(step, chance.between(2, 10), &mut pings));
    }
}
