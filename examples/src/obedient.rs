//! The body of a service that does what lines on its standard input say, and answers each with one: for whoever wants to
//! try `plimsoll ctl`.

use std::hint::black_box;
use std::io::{BufRead, Write};

/// `hold N SIZE` keeps so many blocks, `drop` lets them all go but one in 64, `churn N SIZE` makes and frees so many, `mark
/// NAME` names the moment, `end` ends the session, `exit` the process, the end of input `main`.
pub fn obey(session: plimsoll::Session) {
    let mut session = Some(session);
    let mut held: Vec<Option<Box<[u8]>>> = Vec::new();
    println!("ready");
    for line in std::io::stdin().lock().lines() {
        let Ok(line) = line else { break };
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["hold", number, size] => held.extend((0..whole(number)).map(|_| Some(keep(whole(size))))),
            ["drop"] => held.iter_mut().enumerate().filter(|(at, _)| at % 64 != 0).for_each(|(_, block)| *block = None),
            ["churn", number, size] => (0..whole(number)).for_each(|_| drop(churn(whole(size)))),
            ["mark", name] => session.iter().for_each(|session| session.mark(name)),
            ["end"] => drop(session.take()),
            ["exit"] => std::process::exit(0),
            _ => println!("what?"),
        }
        println!("done {line}");
        let _ = std::io::stdout().flush();
    }
}

fn whole(text: &str) -> usize {
    text.parse().unwrap_or(0)
}

/// What stays.
#[inline(never)]
fn keep(size: usize) -> Box<[u8]> {
    vec![7; size].into_boxed_slice()
}

/// What comes and goes.
#[inline(never)]
fn churn(size: usize) -> Box<[u8]> {
    black_box(vec![7; size].into_boxed_slice())
}
