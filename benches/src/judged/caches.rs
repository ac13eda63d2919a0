//! Caches that fill and then hold what they hold: what most false alarms are about.

use std::collections::{HashMap, VecDeque};

use super::stage::{Block, Stage, note, sites};
use super::{Class, Program, Truth};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "lru-at-capacity",
        about: "a cache of 256 pages of 1 KiB, full after 32 steps, which from then on drops the oldest for each new",
        steps: 400,
        short: &[],
        truths: &[Truth::of("cache_page", Class::Bounded).also(&[Class::Churn]).known(120)],
        run: lru_at_capacity,
    },
    Program {
        name: "lru-of-random-sizes",
        about: "a cache bounded to 256 KiB, not to a number of pages; the pages' sizes are random",
        steps: 400,
        short: &[],
        truths: &[Truth::of("cache_sized_page", Class::Bounded).also(&[Class::Churn]).known(120)],
        run: lru_of_random_sizes,
    },
    Program {
        name: "map-that-fills",
        about: "a map of 300 pages of 4 KiB that are asked for at random, so that new ones come ever more rarely",
        steps: 500,
        short: &[75, 150],
        truths: &[
            Truth::of("fill_entry", Class::Bounded).also(&[Class::WarmUp]).known(400).filling(4096.0),
            Truth::of("fill_table", Class::Bounded).also(&[Class::WarmUp]).known(501),
        ],
        run: map_that_fills,
    },
    Program {
        name: "map-that-fills-slowly",
        about: "the same with 2,000 pages of 3 KiB: the capture ends when six in ten are there",
        steps: 500,
        short: &[],
        truths: &[Truth::of("fill_slowly", Class::Bounded).also(&[Class::WarmUp]).known(2500).filling(3072.0)],
        run: map_that_fills_slowly,
    },
    Program {
        name: "interner-that-saturates",
        about: "names out of a dictionary of 500, a few of them frequent, the most rare",
        steps: 500,
        short: &[],
        truths: &[Truth::of("intern_name", Class::Bounded).also(&[Class::WarmUp]).known(450).filling(600.0)],
        run: interner_that_saturates,
    },
    Program {
        name: "ttl-cache",
        about: "entries live for 30 steps; the number that comes in each step is random",
        steps: 400,
        short: &[],
        truths: &[Truth::of("cache_for_a_while", Class::Churn).also(&[Class::Bounded]).known(150)],
        run: ttl_cache,
    },
    Program {
        name: "ttl-cache-swept-rarely",
        about: "entries live for 30 steps, and are only taken out by a sweep every 50",
        steps: 500,
        short: &[140],
        truths: &[Truth::of("cache_until_swept", Class::Churn).also(&[Class::Bounded]).known(250).blind(60)],
        run: ttl_cache_swept_rarely,
    },
    Program {
        name: "table-that-doubles",
        about: "a hash map of small keys, 4,000 in all: its one table doubles while it fills, and then no more",
        steps: 400,
        short: &[],
        truths: &[Truth::of("insert_key", Class::Bounded).also(&[Class::WarmUp, Class::OneShot]).known(401)],
        run: table_that_doubles,
    },
];

sites! {
    cache_page = 0;
    cache_sized_page = 0;
    fill_entry = 0;
    fill_slowly = 0;
    cache_for_a_while = 0;
    cache_until_swept = 0;
}

fn lru_at_capacity(stage: &mut Stage) {
    let mut pages = VecDeque::with_capacity(257);
    while stage.next().is_some() {
        for _ in 0..8 {
            if pages.len() == 256 {
                pages.pop_front();
            }
            pages.push_back(cache_page(1024));
        }
    }
}

fn lru_of_random_sizes(stage: &mut Stage) {
    let mut pages: VecDeque<(usize, Block)> = VecDeque::with_capacity(2048);
    let (mut held, mut chance) = (0, stage.chance(0));
    while stage.next().is_some() {
        for _ in 0..8 {
            let size = chance.between(200, 3000) as usize;
            pages.push_back((size, cache_sized_page(size)));
            held += size;
            while held > 256 << 10 {
                held -= pages.pop_front().map_or(held, |(size, _)| size);
            }
        }
    }
}

#[inline(never)]
fn fill_table(map: &mut HashMap<u32, Block>, key: u32, entry: Block) {
    let before = map.capacity();
    map.insert(key, entry);
    note(1, ((map.capacity() - before) * 8 / 7 * (size_of::<(u32, Block)>() + 1)) as i64);
}

fn map_that_fills(stage: &mut Stage) {
    let (mut map, mut chance) = (HashMap::new(), stage.chance(0));
    while stage.next().is_some() {
        // 300 keys, four a step: of the missing ones, one in 75 comes at each step.
        for _ in 0..4 {
            let key = chance.below(300);
            if !map.contains_key(&key) {
                fill_table(&mut map, key, fill_entry(4096));
            }
        }
    }
}

fn map_that_fills_slowly(stage: &mut Stage) {
    let (mut map, mut chance) = (HashMap::with_capacity(4096), stage.chance(0));
    while stage.next().is_some() {
        for _ in 0..4 {
            map.entry(chance.below(2000)).or_insert_with(|| fill_slowly(3072));
        }
    }
}

#[inline(never)]
fn intern_name(number: u32) -> Box<str> {
    let name: Box<str> = format!("{number:0>600}").into();
    note(0, name.len() as i64);
    name
}

fn interner_that_saturates(stage: &mut Stage) {
    let (mut names, mut chance) = (HashMap::with_capacity(1024), stage.chance(0));
    while stage.next().is_some() {
        for _ in 0..8 {
            // Half of the names asked for are among the first 50.
            let name = if chance.one_in(2) { chance.below(50) } else { chance.below(500) };
            names.entry(name).or_insert_with(|| intern_name(name));
        }
    }
}

fn ttl_cache(stage: &mut Stage) {
    let (mut entries, mut chance) = (VecDeque::with_capacity(1024), stage.chance(0));
    while let Some(step) = stage.next() {
        entries.extend((0..chance.between(0, 16)).map(|_| (step + 30, cache_for_a_while(1024))));
        while entries.front().is_some_and(|(until, _)| *until <= step) {
            entries.pop_front();
        }
    }
}

fn ttl_cache_swept_rarely(stage: &mut Stage) {
    let (mut entries, mut chance) = (Vec::with_capacity(2048), stage.chance(0));
    while let Some(step) = stage.next() {
        entries.extend((0..chance.between(0, 12)).map(|_| (step + 30, cache_until_swept(1024))));
        if step % 50 == 49 {
            entries.retain(|(until, _)| *until > step);
        }
    }
}

#[inline(never)]
fn insert_key(map: &mut HashMap<u32, u64>, key: u32) {
    let before = map.capacity();
    map.insert(key, 1);
    note(0, ((map.capacity() - before) * 8 / 7 * (size_of::<(u32, u64)>() + 1)) as i64);
}

fn table_that_doubles(stage: &mut Stage) {
    let (mut map, mut chance) = (HashMap::new(), stage.chance(0));
    while stage.next().is_some() {
        // One in 50 of the missing keys at each step.
        (0..80).for_each(|_| insert_key(&mut map, chance.below(4000)));
    }
}
