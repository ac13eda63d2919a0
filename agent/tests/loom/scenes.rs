//! Two or three threads at the ring, the table of live samples and the table of stacks.

use loom::sync::Arc;
use loom::thread;
use plimsoll_format::{Event, EventKind};

use crate::live_table::{Fate, LiveTable, Sample};
use crate::ring::EventRing;
use crate::shared_arena::Place;
use crate::stack_table::StackTable;

fn event(number: u64) -> Event {
    Event {
        kind: EventKind::Alloc,
        ticks: number,
        address: number * 16,
        size_bytes: number + 1,
        stack: number as u32 + 2,
        thread: number as u32 + 3,
        tag: 8,
        interval_bytes: number + 4,
    }
}

/// Two threads push, a third takes: no event is lost, doubled or mixed of two, also when the ring goes round.
#[test]
fn the_ring_hands_every_event_over_whole() {
    loom::model(|| {
        let ring = Arc::new(EventRing::map(2, &Place).expect("memory"));
        let producers: Vec<_> = [vec![1], vec![2, 3]]
            .into_iter()
            .map(|numbers| {
                let ring = ring.clone();
                thread::spawn(move || numbers.into_iter().filter(|number| ring.push(&event(*number))).collect())
            })
            .collect();
        let mut taken: Vec<Event> = (0..2).filter_map(|_| ring.pop()).collect();
        ring.give_back(ring.taken());
        let mut pushed: Vec<u64> =
            producers.into_iter().flat_map(|thread| -> Vec<u64> { thread.join().expect("no panic") }).collect();
        taken.extend(std::iter::from_fn(|| ring.pop()));
        pushed.sort_unstable();
        let order = |number: u64| taken.iter().position(|event| event.ticks == number);
        assert!(order(3).is_none() || order(2).is_none() || order(2) < order(3), "{taken:?}");
        taken.sort_by_key(|event| event.ticks);
        assert_eq!(taken, pushed.into_iter().map(event).collect::<Vec<_>>());
    });
}

fn sample(address: usize) -> Sample {
    Sample { address, size: address as u64 + 1, ticks: 2, stack: 3, thread: 4, tag: 5, step: 0 }
}

/// One thread's samples come and go while another's do: each finds its own, whole, and entries are used again.
#[test]
fn samples_of_two_threads_do_not_touch() {
    loom::model(|| {
        let table = Arc::new(LiveTable::with_room(3, 2).expect("memory"));
        assert!(table.insert(&sample(0x100)));
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                assert_eq!(table.remove(0x100), Some(sample(0x100)));
                assert!(table.insert(&sample(0x300)));
            })
        };
        // One position may still be the first thread's: then there is no room, and that is said.
        let kept = table.insert(&sample(0x200));
        assert_eq!(table.remove(0x200), kept.then(|| sample(0x200)));
        other.join().expect("no panic");
        assert_eq!(table.len(), 1);
        assert_eq!(table.remove(0x300), Some(sample(0x300)));
    });
}

/// The writer thins while a hook frees the very sample: one of the two takes it out, never both and never neither.
#[test]
fn thinning_and_a_free_agree_on_who_takes_a_sample() {
    for keeps in [false, true] {
        loom::model(move || {
            let table = Arc::new(LiveTable::with_room(2, 2).expect("memory"));
            assert!(table.insert(&sample(0x100)));
            let hook = {
                let table = table.clone();
                thread::spawn(move || table.remove(0x100).is_some())
            };
            let (kept, dropped) = table.thin(1, |_| if keeps { Fate::Raised } else { Fate::Dropped });
            let freed = hook.join().expect("no panic");
            assert!(freed != (dropped.len() == 1), "freed {freed}, dropped {dropped:?}");
            assert!(kept.len() <= usize::from(keeps) && table.len() == 0);
            dropped.iter().for_each(|(_, id)| table.give_back(*id));
            // Where thinning raised the entry that the hook then gives back, loom lets a later load see the raised value: it
            // does not hold that nothing comes between what an exchange read and what it wrote, as the language does.
            if kept.is_empty() {
                assert!(table.insert(&sample(0x200)) && table.insert(&sample(0x300)), "no entry is lost");
            }
        });
    }
}

/// Two threads add the same stack and one of their own: equal stacks are one node, and what the writer reads is whole.
#[test]
fn threads_agree_on_nodes() {
    loom::model(|| {
        let table = Arc::new(StackTable::map(8, 2, &Place).expect("memory"));
        let other = {
            let table = table.clone();
            thread::spawn(move || {
                let shared = table.child(0, 0x10).expect("room");
                (shared, table.child(shared, 0x20).expect("room"))
            })
        };
        let shared = table.child(0, 0x10).expect("room");
        let own = table.child(shared, 0x30).expect("room");
        let node = table.node(own).expect("ready: this thread made it");
        assert_eq!((node.parent, node.address), (shared, 0x30));
        let (theirs, child) = other.join().expect("no panic");
        assert!(theirs == shared && child != own);
        for id in 1..=table.len() {
            let node = table.node(id).expect("every thread is done");
            assert!(matches!((node.parent, node.address), (0, 0x10) | (_, 0x20 | 0x30)), "{node:?}");
        }
    });
}
