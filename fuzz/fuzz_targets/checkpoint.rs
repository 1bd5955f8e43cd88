//! See `sumgate_fuzz::checkpoint`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::checkpoint(bytes));
