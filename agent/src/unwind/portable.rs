//! The `backtrace` crate's walk: slow (100 ns a frame) and able to follow any stack that the system's unwinder can.
//!
//! `trace_unsynchronized` takes no lock of the crate. The system's unwinder takes none either with glibc 2.35 and
//! libgcc 12 or newer; before that it takes the loader's.

use super::{Frames, Outcome};

pub(super) fn walk(frames: &mut Frames<'_>) -> Outcome {
    let mut outcome = Outcome::Complete;
    // SAFETY: the function asks for outside synchronisation because dbghelp on Windows is not thread-safe; on Linux
    // concurrent walks share nothing.
    unsafe {
        backtrace::trace_unsynchronized(|frame| {
            if frames.push(frame.ip() as u64) {
                return true;
            }
            outcome = Outcome::Truncated;
            false
        });
    }
    outcome
}
