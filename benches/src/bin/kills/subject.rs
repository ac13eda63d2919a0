//! The program that is killed: eight threads that allocate, reallocate, hand blocks to one another and free.

use std::path::Path;
use std::process::ExitCode;
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::witness::{self, WORKERS};

/// Blocks that a thread keeps.
const KEPT: usize = 256;

pub(crate) fn main(output: &Path, witness: &Path, time: Duration, (max_bytes, crowd): (Option<u64>, u32)) -> ExitCode {
    if let Err(error) = witness::map(witness) {
        eprintln!("cannot map {}: {error}", witness.display());
        return ExitCode::FAILURE;
    }
    // Tags get their numbers here: that of a thread is its own.
    let names: Vec<String> = (1..=WORKERS).map(|number| format!("worker {number}")).collect();
    names.iter().for_each(|name| drop(plimsoll::tag(name)));
    let mut builder = plimsoll::Session::builder().output(output).exact();
    if let Some(bytes) = max_bytes {
        builder = builder.max_bytes(bytes).tick(Duration::from_millis(20));
    }
    let session = match builder.start() {
        Ok(session) => session,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let all_there = Barrier::new(crowd as usize + 1);
    let shelf = Mutex::new(Vec::new());
    let end = Instant::now() + time;
    thread::scope(|scope| {
        for _ in 0..crowd {
            scope.spawn(|| {
                drop(std::hint::black_box(Box::new(0u8)));
                all_there.wait();
                thread::sleep(end.saturating_duration_since(Instant::now()));
            });
        }
        all_there.wait();
        println!("recording");
        for (number, name) in (1..).zip(&names) {
            let shelf = &shelf;
            scope.spawn(move || {
                let _tag = plimsoll::tag(name);
                witness::watch(number);
                work(number as u64, end, shelf);
                witness::watch(0);
            });
        }
    });
    match session.finish() {
        Ok(_) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn work(number: u64, end: Instant, shelf: &Mutex<Vec<Vec<u8>>>) {
    let mut random = number;
    let mut kept: Vec<Vec<u8>> = (0..KEPT).map(|_| Vec::new()).collect();
    while Instant::now() < end {
        for _ in 0..64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let (place, size) = ((random >> 33) as usize % KEPT, 1 + (random >> 45) as usize % 2048);
            let Some(block) = kept.get_mut(place) else { continue };
            match random >> 60 {
                0 => block.reserve_exact(2 * size),
                1 => exchange(block, shelf),
                _ => *block = std::hint::black_box(Vec::with_capacity(size)),
            }
        }
    }
}

/// Puts a block where any thread may take it, and takes another.
fn exchange(block: &mut Vec<u8>, shelf: &Mutex<Vec<Vec<u8>>>) {
    let Ok(mut shelf) = shelf.lock() else { return };
    match shelf.pop() {
        Some(other) if shelf.len() > 64 => *block = other,
        Some(other) => {
            shelf.push(other);
            shelf.push(std::mem::take(block));
        }
        None => shelf.push(std::mem::take(block)),
    }
}
