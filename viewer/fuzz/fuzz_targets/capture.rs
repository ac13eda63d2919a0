//! A whole capture, from its bytes to its report.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| plimsoll_fuzz::capture(data));
