//! Pools and buffers that are used again, of a size that swings.

use std::collections::VecDeque;

use super::stage::{Block, Stage, note, sites};
use super::{Class, Program, Truth};

const FLAT: &[Class] = &[Class::Bounded, Class::WarmUp];

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "connection-pool",
        about: "connections are made on demand, up to 16, and kept; 16 KiB each",
        steps: 400,
        short: &[],
        truths: &[Truth::of("open_connection", Class::WarmUp).also(FLAT).known(200)],
        run: connection_pool,
    },
    Program {
        name: "pool-that-wanders",
        about: "a pool whose size takes a random step at each turn, held between 100 and 400 KiB by its bounds",
        steps: 600,
        short: &[],
        truths: &[Truth::of("grow_pool", Class::Churn).also(FLAT).known(600)],
        run: pool_that_wanders,
    },
    Program {
        name: "pool-that-returns",
        about: "a pool that is drawn back to 200 KiB, a tenth of the way at each step, and pushed by chance",
        steps: 500,
        short: &[],
        truths: &[Truth::of("resize_pool", Class::Churn).also(FLAT).known(300)],
        run: pool_that_returns,
    },
    Program {
        name: "pool-of-the-highest-demand",
        about: "a pool keeps as many buffers as were ever needed at once: it grows at each record, ever more rarely",
        steps: 500,
        short: &[],
        truths: &[Truth::of("new_buffer", Class::Bounded).also(FLAT).known(501)],
        run: pool_of_the_highest_demand,
    },
    Program {
        name: "double-buffer",
        about: "two buffers of 64 KiB that take turns: every tenth step the older is replaced",
        steps: 400,
        short: &[],
        truths: &[Truth::of("next_buffer", Class::Churn).also(FLAT).known(100)],
        run: double_buffer,
    },
    Program {
        name: "log-ring",
        about: "the last 200 log lines are kept; their lengths are random",
        steps: 400,
        short: &[],
        truths: &[Truth::of("log_line", Class::Churn).also(FLAT).known(150)],
        run: log_ring,
    },
    Program {
        name: "buffer-that-is-refilled",
        about: "one vector grows by pushes to at most 256 KiB and is shrunk at random",
        steps: 500,
        short: &[],
        truths: &[Truth::of("push_into", Class::Churn).also(FLAT).known(250)],
        run: buffer_that_is_refilled,
    },
];

sites! {
    open_connection = 0;
    grow_pool = 0;
    resize_pool = 0;
    new_buffer = 0;
    next_buffer = 0;
    log_line = 0;
}

fn connection_pool(stage: &mut Stage) {
    let mut idle = Vec::with_capacity(32);
    let (mut busy, mut chance) = (Vec::with_capacity(32), stage.chance(0));
    while let Some(step) = stage.next() {
        let (done, rest): (Vec<_>, Vec<_>) = busy.drain(..).partition(|(until, _): &(u32, Block)| *until <= step);
        busy = rest;
        idle.extend(done.into_iter().map(|(_, connection)| connection));
        for _ in 0..chance.between(0, 3) {
            let connection = idle.pop().or_else(|| (busy.len() < 16).then(|| open_connection(16 << 10)));
            busy.extend(connection.map(|connection| (step + chance.between(2, 14), connection)));
        }
    }
}

fn set_size(pool: &mut VecDeque<Block>, size: usize, make: fn(usize) -> Block) {
    while pool.len() > size {
        pool.pop_front();
    }
    while pool.len() < size {
        pool.push_back(make(2048));
    }
}

fn pool_that_wanders(stage: &mut Stage) {
    let (mut pool, mut chance) = (VecDeque::with_capacity(256), stage.chance(0));
    let mut size = 125;
    while stage.next().is_some() {
        size = (size + chance.between(0, 40)).saturating_sub(20).clamp(50, 200);
        set_size(&mut pool, size as usize, grow_pool);
    }
}

fn pool_that_returns(stage: &mut Stage) {
    let (mut pool, mut chance) = (VecDeque::with_capacity(256), stage.chance(0));
    let mut size = 100.0;
    while stage.next().is_some() {
        size += (100.0 - size) / 10.0 + f64::from(chance.between(0, 20)) - 10.0;
        set_size(&mut pool, size.clamp(0.0, 250.0) as usize, resize_pool);
    }
}

fn pool_of_the_highest_demand(stage: &mut Stage) {
    let (mut pool, mut chance) = (Vec::with_capacity(256), stage.chance(0));
    while stage.next().is_some() {
        // The sum of twelve dice: about normal, so that records grow with the root of the logarithm of time.
        let demand = (0..12).map(|_| chance.below(10) as usize).sum();
        while pool.len() < demand {
            pool.push(new_buffer(4096));
        }
    }
}

fn double_buffer(stage: &mut Stage) {
    let mut buffers = VecDeque::with_capacity(3);
    while let Some(step) = stage.next() {
        if step % 10 == 0 {
            buffers.push_back(next_buffer(64 << 10));
            if buffers.len() > 2 {
                buffers.pop_front();
            }
        }
    }
}

fn log_ring(stage: &mut Stage) {
    let (mut lines, mut chance) = (VecDeque::with_capacity(201), stage.chance(0));
    while stage.next().is_some() {
        for _ in 0..5 {
            lines.push_back(log_line(chance.between(100, 2000) as usize));
            if lines.len() > 200 {
                lines.pop_front();
            }
        }
    }
}

#[inline(never)]
fn push_into(buffer: &mut Vec<u64>, number: u32) {
    let before = buffer.capacity();
    buffer.extend((0..number).map(u64::from));
    note(0, ((buffer.capacity() - before) * size_of::<u64>()) as i64);
}

fn buffer_that_is_refilled(stage: &mut Stage) {
    let (mut buffer, mut chance) = (Vec::new(), stage.chance(0));
    while stage.next().is_some() {
        push_into(&mut buffer, 1024);
        if buffer.len() > 30_000 || chance.one_in(25) {
            note(0, -((buffer.capacity() * size_of::<u64>()) as i64));
            buffer = Vec::new();
        }
    }
}
