//! Holds the capture format to its written contract (`FORMAT.md`), to the bytes it once wrote (`captures/`), and to
//! what it promises about damaged and hostile files.
#![forbid(unsafe_code)]

mod arena;
#[cfg(feature = "zstd")]
mod compressed;
mod damage;
mod described;
mod events;
mod golden;
mod hostile;
mod plain;
mod samples;
mod schema;
mod spans;
mod worked_example;
