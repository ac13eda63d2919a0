//! A queue between threads: each message is allocated on one thread and freed on another.
//!
//! 96,000 messages of 1 KiB go through bounded queues; all have been freed at the end. None is temporary, since no thread
//! frees what it allocated itself. A first argument gives the number of pairs of threads, 1 to 8 (default 4);
//! the numbers stay the same.
//!
//! What must be seen at the end, 96,000 × 1,024 = 98,304,000:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `make_message` | total_bytes | 98304000 |
//! | `make_message` | total_allocations | 96000 |
//! | `make_message` | temporary_allocations | 0 |
//! | `make_message` | live_bytes | 0 |

use std::alloc::System;
use std::sync::mpsc;
use std::thread;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

/// Divisible by every number of pairs from 1 to 8 but 7.
const MESSAGES: usize = 96_000;
const MESSAGE_BYTES: usize = 1 << 10;
const QUEUE_LENGTH: usize = 256;

#[inline(never)]
fn make_message(number: usize) -> Box<[u8]> {
    vec![number as u8; MESSAGE_BYTES].into_boxed_slice()
}

/// Sends and receives `messages` messages over a queue of its own.
fn pair(messages: usize) -> usize {
    let (sender, receiver) = mpsc::sync_channel::<Box<[u8]>>(QUEUE_LENGTH);
    // Joined by hand: the end of a scope would not wait for what a thread frees when it ends.
    let sending = thread::spawn(move || (0..messages).try_for_each(|number| sender.send(make_message(number))));
    let received = receiver.into_iter().filter(|message| message.iter().all(|byte| *byte == message[0])).count();
    assert!(sending.join().is_ok_and(|sent| sent.is_ok()), "every message is received");
    received
}

fn main() {
    let session = plimsoll::Session::from_env_or_idle();
    let pairs = std::env::args().nth(1).and_then(|pairs| pairs.parse().ok()).unwrap_or(4);
    assert!(pairs <= 8 && MESSAGES.is_multiple_of(pairs), "1, 2, 3, 4, 5, 6 or 8 pairs");
    let workers: Vec<_> = (0..pairs).map(|_| thread::spawn(move || pair(MESSAGES / pairs))).collect();
    let received: usize = workers.into_iter().map(|worker| worker.join().unwrap_or(0)).sum();
    println!("{received} messages received");
    plimsoll_examples::finish(session);
}
