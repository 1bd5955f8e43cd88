//! See `sumgate_fuzz::gosum`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::gosum(bytes));
