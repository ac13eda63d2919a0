//! Queues between a producer and a consumer.

use std::sync::mpsc::{channel, sync_channel};

use super::stage::{Block, Stage, sites};
use super::{Class, Program, Truth};

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        name: "leak-of-a-backlog",
        about: "four messages a step go into a channel without bound, three come out",
        steps: 400,
        short: &[40],
        truths: &[
            Truth::leak("new_message", 1024.0),
            // The channel's own list: 13 blocks of 1,000 bytes in a whole run, which are too few.
            Truth::leak("send_message", CHANNEL_BYTES / 31.0).known(401),
        ],
        run: leak_of_a_backlog,
    },
    Program {
        name: "queue-with-back-pressure",
        about: "a channel of 64 places, filled as fast as it can be and emptied in turns of a random length",
        steps: 400,
        short: &[],
        truths: &[Truth::of("offer_message", Class::Churn).also(&[Class::Bounded])],
        run: queue_with_back_pressure,
    },
    Program {
        name: "queue-that-catches-up",
        about: "the consumer sleeps for 100 steps, the backlog grows, then it is worked off for good",
        steps: 400,
        short: &[90],
        truths: &[Truth::of("send_delayed", Class::Churn).also(&[Class::Bounded]).known(260).blind(100)],
        run: queue_that_catches_up,
    },
    Program {
        name: "queue-in-bursts",
        about: "bursts of up to 200 messages, ten a step are worked off",
        steps: 500,
        short: &[],
        truths: &[Truth::of("send_burst", Class::Churn).also(&[Class::Bounded]).known(250)],
        run: queue_in_bursts,
    },
];

sites! {
    new_message = 0;
    offer_message = 0;
    send_delayed = 0;
    send_burst = 0;
}

/// What a channel allocates for 31 messages: their places, of 32 bytes each, and a link.
const CHANNEL_BYTES: f64 = 31.0 * 32.0 + 8.0;

/// Its list is what the channel allocates here itself.
#[inline(never)]
fn send_message(sender: &std::sync::mpsc::Sender<Block>) {
    // The receiver lives as long as the sender.
    let _sent = sender.send(new_message(1024));
}

fn leak_of_a_backlog(stage: &mut Stage) {
    let (sender, receiver) = channel();
    while stage.next().is_some() {
        (0..4).for_each(|_| send_message(&sender));
        drop(receiver.try_iter().take(3).collect::<Vec<Block>>());
    }
}

fn queue_with_back_pressure(stage: &mut Stage) {
    let (sender, receiver) = sync_channel(64);
    let mut chance = stage.chance(0);
    let mut waiting: Option<Block> = None;
    while stage.next().is_some() {
        for _ in 0..40 {
            let message = waiting.take().unwrap_or_else(|| offer_message(2048));
            if let Err(std::sync::mpsc::TrySendError::Full(message)) = sender.try_send(message) {
                waiting = Some(message);
                break;
            }
        }
        receiver.try_iter().take(chance.between(0, 40) as usize).for_each(drop);
    }
}

fn queue_that_catches_up(stage: &mut Stage) {
    let mut queue = std::collections::VecDeque::with_capacity(1024);
    while let Some(step) = stage.next() {
        queue.extend((0..4).map(|_| send_delayed(1024)));
        let worked = if step < 100 { 0 } else { 8 };
        drop(queue.drain(..queue.len().min(worked)));
    }
}

fn queue_in_bursts(stage: &mut Stage) {
    let mut queue = std::collections::VecDeque::with_capacity(4096);
    let mut chance = stage.chance(0);
    while stage.next().is_some() {
        if chance.one_in(20) {
            queue.extend((0..chance.between(50, 200)).map(|_| send_burst(1024)));
        }
        drop(queue.drain(..queue.len().min(10)));
    }
}
