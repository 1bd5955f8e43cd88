//! See `sumgate_fuzz::pattern`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sumgate_fuzz::pattern(bytes));
