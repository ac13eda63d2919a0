//! What threads keep for themselves.

use std::cell::RefCell;

use super::crew::Crew;
use super::stage::{Block, Stage, sites};
use super::{Class, Program, Truth};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "thread-arenas",
        about: "four threads start one after the other, and each fills an arena of 40 KiB in 20 steps",
        steps: 400,
        short: &[],
        truths: &[Truth::of("grow_arena", Class::Bounded).also(&[Class::WarmUp]).known(200)],
        run: thread_arenas,
    },
    Program {
        name: "thread-caches",
        about: "six threads each compile up to 24 patterns as they first meet them, 1 KiB each",
        steps: 500,
        short: &[],
        truths: &[Truth::of("compile_pattern", Class::Bounded).also(&[Class::WarmUp]).known(450).filling(1024.0)],
        run: thread_caches,
    },
    Program {
        name: "thread-locals-of-new-threads",
        about: "every 20 steps a thread more, up to eight, each with a thread-local buffer of 16 KiB, then no more",
        steps: 400,
        short: &[],
        truths: &[Truth::of("make_local", Class::Bounded).also(&[Class::WarmUp]).known(320)],
        run: thread_locals,
    },
    Program {
        name: "leak-of-short-threads",
        about: "every fifth step a thread starts, works, and leaves 4 KiB in a list of results nobody reads",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("leave_result", 4096.0 / 5.0), Truth::of("work_of_thread", Class::Churn)],
        run: leak_of_short_threads,
    },
    Program {
        name: "leak-of-a-hand-over",
        about: "one thread allocates, another keeps three blocks of four and frees the fourth",
        steps: 400,
        short: &[],
        truths: &[Truth::leak("hand_over", 1536.0)],
        run: leak_of_a_hand_over,
    },
];

sites! {
    grow_arena = 0;
    compile_pattern = 0;
    make_local = 0;
    leave_result = 0;
    work_of_thread = 1;
    hand_over = 0;
}

fn thread_arenas(stage: &mut Stage) {
    let mut crew = Crew::with_capacity(4);
    for thread in 0..4 {
        crew.join(
            || Vec::with_capacity(64),
            move |arena: &mut Vec<Block>, step| {
                if (thread * 20..thread * 20 + 20).contains(&step) {
                    arena.extend((0..2).map(|_| grow_arena(1024)));
                }
            },
        );
    }
    while let Some(step) = stage.next() {
        crew.step(step);
    }
}

fn thread_caches(stage: &mut Stage) {
    let mut crew = Crew::with_capacity(6);
    for thread in 0..6 {
        let chance = stage.chance(thread + 1);
        crew.join(
            move || (chance, [const { None::<Block> }; 24]),
            |(chance, patterns), step| {
                // One request in three needs a pattern.
                if step % 3 == 0
                    && let Some(pattern) = patterns.get_mut(chance.below(24) as usize)
                {
                    pattern.get_or_insert_with(|| compile_pattern(1024));
                }
            },
        );
    }
    while let Some(step) = stage.next() {
        crew.step(step);
    }
}

thread_local! {
    static LOCAL: RefCell<Option<Block>> = const { RefCell::new(None) };
}

fn thread_locals(stage: &mut Stage) {
    let mut crew = Crew::with_capacity(8);
    while let Some(step) = stage.next() {
        if step % 20 == 0 && step < 160 {
            crew.join(|| LOCAL.set(Some(make_local(16 << 10))), |(), _| {});
        }
        crew.step(step);
    }
}

fn leak_of_short_threads(stage: &mut Stage) {
    let mut results = Vec::with_capacity(1024);
    let mut chance = stage.chance(0);
    while let Some(step) = stage.next() {
        if step % 5 == 0 {
            let pieces = chance.between(4, 12);
            let work = move || {
                drop((0..pieces).map(|_| work_of_thread(2048)).collect::<Vec<Block>>());
                leave_result(4096)
            };
            results.extend(std::thread::spawn(work).join());
        }
    }
}

fn leak_of_a_hand_over(stage: &mut Stage) {
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Block>(8);
    let mut crew = Crew::with_capacity(1);
    crew.join(move || sender, |sender, _| (0..4).for_each(|_| drop(sender.send(hand_over(512)))));
    let mut kept = Vec::with_capacity(1 << 12);
    while let Some(step) = stage.next() {
        crew.step(step);
        kept.extend(receiver.try_iter().enumerate().filter(|(number, _)| number % 4 != 0).map(|(_, block)| block));
    }
}
