//! Leaks that do not draw a straight line from the start: late, in steps, by slow threads of references.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;

use super::stage::{Block, Stage, Until, sites};
use super::{Class, Program, Truth};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "leak-late",
        about: "sessions come and go; from half of the time on one in four is never closed",
        steps: 500,
        short: &[290],
        truths: &[Truth::leak("late_session", 2048.0).from(250).known(450)],
        run: leak_late,
    },
    Program {
        name: "leak-not-yet",
        about: "the same, in a capture that ends before the leak begins",
        steps: 250,
        short: &[],
        truths: &[Truth::of("late_session", Class::Churn).also(&[Class::Bounded]).known(120)],
        run: leak_late,
    },
    Program {
        name: "leak-by-reload",
        about: "every 25 steps the settings are read again, 16 KiB, and the old ones kept",
        steps: 400,
        short: &[40],
        truths: &[Truth::leak("read_settings", 16.0 * 1024.0 / 25.0).known(200)],
        run: leak_by_reload,
    },
    Program {
        name: "leak-of-a-cycle",
        about: "at each step two nodes point at each other and are dropped: the counts never reach zero",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("tie_cycle", 1024.0)],
        run: leak_of_a_cycle,
    },
    Program {
        name: "leak-of-tasks",
        about: "every second step a task is spawned that waits for ever, with 2 KiB of state",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("spawn_waiting", 1024.0), Truth::of("spawn_ending", Class::Churn)],
        run: leak_of_tasks,
    },
    Program {
        name: "leak-after-a-plateau",
        about: "warms up to 80 KiB in 40 steps, rests, and leaks from step 200 on at the same site",
        steps: 500,
        short: &[],
        truths: &[Truth::leak("cache_then_leak", 1024.0).from(200).known(400)],
        run: leak_after_a_plateau,
    },
];

sites! {
    late_session = 0;
    read_settings = 0;
    cache_then_leak = 0;
}

const ROOM: usize = 1 << 15;

fn leak_late(stage: &mut Stage) {
    let (mut kept, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut sessions = Until::with_capacity(1024);
    while let Some(step) = stage.next() {
        sessions.drop_due(step);
        for number in 0..8 {
            let session = late_session(1024);
            if step >= 250 && number % 4 == 0 {
                kept.push(session);
            } else {
                sessions.keep(step + chance.between(5, 15), session);
            }
        }
    }
}

fn leak_by_reload(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        if step % 25 == 0 {
            kept.extend((0..16).map(|_| read_settings(1024)));
        }
    }
}

/// A node of a cycle.
struct Node {
    _data: Block,
    other: RefCell<Option<Rc<Node>>>,
}

#[inline(never)]
fn tie_cycle() {
    let node = || Rc::new(Node { _data: Block::new(0, 512), other: RefCell::new(None) });
    let (one, two) = (node(), node());
    *one.other.borrow_mut() = Some(Rc::clone(&two));
    *two.other.borrow_mut() = Some(one);
}

fn leak_of_a_cycle(stage: &mut Stage) {
    while stage.next().is_some() {
        tie_cycle();
    }
}

/// A task on the heap, in the book of its site: one block of 2 KiB.
struct Task {
    state: Pin<Box<dyn Future<Output = ()>>>,
    site: usize,
}

impl Task {
    #[inline(always)]
    fn new(site: usize) -> Task {
        let buffer = [1u8; 2047];
        let state = Box::pin(async move {
            std::future::pending::<()>().await;
            std::hint::black_box(buffer);
        });
        super::stage::note(site, size_of_val(&*state) as i64);
        Task { state, site }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        super::stage::note(self.site, -(size_of_val(&*self.state) as i64));
    }
}

#[inline(never)]
fn spawn_waiting() -> Task {
    Task::new(0)
}

#[inline(never)]
fn spawn_ending() -> Task {
    Task::new(1)
}

fn leak_of_tasks(stage: &mut Stage) {
    let (mut waiting, mut chance) = (Vec::with_capacity(ROOM), stage.chance(0));
    let mut ending: Until<Task> = Until::with_capacity(1024);
    while let Some(step) = stage.next() {
        ending.drop_due(step);
        waiting.extend((step % 2 == 0).then(spawn_waiting));
        (0..4).for_each(|_| ending.keep(step + chance.between(2, 14), spawn_ending()));
    }
}

fn leak_after_a_plateau(stage: &mut Stage) {
    let mut kept = Vec::with_capacity(ROOM);
    while let Some(step) = stage.next() {
        let blocks = match step {
            0..40 => 2,
            40..200 => 0,
            _ => 1,
        };
        kept.extend((0..blocks).map(|_| cache_then_leak(1024)));
    }
}
