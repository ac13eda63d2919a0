//! Any number of allocation sites without a function for each: a site is reached by turns to the left or right.

use std::hint::black_box;

use serde::Deserialize;

/// A block of `size` bytes from the site with this number, of 2 to the power of `levels`.
#[inline(never)]
pub fn path(site: usize, levels: u32, size: usize) -> Box<[u8]> {
    let rest = (site >> 1, levels.saturating_sub(1), size);
    let block = match (levels, site & 1) {
        (0, _) => vec![0; size].into_boxed_slice(),
        (_, 0) => left(rest),
        _ => right(rest),
    };
    black_box(block)
}

#[inline(never)]
fn left((site, levels, size): (usize, u32, usize)) -> Box<[u8]> {
    // Functions that do the same are made one by the compiler; the names make these differ.
    black_box("left");
    black_box(path(site, levels, size))
}

#[inline(never)]
fn right((site, levels, size): (usize, u32, usize)) -> Box<[u8]> {
    black_box("right");
    black_box(path(site, levels, size))
}

/// A frame of a stack in the viewer's JSON.
#[derive(Debug, Deserialize)]
pub struct Frame {
    function: Option<String>,
}

/// The site of a stack, innermost frame first: none without a turn.
pub fn site_of(frames: &[Frame]) -> Option<usize> {
    let names = frames.iter().rev().filter_map(|frame| frame.function.as_deref());
    let turns = names.filter_map(|name| match name.rsplit("::").next() {
        Some("left") => Some(0),
        Some("right") => Some(1),
        _ => None,
    });
    turns.enumerate().map(|(level, turn)| turn << level).reduce(|site, turn| site | turn)
}
