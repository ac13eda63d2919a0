//! Any number of allocation sites without a function for each: a site is reached by turns to the left or right.

use std::hint::black_box;

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

/// The site of a stack, whose functions' names are given with the innermost first: none without a turn.
pub fn site_of<'a>(functions: impl DoubleEndedIterator<Item = &'a str>) -> Option<usize> {
    let turns = functions.rev().filter_map(|function| match function {
        "left" => Some(0),
        "right" => Some(1),
        _ => None,
    });
    turns.enumerate().map(|(level, turn)| turn << level).reduce(|site, turn| site | turn)
}
