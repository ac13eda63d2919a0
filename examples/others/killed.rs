//! A program that is killed: 2,000 blocks of 10 KiB that are never freed, between two ticks that are a minute apart.
//!
//! With the argument `wait` it says `ready` when it has made them, and waits to be killed. The capture holds none of the blocks then; they are
//! in the arena, and `plimsoll report` shows them:
//!
//! | function | number | value |
//! |---|---|---:|
//! | `remember` | live_bytes | 20480000 |
//! | `remember` | live_allocations | 2000 |

use std::alloc::System;
use std::io::Write;
use std::time::Duration;

use plimsoll_examples::Counted;

#[global_allocator]
static ALLOC: plimsoll::Allocator<Counted<System>> = plimsoll::Allocator::new(Counted::new(System));

#[inline(never)]
fn remember(number: usize) {
    std::mem::forget(std::hint::black_box(vec![number as u8; 10 << 10].into_boxed_slice()));
}

fn start() -> Option<plimsoll::Session> {
    let output = std::env::var_os("PLIMSOLL_OUTPUT")?;
    let mut builder = plimsoll::Session::builder().output(output).tick(Duration::from_secs(60));
    if std::env::var_os("PLIMSOLL_MODE").is_some_and(|mode| mode == "exact") {
        builder = builder.exact();
    }
    builder.start().inspect_err(|error| eprintln!("{error}")).ok()
}

fn main() {
    let session = start();
    (0..2_000).for_each(remember);
    if std::env::args().nth(1).is_some_and(|argument| argument == "wait") {
        println!("ready");
        let _ = std::io::stdout().flush();
        std::thread::sleep(Duration::from_secs(60));
    }
    if let Some(session) = session {
        plimsoll_examples::finish(session);
    }
}
