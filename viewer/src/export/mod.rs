//! Writes what is known of a heap in other tools' formats: a module each, all from one [`walk`] or one [`table`], so that no
//! number is computed twice.

pub mod collapsed;
pub mod dhat;
pub mod firefox;
#[cfg(feature = "parquet")]
pub mod parquet;
pub mod pprof;
pub mod speedscope;
pub mod table;
pub mod walk;
