//! Writes what is known of a heap in other tools' formats.

pub mod pprof;
