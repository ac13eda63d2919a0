//! What the example programs share: an allocator that counts by itself, and the comparison of its counts with
//! Plimsoll's.
//!
//! Each program under `src/bin` has one known memory problem; `README.md` is the index.

mod counted;
mod obedient;
mod oracle;

pub use counted::{Counted, Counts};
pub use obedient::obey;
pub use oracle::finish;
