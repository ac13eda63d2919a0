//! The frame-pointer walk: about a nanosecond a frame, for programs built with `-C force-frame-pointers=yes`.
//!
//! Code without frame pointers may leave any value in the register, so each step is checked: aligned, strictly
//! upwards, inside the thread's stack.

use super::{Frames, Outcome, Registers};

pub(super) fn walk(registers: Registers, stack_end: usize, frames: &mut Frames<'_>) -> Outcome {
    const WORD: usize = size_of::<usize>();
    let mut below = registers.stack_pointer;
    let mut frame = registers.frame_pointer;
    loop {
        let inside = frame > below && frame.checked_add(2 * WORD).is_some_and(|end| end <= stack_end);
        if !inside || !frame.is_multiple_of(WORD) {
            return if frame == 0 { Outcome::Complete } else { Outcome::Broken };
        }
        // SAFETY: both words lie between the stack pointer and the end of this thread's stack, which are mapped
        // and readable; the values are only used after the same check.
        let (next, address) = unsafe { (*(frame as *const usize), *((frame + WORD) as *const usize)) };
        if address == 0 {
            return Outcome::Complete;
        }
        if !frames.push(address as u64) {
            return Outcome::Truncated;
        }
        below = frame;
        frame = next;
    }
}
